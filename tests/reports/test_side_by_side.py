"""Several guides on the same photos, and what can go wrong between guides and photos."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

import fieldguide as fg
from browser import browse, dom_after
from fieldguide.errors import DataError, GuideError
from fieldguide.head import LinearHead
from fieldguide.reports import gather


@pytest.fixture(scope="module")
def page(muddled_path, smaller_path, muddled, tmp_path_factory):
    target = tmp_path_factory.mktemp("pages") / "both.html"
    target.write_bytes(fg.report([muddled_path, smaller_path], muddled))
    return target


def test_guides_are_asked_about_the_same_photos_that_none_has_learnt_from(muddled_guide, muddled, image_folder):
    other = fg.train(image_folder({"red": 9, "green": 9, "blue": 9}))
    first, second = gather([muddled_guide, other], muddled)
    assert first.asked.names == second.asked.names and len(first.asked) == 24
    assert len(first.known) == len(second.known) == 0, "side by side shows none"
    (alone,) = gather([muddled_guide], muddled)
    assert len(alone.known) == 49 and alone.is_own
    (stranger,) = gather([other], muddled)
    assert len(stranger.asked) == 24 and not stranger.is_own, "the set says what is held out"


def test_a_worse_guide_is_found_out(muddled_guide, muddled, tmp_path):
    turned = np.roll(muddled_guide.head.weight, 1, axis=0), np.roll(muddled_guide.head.bias, 1)
    places = [muddled_guide.save(tmp_path / "good.guide")]
    places.append(replace(muddled_guide, head=LinearHead(*turned)).save(tmp_path / "bad.guide"))
    text = fg.report(places, muddled).decode()
    sentences = re.findall(r"<p>([^<]*)</p>", text)
    assert sentences[0] == "Of 100 new photos each names rightly: good 92, bad 0."
    assert sentences[1] == (
        "good is better than bad by more than chance: 22 of the 24 photos only good names rightly, 0 only bad."
    )


def test_guides_as_good_as_each_other_are_told_apart_by_nothing(page):
    text = page.read_text(encoding="utf-8")
    assert "<p>muddled and smaller are right and wrong about the very same photos: take whichever is" in text
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", text)


def test_a_lead_of_a_photo_may_well_be_chance(muddled_guide, muddled, tmp_path):
    asked = gather([muddled_guide], muddled)[0].asked
    probs = muddled_guide.head.probs(asked.features)
    wrong = probs.argmax(axis=1) != asked.labels
    lead = np.log(probs.max(axis=1) / probs[np.arange(len(asked)), asked.labels])[wrong].min()
    is_green = np.array([name == "green" for name in muddled_guide.class_names])
    bias = (muddled_guide.head.bias + (lead + 1e-3) * is_green).astype(np.float32)
    better = replace(muddled_guide, head=LinearHead(muddled_guide.head.weight, bias))
    places = [muddled_guide.save(tmp_path / "one.guide"), better.save(tmp_path / "two.guide")]
    assert re.search(
        r"<p>Which is better can&#39;t be told: \d of the 24 photos only (one|two) names rightly, \d only "
        r"(one|two), which may well be chance\. Take whichever is smaller or faster, or ask them about more phot",
        fg.report(places, muddled).decode(),
    )


def test_the_order_of_classes_may_differ(muddled_guide, muddled, tmp_path):
    order = [2, 0, 1]
    head = LinearHead(muddled_guide.head.weight[order], muddled_guide.head.bias[order])
    names = tuple(muddled_guide.class_names[k] for k in order)
    places = [muddled_guide.save(tmp_path / "one.guide")]
    places.append(replace(muddled_guide, head=head, class_names=names).save(tmp_path / "other.guide"))
    text = fg.report(places, muddled).decode()
    assert "<p>one and other are right and wrong about the very same photos: take" in text
    assert ">100 in 100 times<" in text
    worse = LinearHead(np.roll(head.weight, 1, axis=0), np.roll(head.bias, 1))  # it takes each class for another
    places[1] = replace(muddled_guide, head=worse, class_names=names).save(tmp_path / "worse.guide")
    page = tmp_path / "page.html"
    page.write_bytes(fg.report(places, muddled))
    shown = re.findall(r"<figcaption>(\w+); said (\w+), \d+ %<br>val/(\w+)/", dom_after(page, "", tmp_path))
    assert shown and all(truth == folder and answer != truth for truth, answer, folder in shown)


def test_it_shows_the_photos_on_which_they_differ_in_a_browser(muddled_guide, muddled, tmp_path):
    turned = np.roll(muddled_guide.head.weight, 1, axis=0), np.roll(muddled_guide.head.bias, 1)
    places = [muddled_guide.save(tmp_path / "good.guide")]
    places.append(replace(muddled_guide, head=LinearHead(*turned)).save(tmp_path / "bad.guide"))
    (tmp_path / "page.html").write_bytes(fg.report(places, muddled))
    dom = dom_after(tmp_path / "page.html", "", tmp_path)
    section = dom.partition("Right by good, wrong by bad: 22 photos")[2].partition("</section>")[0]
    assert section.count("<figure>") == 18 and "said " in section
    browse(tmp_path / "page.html", f"--screenshot={tmp_path / 'page.png'}", "--window-size=500,2000")
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_photos_that_were_moved_are_asked_for(muddled_path, muddled, tmp_path):
    place = tmp_path / "moved"
    shutil.copytree(muddled, place)
    guide = fg.train(place).save(tmp_path / "x.guide")
    assert b"of the photos in moved" in fg.report([guide])
    shutil.rmtree(place)
    expected = r"x\.guide was trained on .*moved, which is no path that is here; pass those photos or"
    with pytest.raises(DataError, match=expected):
        fg.report([guide])


def test_a_guide_that_does_not_say_what_it_was_trained_on(muddled_guide, tmp_path):
    place = replace(muddled_guide, facts={}).save(tmp_path / "old.guide")
    with pytest.raises(DataError, match=r"old\.guide does not say which photos it was trained on; pass photos by"):
        fg.report([place])


def test_guides_to_other_classes_are_refused(muddled_guide, muddled, muddled_path, tmp_path):
    other = replace(
        muddled_guide,
        class_names=("blue", "green", "red", "teal"),
        head=LinearHead(np.zeros((4, muddled_guide.head.weight.shape[1]), np.float32), np.zeros(4, np.float32)),
    ).save(tmp_path / "four.guide")
    with pytest.raises(DataError, match="four and muddled are guides to other classes: 'teal' is known to one of"):
        fg.report([muddled_path, other], muddled)


def test_guides_that_have_learnt_from_everything_can_not_be_compared(
    muddled_path, smaller_path, muddled, tmp_path
):
    shutil.copytree(muddled / "train", tmp_path / "train only")
    with pytest.raises(
        DataError, match="leaves no photo to compare guides by: each was learnt from by one of them"
    ):
        fg.report([muddled_path, smaller_path], tmp_path / "train only")


def test_a_guide_that_has_learnt_from_all_that_is_passed_has_nothing_to_answer(muddled_path, muddled, tmp_path):
    shutil.copytree(muddled / "train", tmp_path / "train only")
    with pytest.raises(DataError, match=r"train only leaves no photo to ask about: each was learnt from"):
        fg.report([muddled_path], tmp_path / "train only")


def test_photos_that_a_list_left_out_are_not_asked_about(image_folder, tmp_path):
    folder = image_folder({"red": 9, "blue": 9})
    left_out = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png"))[::6]
    (tmp_path / "list.csv").write_text("path\n" + "\n".join(left_out), encoding="utf-8")
    guide = fg.train(folder, exclude=tmp_path / "list.csv")
    place = guide.save(tmp_path / "x.guide")
    with pytest.raises(
        DataError, match=r"was trained without 3 photos that a list left out; pass the list by --exc"
    ):
        fg.report([place])
    text = fg.report([place], exclude=tmp_path / "list.csv").decode()
    assert f"asked about {guide.evaluation.num_photos} photos that were kept aside" in text


def test_photos_of_another_set_are_not_shown_for_those_of_training(muddled_path, image_folder):
    other = image_folder({"blue": 4, "green": 4, "red": 4}, "other")
    (other / "train" / "blue").mkdir(parents=True)
    text = fg.report([muddled_path], other).decode()
    assert "asked about 12 photos of other" in text
    finding = text.partition("identical files")[2].partition("</section>")[0]
    assert "train/blue/copy.png" in finding and "<img" not in finding


def test_a_folder_without_photos_in_classes_is_refused(muddled_path, tmp_path):
    for number in (1, 2):
        (tmp_path / "photos" / "red").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "red" / f"{number}.jpg").write_bytes(b"none")
    with pytest.raises(DataError, match=r"holds no photo that can be used \(red/1\.jpg: not an image"):
        fg.report([muddled_path], tmp_path / "photos")


def test_no_guide_and_none_that_is_there(tmp_path):
    with pytest.raises(ValueError, match="guides is empty; name one or more"):
        fg.report([])
    with pytest.raises(GuideError, match=r"none\.guide does not exist"):
        fg.report([tmp_path / "none.guide"])


def test_guides_of_one_name_are_called_by_their_paths(muddled_guide, muddled, tmp_path):
    places = [muddled_guide.save(tmp_path / folder / "x.guide") for folder in ("a", "b")]
    text = fg.report(places, muddled).decode()
    assert all(f">{place}<" in text for place in places)


def test_a_named_set_is_not_fetched_unasked(muddled_guide, tmp_path, monkeypatch):
    monkeypatch.setattr("fieldguide.data.sources.torchvision_sets.downloaded", None)
    facts = {**muddled_guide.facts, "data": {**muddled_guide.facts["data"], "name": "flowers102"}}
    place = replace(muddled_guide, facts=facts).save(tmp_path / "named.guide")
    with pytest.raises(DataError, match=r"named\.guide was trained on flowers102, which is no path that is h"):
        fg.report([place])


def test_one_guide_is_named_as_it_is(muddled_path, muddled):
    for one in (muddled_path, str(muddled_path)):
        assert b"<h1>A guide to blue, green and red</h1>" in fg.report(one, muddled)
