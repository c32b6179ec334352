"""Terminals and pipes: bars in the one and not in the other, readers that leave, Ctrl-C, and every script."""

import csv
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fieldguide.cli._console import wrapped

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals and POSIX signals")


def start(*arguments: object, **options) -> subprocess.Popen:
    own = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = {**own, **options.pop("env", {})}
    command = [sys.executable, "-m", "fieldguide", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, **options)


# Progress bars


@posix_only
@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
def test_bars_are_drawn_on_a_terminal_and_cleared_away(command, colours, saved_guide, no_features, tmp_path):
    import pty

    arguments = {
        "train": ("train", colours, "-o", tmp_path / "x.guide"),
        "evaluate": ("evaluate", saved_guide, colours),
        "predict": ("predict", saved_guide, colours),
    }
    ours, theirs = pty.openpty()
    process = start(*arguments[command], stdout=subprocess.PIPE, stderr=theirs, env={"TERM": "xterm-256color"})
    os.close(theirs)
    drawn = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not chunk:  # and BSD's
            break
        drawn += chunk
    os.close(ours)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert b"Looking at photos" in drawn and b"36/36" in drawn
    assert (b"Fitting the head" in drawn) == (command == "train")
    assert b"\x1b[2K" in drawn, "the bars are wiped when all is done"
    assert b"\x1b" not in output and b"Looking" not in output, "standard output is no terminal here"


def on_terminal(columns: int, stream: str, *arguments: object) -> tuple[list[str], str]:
    """Return the lines that a command writes to a terminal by one stream, and what it writes to the other."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: theirs}
    process = start(*arguments, **streams, env={"TERM": "dumb"})
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    other = next(filter(None, process.communicate(timeout=60)), b"").decode()
    assert process.returncode == 0, other
    return shown.decode().replace("\r", "").splitlines(), other


@pytest.fixture
def faulty(colour_folder: Path) -> Path:
    """Photos with long names, of which one is there twice, one has a wrong label, and many can't be used."""
    long = "a photo that I have taken in the garden on a fine day in the month of May"
    shutil.copyfile(colour_folder / "green" / "05.png", colour_folder / "green" / f"{long}.png")
    (colour_folder / "red" / "03.png").rename(colour_folder / "blue" / f"{long}.png")
    for number in range(30):
        (colour_folder / "red" / f"broken{number}.jpg").write_bytes(b"no image")
    return colour_folder


@posix_only
@pytest.mark.parametrize("columns", [60, 80])
def test_findings_are_broken_between_words_and_stay_below_each_other(columns, faulty):
    lines, _ = on_terminal(columns, "stdout", "check", faulty)
    assert max(map(len, lines)) <= columns
    indented = [line for line in lines[1:] if line and not re.match(r"(high|medium|low) ", line)]
    assert all(line.startswith(" " * 10) and not line.endswith(" ") for line in indented)
    piped = subprocess.run(
        [sys.executable, "-m", "fieldguide", "check", faulty], capture_output=True, text=True, check=True
    ).stdout
    words = [" ".join("\n".join(text).split()) for text in (lines[1:], piped.splitlines()[1:])]
    assert words[0] == words[1], "nothing but the breaks differs"
    assert max(map(len, piped.splitlines())) > 80, "for grep a case is a line"


@posix_only
def test_what_training_says_fits_on_a_screen_whatever_is_wrong_with_its_photos(faulty, tmp_path):
    notes, tables = on_terminal(80, "stderr", "train", faulty, "-o", tmp_path / "x.guide")
    assert max(map(len, notes[:-2])) <= 80 or str(tmp_path) in max(notes[:-2], key=len)
    assert sum(line.startswith("  red/broken") for line in notes) == 3 and "  ... and 27 more" in notes
    assert len(notes) + len(tables.splitlines()) <= 40


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        (None, ["high  one two three"]),
        (12, ["high  one", "      two", "      three"]),
        (14, ["high  one two", "      three"]),
        (5, ["high", "  one", "  two", "  three"]),
    ],
)
def test_lines_are_broken_at_spaces_alone(width, lines):
    assert wrapped("high  one two three", hanging=6, width=width).split("\n") == lines


def test_a_long_word_stays_whole_and_wide_letters_count_twice():
    assert wrapped("  a/long/path.jpg: seen", hanging=2, width=8) == "  a/long/path.jpg:\n  seen"
    assert wrapped("sure by 98 %", hanging=0, width=11) == "sure by\n98 %", "a number stays with its unit"
    assert wrapped("バラ バラ", hanging=2, width=8) == "バラ\n  バラ"


