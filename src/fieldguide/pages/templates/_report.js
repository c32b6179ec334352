"use strict";
const album = JSON.parse(document.getElementById("album").textContent);

function element(kind, text) {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  return made;
}

// A photo as a figure: its picture, what it shows, and what the guide said of it.
function figure(number) {
  const [name, truth, answer, percent, picture] = album.photos[number];
  const made = element("figure");
  if (picture) {
    const image = element("img");
    image.alt = name;
    image.src = "data:image/jpeg;base64," + picture;
    made.append(image);
  }
  const said = answer === null ? "learnt from" : `said ${album.classes[answer]}, ${percent} %`;
  const caption = element("figcaption", `${album.classes[truth]}; ${said}`);
  caption.append(element("br"), name);
  made.append(caption);
  return made;
}

function gallery(numbers) {
  const made = element("div");
  made.className = "photos";
  made.append(...numbers.map(figure));
  return made;
}

for (const place of document.querySelectorAll("[data-photos]"))
  place.append(...place.dataset.photos.split(" ").map(Number).map(figure));

const cell = document.getElementById("cell");
const cells = [...document.querySelectorAll("[data-cell]")];
for (const button of cells)
  button.addEventListener("click", () => {
    const isOpen = button.getAttribute("aria-pressed") === "true";
    for (const each of cells) each.setAttribute("aria-pressed", "false");
    cell.replaceChildren();
    if (isOpen) return;
    button.setAttribute("aria-pressed", "true");
    const [truth, answer] = button.dataset.cell.split("-").map(Number);
    const numbers = album.cells[button.dataset.cell] || [];
    const count = Number(button.textContent.match(/\d+\s*$/)[0]);
    const what = truth === answer
      ? `${album.classes[truth]}, named rightly, the least sure first`
      : `${album.classes[truth]}, taken for ${album.classes[answer]}, the surest first`;
    cell.append(element("h3", numbers.length < count ? `${what}: ${numbers.length} of ${count}` : what), gallery(numbers));
  });

const worst = cells.filter((each) => each.classList.contains("miss"))
  .sort((one, other) => parseInt(other.textContent, 10) - parseInt(one.textContent, 10))[0];
if (worst && worst.closest("table")) worst.click();

const map = document.querySelector(".map");
if (map) {
  const tip = document.getElementById("tip");
  const dots = [...map.querySelectorAll("[data-photo]")];
  let shown = -1;
  const show = (dot) => {
    shown = dots.indexOf(dot);
    tip.hidden = shown < 0;
    if (tip.hidden) return;
    tip.replaceChildren(figure(Number(dot.dataset.photo)));
    const frame = map.getBoundingClientRect(), place = dot.getBoundingClientRect();
    const left = place.left - frame.left, right = left + place.width + 8;
    tip.style.left = `${Math.max(0, right + tip.offsetWidth > frame.width ? left - tip.offsetWidth - 8 : right)}px`;
    tip.style.top = `${Math.max(0, Math.min(place.top - frame.top - 20, frame.height - tip.offsetHeight))}px`;
  };
  map.addEventListener("pointerover", (event) => show(event.target));
  map.addEventListener("pointerleave", () => show(null));
  document.addEventListener("pointerdown", (event) => show(event.target));
  map.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") show(null);
    if (!step) return;
    event.preventDefault();
    let next = shown;
    do next = (next + step + dots.length) % dots.length; while (dots[next].classList.contains("away") && next !== shown);
    show(dots[next]);
  });
  const legend = [...document.querySelectorAll("#legend button")];
  for (const button of legend)
    button.addEventListener("click", () => {
      const isAlone = button.getAttribute("aria-pressed") === "true";
      for (const each of legend) each.setAttribute("aria-pressed", String(each === button && !isAlone));
      for (const dot of dots)
        dot.classList.toggle("away", !isAlone && dot.dataset.of !== button.dataset.class);
    });
}
