"""report.html: it holds what it promises, needs nothing beside it, and stays small."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

import fieldguide as fg
from fieldguide.reports import gather, page
from fieldguide.reports.page import to_page


@pytest.fixture(scope="module")
def evidence(muddled_guide, muddled):
    (found,) = gather([muddled_guide], muddled)
    return found


def outline(text: str) -> str:
    """What a page is made of: its sections, headings, tables and what can be pressed; not their values."""
    text = re.sub(r"<(style|script)\b.*?</\1>", "", text, flags=re.DOTALL)
    lines = []
    for tag, attributes, content in re.findall(r"<(section|div id|h1|h2|h3|th|dt|button)\b([^>]*)>([^<]*)", text):
        own = re.search(r'(?:id|data-cell|data-class)="([^"]+)"', attributes)
        if tag in ("section", "div id") or (tag == "th" and 'scope="row"' in attributes):
            name = own.group(1) if own else "-"
            lines.append(f"{tag} {name}" if tag != "th" else "  row")
        elif tag == "button":
            lines.append(f"  button {own.group(1) if own else ''}")
        else:
            lines.append(f"  {tag} {re.sub(r'[0-9.%]+', '#', content.strip())}")
    return "\n".join(lines) + "\n"


def test_its_structure_is_the_golden_one(muddled_guide, evidence, check_golden):
    check_golden("report.txt", outline(to_page(muddled_guide, evidence).decode()))


def test_every_guide_has_one_of_the_run_that_made_it(muddled_guide, evidence):
    texts = [muddled_guide.records["report.html"], to_page(muddled_guide, evidence)]
    made, again = (re.sub(r"[0-9.]+ ms|from [0-9.]+ to [0-9.]+;", "so many", text.decode()) for text in texts)
    assert made == again


def test_it_needs_nothing_beside_it_and_names_are_text(muddled_guide):
    text = muddled_guide.records["report.html"].decode()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text) and "default-src 'none'" in text
    without_pictures = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text).replace("http-equiv", "")
    assert not re.search(r"http|url\(|@import", without_pictures)
    assert "muddled &amp; &lt;odd&gt;" in text and "<odd>" not in text
    assert len(text) < 5e6


def test_it_tells_of_the_mistakes_with_their_marks_and_the_photos_most_like_them(muddled_guide, evidence):
    text = to_page(muddled_guide, evidence).decode()
    mistakes = re.findall(r"<article>(.*?)</article>", text, flags=re.DOTALL)
    wrong = muddled_guide.evaluation.num_photos - round(
        muddled_guide.evaluation.top1 * muddled_guide.evaluation.num_photos
    )
    assert len(mistakes) == wrong == 2
    for mistake in mistakes:
        assert re.search(r"It said <b>.*red</b>, \d+ % sure\. Its label says <b>.*green</b>", mistake)
        assert mistake.count("data:image/jpeg") == 5, "the photo, its marks, and three like it"
        assert re.search(r"val/green/0[03]\.png", mistake) and mistake.count("train/red/") >= 2


def test_it_tells_what_the_doctor_found(muddled_guide, evidence):
    text = to_page(muddled_guide, evidence).decode()
    assert "1 picture several times in identical files" in text
    assert text.count('alt="train/blue/copy.png"') == 1


def test_without_photos_to_ask_about_it_says_so(image_folder):
    folder = image_folder({"train/red": 12, "train/blue": 12})
    for name in ("red", "blue"):
        (folder / "val" / name).mkdir(parents=True)
        shutil.copy(next((folder / "train" / name).iterdir()), folder / "val" / name)
    guide = fg.train(folder)
    assert guide.evaluation is None, "what is held out are copies"
    text = guide.records["report.html"].decode()
    assert "nobody knows yet" in text and '<section id="classes">' not in text and '<section id="map">' in text


def test_of_many_classes_the_pairs_most_often_confused_are_listed(muddled_guide, evidence):
    names = tuple(f"class {k:02d}" for k in range(40))
    rng = np.random.default_rng(0)
    head = replace(
        muddled_guide.head,
        weight=rng.normal(size=(40, muddled_guide.head.weight.shape[1])).astype(np.float32),
        bias=np.zeros(40, np.float32),
    )
    guide = replace(muddled_guide, head=head, class_names=names, trust=None)
    text = to_page(guide, evidence).decode()
    assert 'class="matrix"' not in text and re.search(r"class \d\d taken for class \d\d: \d", text)
    assert "Called unknown" not in text, "a guide without trust can't tell"


def test_pictures_end_where_the_room_does(muddled_guide, evidence, monkeypatch):
    monkeypatch.setattr(page, "MOST_CHARACTERS", 9000)
    text = to_page(muddled_guide, evidence).decode()
    drawn = re.findall(r"base64,([A-Za-z0-9+/=]+)", text) + re.findall(r'"(/9j/[A-Za-z0-9+/=]+)"', text)
    assert drawn and sum(map(len, drawn)) <= 9000
    assert "val/green/00.png" in text, "names stay"


def test_progress_ends_where_it_said(muddled_guide, evidence):
    seen = []
    to_page(muddled_guide, evidence, lambda stage, done, total: seen.append((stage, done, total)))
    assert {stage for stage, _, _ in seen} == {"report", "curve"}
    assert seen[-1][0] == "report" and seen[-1][1] == seen[-1][2] > 10
