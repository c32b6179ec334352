"""``fieldguide draw``, as a process."""

import pytest
from PIL import Image


@pytest.fixture
def both(saved_guide, colours, tmp_path, monkeypatch):
    """A guide and a photo, seen from an empty folder."""
    monkeypatch.chdir(tmp_path)
    return [saved_guide, colours / "red" / "03.png"]


@pytest.mark.parametrize(
    ("what", "size"),
    [
        ("filters", (1200, 620)),  # 32 filters, ten a row
        ("maps --node stem", (1200, 620)),
        ("kernels", (1200, 870)),
        ("answer --class red", (1200, 216)),
    ],
)
def test_each_picture_is_drawn(run, both, tmp_path, what, size):
    name, *options = what.split()
    arguments = {"filters": both[:1], "kernels": both[1:]}.get(name, both)
    target = tmp_path / "new" / "x.png"
    result = run("draw", name, *arguments, *options, "-o", target)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", f"the picture: {target}\n")
    with Image.open(target) as picture:
        assert picture.size == size and len(picture.convert("RGB").getcolors(100_000)) > 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("filters nope.guide", "nope.guide does not exist"),
        ("maps {guide} {photo} --node stages.99", "no node is called 'stages.99'"),
        ("answer {guide} {photo} --class pink", "--class pink: the guide knows blue, green and red"),
        ("kernels nope.jpg", "nope.jpg: the file does not exist"),
        ("maps {guide} .", ".: can't be read: Is a directory"),
        ("kernels {photo} -o x.jpg", "--output x.jpg: the name must end in .png"),
    ],
)
def test_a_mistake_is_one_line(run, both, tmp_path, arguments, message):
    filled = arguments.format(guide=both[0], photo=both[1])
    result = run("draw", *filled.split())
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("fieldguide: ") and message in result.stderr
    assert not list(tmp_path.glob("*.[jp][pn]g"))


@pytest.mark.parametrize(
    "command", ["draw maps {guide}", "draw kernels", "draw answer {guide}", "explain {guide}"]
)
def test_the_photo_is_not_lost_to_its_picture(run, both, tmp_path, command):
    content = both[1].read_bytes()
    (tmp_path / "photo.png").write_bytes(content)
    (tmp_path / "link.png").symlink_to("photo.png")
    for target in ("photo.png", "link.png"):
        result = run(*command.format(guide=both[0]).split(), "photo.png", "-o", target)
        assert (
            result.returncode == 2 and f"--output {target} is the photo itself; name another file" in result.stderr
        )
    assert (tmp_path / "photo.png").read_bytes() == content