@posix_only
@pytest.mark.parametrize(("columns", "left_out"), [(60, "memory, sees, stride, pad"), (80, "pad"), (120, "")])
def test_a_table_on_a_narrow_terminal_leaves_out_columns_and_cuts_no_cell(columns, left_out):
    lines, errors = on_terminal(columns, "stdout", "summary", "lenet")
    assert "…" not in "".join(lines) and "59,386" in lines[2] and "Sequential" in lines[3]
    assert max(map(len, lines)) <= columns
    assert errors == (f"this terminal is too narrow for: {left_out}\n" if left_out else "")


def test_no_bars_in_pipes(run, colours, no_features, tmp_path):
    target = tmp_path / "x.guide"
    result = run("train", colours, "-o", target, TERM="xterm-256color")
    assert (result.returncode, result.stderr) == (0, f"report: {target / 'report.html'}\n")
    assert "\x1b" not in result.stdout


# Readers that leave early, and disks that are full


@posix_only
@pytest.mark.parametrize(
    "arguments",
    [("predict",), ("predict", "--json"), ("predict", "--csv", "-"), ("evaluate",), ("train",), ("--help",)],
    ids=" ".join,
)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["at the end", "in the midst"])
def test_a_reader_that_has_seen_enough_is_no_error(arguments, unbuffered, saved_guide, colours, tmp_path):
    inputs = {"predict": (saved_guide, colours), "evaluate": (saved_guide, colours), "train": (colours,)}
    command = [*arguments[:1], *inputs.get(arguments[0], ()), *arguments[1:]]
    if arguments == ("train",):
        command += ["-o", tmp_path / "x.guide"]
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = start(*command, stdout=write_end, stderr=subprocess.PIPE, env={"PYTHONUNBUFFERED": unbuffered})
    os.close(write_end)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 0
    assert b"Traceback" not in errors and b"Exception" not in errors and b"Broken" not in errors
    assert (tmp_path / "x.guide").exists() == (arguments == ("train",)), "the work was done before it was told of"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_can_not_be_written_is_one_line():
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        process = start("cache", stdout=full, stderr=subprocess.PIPE)
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert errors == b"fieldguide: the output: No space left on device\n"


# Ctrl-C

INTERRUPTED = (130, -signal.SIGINT)  # to a shell the same; Python chooses the second after exec() of a text


