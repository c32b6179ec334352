"""A user's mistakes: exit code 2, one line on standard error that names what was wrong, and nothing else."""

import re
import shlex

import pytest


@pytest.fixture
def place(image_folder, saved_guide, tmp_path, monkeypatch):
    """A folder to make mistakes in."""
    image_folder({"red": 3, "blue": 3}, name="good")
    image_folder({"red": 3, "purple": 3}, name="other")
    image_folder({"red": 3}, name="one")
    image_folder({"red": 3, "blue": 3}, name="bad")
    for photo in (tmp_path / "bad" / "blue").iterdir():
        photo.write_bytes(b"")
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "known.guide").symlink_to(saved_guide)
    monkeypatch.chdir(tmp_path)
    return tmp_path


MISTAKES = {
    "": r"no command was given\. See: fieldguide --help",
    "trian good": r"No such command 'trian'.* See: fieldguide --help",
    "--verbose": r"No such option: --verbose.* See: fieldguide --help",
    "train good --epoch 3": r"No such option: --epoch.* See: fieldguide train --help",
    "train": r"Invalid value for photos: none are named; pass a folder of them, or --resume RUN\. See: .*",
    "train good more": r"Got unexpected extra argument(\(s\))? \(more\)\. See: fieldguide train --help",
    "train good --size 5": r"Invalid value for '--size': .*8.*'5'\. See: .*",
    "train good --size big": r"Invalid value for '--size': .*'big'\. See: .*",
    "train good --fit stretch": r"Invalid value for '--fit': 'stretch' is not one of 'crop', 'pad', 'squash'\. .*",
    "train goood": r"goood does not exist, and no set has that name, did you mean 'good'\?",
    "train no-such-thing": r"no-such-thing does not exist, and no set has that name; known sets: .*",
    "train digit": r"digit does not exist, and no set has that name, did you mean 'digits'\?",
    "train empty": r"empty holds no files; expected CLASS/\*\.jpg, or \{train,val,test\}/CLASS/\*\.jpg",
    "train one": r"one has one class, 'red'; .*",
    "train notes.txt": r"notes\.txt is not a set of photos: expected .*",
    "train bad": r"bad: no photo of the class 'blue' can be used to train; 3 photos were skipped \(blue/.*",
    "train bad --strict": r"blue/\d+\.png: empty file; stopped, as --strict asks",
    "train good -o other": r"other already exists and is not a guide; choose another name, such as other\.guide",
    "train good -o notes.txt/x": r"notes\.txt/x can't be written: .*notes\.txt is not a folder that you may .*",
    "train good --backbone resnet": r"no model is called 'resnet'.*",
    "train good --weights no.safetensors": r"no\.safetensors does not exist; expected a \.safetensors file.*",
    "train good --weights ~no-such-user/x.safetensors": r"~no-such-user/x\.safetensors does not exist.*",
    "train good --exclude no.csv": r"the list no\.csv can't be read: No such file or directory; .*",
    "train good --exclude notes.txt": r"the list notes\.txt has the columns notes, and none is 'path'; .*",
    "check nowhere": r"nowhere does not exist, and no set has that name.*",
    "check good --backbone resnet": r"no model is called 'resnet'.*",
    "check good --html notes.txt/x.html": r"notes\.txt/x\.html: .*",
    "check good --fix-list notes.txt/x.csv": r"notes\.txt/x\.csv: .*",
    "check known.guide": r"known\.guide is a guide, not photos; pass the folder of the photos",
    "train good --engine abacus": r"no engine is called 'abacus'; known: .*",
    "evaluate nope.guide good": r"nope\.guide does not exist, did you mean 'known\.guide'\?; expected a .*",
    "evaluate good good": r"good is not a whole guide: it lacks guide\.json; the guide goes first",
    "evaluate known.guide other": r"other has the class 'purple', which this guide does not know; it knows .*",
    "evaluate known.guide good --part val": r"good has no part 'val'; it has none: it is not split",
    "evaluate known.guide good --with known.guide --slices": r"Invalid value: --slices and --robust.*",
    "check good --html good/red/1.png": r"Invalid value: good/red/1\.png is no place for the result; name .*",
    "check good --fix-list list.txt": r"Invalid value: list\.txt is no place for the result; .* in \.csv\. .*",
    "evaluate known.guide good -o notes.txt": r"notes\.txt is a file; choose a folder for metrics\.json .*",
    "evaluate known.guide good --part dev": r"Invalid value for '--part': 'dev' is not one of .*",
    "predict known.guide": r"Missing argument '.*photos.*'\. See: fieldguide predict --help",
    "predict known.guide good/red nope.jpg": r"nope\.jpg does not exist; expected photos, or folders of photos",
    "predict known.guide nope.jpg --json": r"nope\.jpg does not exist; expected photos, or folders of photos",
    "predict known.guide good --json --engine abacus": r"no engine is called 'abacus'; known: .*",
    "predict known.guide good --coverage 95": r"Invalid value: --coverage 95: it must be above 0 and below 1, .*",
    "predict known.guide good --with known.guide --coverage 0.9": r"a coverage of 0\.9 is learnt by each guide .*",
    "explain known.guide nope.jpg": r"nope\.jpg: the file does not exist",
    "explain known.guide nope.jpg --class pink": r"Invalid value: --class pink: the guide knows blue, .*",
    "explain known.guide nope.jpg -o why.jpg": r"Invalid value: --output why\.jpg: the name must end in \.png\..*",
    "explain good nope.jpg": r"good is not a whole guide: .*",
    "predict known.guide empty": r"no photos in empty",
    "predict known.guide bad/blue": r"no photo could be used, of 3: bad/blue/\d+\.png: empty file; .*",
    "predict known.guide bad/blue --csv a.csv": r"no photo could be used, of 3: .*",
    "predict known.guide bad/blue --json": r"no photo could be used, of 3: .*",
    "predict notes.txt good": r"notes\.txt is neither a guide folder nor a zip of one: .*",
    "predict known.guide good --top 0": r"Invalid value for '--top': .*1.*'0'\. See: .*",
    "predict known.guide good --json --csv a.csv": r"Invalid value: --json and --csv a\.csv can't both be; .*",
    "predict known.guide good --csv good/red/0.png": r"Invalid value: --csv good/red/0\.png: the name must end .*",
    'train ""': r"the path of the photos is empty; pass a folder, a list, or a set's name",
    'predict known.guide ""': r"the path of a photo is empty; pass photos, or folders of photos",
    "train known.guide": r"known\.guide is a guide, not photos; pass the folder of the photos",
    "sample digit x": r"no image set is called 'digit', did you mean 'digits'\?",
    "sample digits other": r"other is not empty; choose a new folder",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(run, place, mistake):
    result = run(*shlex.split(mistake))
    assert result.returncode == 2, result.stderr
    assert re.fullmatch(rf"fieldguide: {MISTAKES[mistake]}\n", result.stderr), result.stderr
    assert result.stdout == "" or mistake == "", "a program that reads the output gets no half of it"
    assert not list(place.glob("*.csv"))


def test_a_cache_size_that_is_no_number_is_a_mistake(run):
    result = run("cache", FIELDGUIDE_CACHE_GB="lots")
    assert result.returncode == 2
    assert result.stderr == (
        "fieldguide: FIELDGUIDE_CACHE_GB is 'lots'; it must be a number of gigabytes above 0, such as 4\n"
    )


def test_without_a_command_the_help_is_shown(run):
    assert "Usage: fieldguide" in run().stdout
