"use strict";
const album = JSON.parse(document.getElementById("album").textContent);

function element(kind, text) {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  return made;
}

// A photo as a figure: its picture, what it shows, and what the guide said of it.
function figure(number) {
  const [name, truth, answer, probability, picture] = album.photos[number];
  const made = element("figure");
  if (picture) {
    const image = element("img");
    image.alt = name;
    image.src = "data:image/jpeg;base64," + picture;
    made.append(image);
  }
  const said = answer === null ? "learnt from" : `said ${album.classes[answer]}, ${Math.round(100 * probability)} %`;
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
  const show = (event) => {
    const number = event.target.dataset && event.target.dataset.photo;
    tip.hidden = number === undefined;
    if (tip.hidden) return;
    if (tip.dataset.photo !== number) tip.replaceChildren(figure(Number(number)));
    tip.dataset.photo = number;
    const frame = map.getBoundingClientRect(), dot = event.target.getBoundingClientRect();
    const x = dot.left - frame.left, y = dot.top - frame.top;
    tip.style.left = `${Math.max(0, x + dot.width + 8 + tip.offsetWidth > frame.width ? x - tip.offsetWidth - 8 : x + dot.width + 8)}px`;
    tip.style.top = `${Math.max(0, Math.min(y - 20, frame.height - tip.offsetHeight))}px`;
  };
  map.addEventListener("pointerover", show);
  map.addEventListener("pointerdown", show);
  map.addEventListener("pointerleave", () => { tip.hidden = true; });
  const legend = [...document.querySelectorAll("#legend button")];
  for (const button of legend)
    button.addEventListener("click", () => {
      const isAlone = button.getAttribute("aria-pressed") === "true";
      for (const each of legend) each.setAttribute("aria-pressed", String(each === button && !isAlone));
      for (const dot of map.querySelectorAll("[data-photo]"))
        dot.classList.toggle("away", !isAlone && dot.dataset.of !== button.dataset.class);
    });
}