@posix_only
@pytest.mark.parametrize("delay_s", [0.0, 0.4])
def test_ctrl_c_is_one_line_and_leaves_no_part_of_a_guide(no_features, tmp_path, delay_s):
    home = tmp_path / "home"
    home.mkdir()
    process = start("train", "digits", "-o", home / "x.guide", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(no_features.glob("features/*.sqlite")) and time.monotonic() < deadline:
        time.sleep(0.01)  # it is at work, and will be for seconds
    time.sleep(delay_s)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode in INTERRUPTED
    assert (output, errors) == (b"", b"fieldguide: interrupted; what was finished is kept\n")
    assert list(home.iterdir()) == []


@posix_only
def test_ctrl_c_while_it_starts_is_one_line_too(tmp_path):
    ready = tmp_path / "ready"
    code = (  # a subcommand's module that is slow to import stands in for a slow disk
        "import pathlib, time\nimport fieldguide.cli as cli\n"
        "def slow(name):\n"
        f"    pathlib.Path({str(ready)!r}).touch(); time.sleep(30)\n"
        "cli.importlib.import_module = slow\n"
        "cli.main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode in INTERRUPTED
    assert errors == b"fieldguide: interrupted; what was finished is kept\n"


def run_interrupted(code: str, folder: Path, **options) -> subprocess.CompletedProcess:
    """Run the command line in a process whose subcommands are what ``code`` puts in their place."""
    (folder / "swallows.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    pass\n"
    )
    source = (
        f"import os, signal, sys, time\nsys.path.insert(0, {str(folder)!r})\nimport fieldguide.cli as cli\n{code}"
    )
    command = [sys.executable, "-c", f"{source}\ncli._run = work\ncli.main()"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


@posix_only
@pytest.mark.parametrize(
    "work",
    [
        "import swallows; print('imported', flush=True); time.sleep(30)",  # compiled modules swallow it so
        "os.kill(os.getpid(), signal.SIGINT)",
        "try: os.kill(os.getpid(), signal.SIGINT)\n    except KeyboardInterrupt: raise RuntimeError('torn')",
    ],
    ids=["in an import", "at work", "turned into an error"],
)
def test_ctrl_c_is_neither_lost_nor_an_error(work, tmp_path):
    result = run_interrupted(f"def work():\n    {work}", tmp_path)
    assert result.stderr == "fieldguide: interrupted; what was finished is kept\n"
    assert result.returncode in INTERRUPTED
    assert result.stdout == ("imported\n" if "swallows" in work else "")


@posix_only
def test_ctrl_c_pressed_twice_does_not_wait_for_an_import(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(0.1)\n"
        "print('waits', flush=True)\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(30)\n"
    )
    result = run_interrupted("def work(): import slow", tmp_path)
    assert (result.stdout, result.stderr) == ("waits\n", "fieldguide: interrupted; what was finished is kept\n")
    assert result.returncode in INTERRUPTED


@posix_only
def test_ctrl_c_waits_until_a_lock_is_given_back_but_not_for_a_condition(tmp_path):
    code = (
        "import threading\n"
        "held = compile('lock = Lock(); lock.acquire(); kill(); lock.release()', 'x', 'exec')\n"
        "def kill(): os.kill(os.getpid(), signal.SIGINT)\n"
        "def work():\n"
        "    names = {**vars(threading), 'kill': kill}; exec(held, names)\n"
        "    print(names['lock'].locked(), flush=True)\n"
        "    condition = threading.Condition()\n"
        "    with condition: condition.wait(30)\n"
    )
    result = run_interrupted(code, tmp_path)
    assert (result.stdout, result.stderr) == ("False\n", "fieldguide: interrupted; what was finished is kept\n")
    assert result.returncode in INTERRUPTED


@posix_only
def test_an_ignored_ctrl_c_stays_ignored(tmp_path):
    code = "def work():\n    os.kill(os.getpid(), signal.SIGINT)\n    print('done')\n    return 0"
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    result = run_interrupted(ignore + code, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


# Names in every script, where the terminal speaks another


SCRIPTS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "C": {"LC_ALL": "C"},
    "C, without Python's help": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory, colours) -> Path:
    """Photos whose classes and names are in several scripts."""
    folder = tmp_path_factory.mktemp("фото")
    for name, copy in {"red": "バラ", "blue": "tulipe é", "green": "🌻 sun"}.items():
        shutil.copytree(colours / name, folder / copy)
    return folder


@pytest.mark.parametrize("script", SCRIPTS)
def test_names_in_any_script_pass_through_any_encoding(run, foreign, tmp_path, script):
    environment = {**SCRIPTS[script], "FIELDGUIDE_CACHE": os.environ["FIELDGUIDE_CACHE"]}
    classes = sorted(p.name for p in foreign.iterdir())
    target = tmp_path / "führer.guide"
    trained = run("train", foreign, "-o", target, **environment)
    assert trained.returncode == 0, trained.stderr
    assert "Traceback" not in trained.stderr and "100.0 %" in trained.stdout
    answered = run("predict", target, foreign, "--json", **environment)
    assert answered.returncode == 0, answered.stderr
    facts = json.loads(answered.stdout)
    said = {a["answers"][0]["class"] for a in facts["predictions"]}
    if script != "C, without Python's help":  # which takes the names for bytes, and shows them as such
        assert sorted(said) == classes
        assert all(Path(a["photo"]).parent.name == a["answers"][0]["class"] for a in facts["predictions"])
    assert len(facts["predictions"]) == 36 and len(said) == 3
    rows = list(csv.reader(io.StringIO(run("predict", target, foreign, "--csv", "-", **environment).stdout)))
    assert len(rows) == 37
    refused = run("evaluate", target, foreign / "バラ", **environment)
    assert refused.returncode == 2 and re.fullmatch(r"fieldguide: .* but no class folders; .*\n", refused.stderr)


# Streams that are closed, names that break lines


@posix_only
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("option", ["", "--json"])
def test_a_closed_stream_is_no_error(saved_guide, colours, closed, option):
    command = f'exec "$0" -m fieldguide predict "$1" "$2" {option} {closed}'
    result = subprocess.run(
        ["sh", "-c", command, sys.executable, saved_guide, colours], capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert bool(result.stdout) == (">&-" not in closed.split())


@posix_only
def test_a_name_stays_on_its_line(run, saved_guide, colours, tmp_path):
    photo = tmp_path / "two\nlines.png"
    photo.write_bytes(next(Path(colours).rglob("*.png")).read_bytes())
    lines = run("predict", saved_guide, photo).stdout.splitlines()
    assert len(lines) == 1 and lines[0].endswith("two\\nlines.png")
