"""``fieldguide report``, as a process."""

import pytest


def test_it_writes_a_page_and_says_where(run, saved_guide, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("report", saved_guide)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "colours-report.html is written; open it in a browser\n"
    text = (tmp_path / "colours-report.html").read_text(encoding="utf-8")
    assert "<h1>A guide to blue, green and red</h1>" in text and " ms</strong><span>for a photo" in text


def test_it_sets_guides_side_by_side_on_photos_that_are_passed(run, saved_guide, colour_guide, colours, tmp_path):
    other = colour_guide.save(tmp_path / "other.zip")
    target = tmp_path / "new" / "both.html"
    result = run("report", saved_guide, other, "--data", colours, "-o", target)
    assert result.returncode == 0, result.stderr
    text = target.read_text(encoding="utf-8")
    assert "<h1>2 guides side by side</h1>" in text and "photos, those in colours that none of them" in text


def test_a_page_of_several_does_not_take_the_place_of_the_first_ones(run, colour_guide, colours, empty_folder):
    places = [colour_guide.save(empty_folder / f"{name}.guide") for name in "abc"]
    for guides, name in ((places[:2], "a-and-b-report.html"), (places, "a-and-b-and-1-more-report.html")):
        assert run("report", *guides, "--data", colours).stderr == f"{name} is written; open it in a browser\n"


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Where commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "x.htm"), "--output x.htm: the name must end in .html"),
        (("--data", "nowhere"), "nowhere does not exist"),
    ],
)
def test_mistakes_are_told_in_one_line(run, saved_guide, empty_folder, options, message):
    result = run("report", saved_guide, *options)
    assert result.returncode == 2 and message in result.stderr and len(result.stderr.splitlines()) == 1
    assert list(empty_folder.iterdir()) == []


def test_a_page_can_not_be_a_folder_that_is_there(run, saved_guide, empty_folder):
    (empty_folder / "x.html").mkdir()
    result = run("report", saved_guide, "-o", "x.html")
    assert (result.returncode, result.stderr) == (2, "fieldguide: x.html: Is a directory\n")


def test_a_guide_is_named_once(run, saved_guide):
    for again in (saved_guide, saved_guide / ".." / saved_guide.name):
        result = run("report", saved_guide, again)
        assert result.returncode == 2 and f"{saved_guide} is named twice; name each guide once" in result.stderr
