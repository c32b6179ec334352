"""``fieldguide memory``, as a process."""

import json
import re
import sys

import pytest


def test_a_table_and_a_prediction(run):
    result = run("memory", "resnet18", "--batch", "1,16", "--size", 96)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.match(r"resnet18, inference at 96 px on (cpu|cuda): limit \d+\.\d\d GB\n", result.stdout)
    for size in (1, 16):
        assert re.search(rf"^ *{size} +\d\.\d\d GB +\d\.\d\d GB +\d\.\d\d GB$", result.stdout, re.MULTILINE)
    assert re.search(r"the largest batch that fits, predicted: \d+\n", result.stdout)
    assert "last good" not in result.stdout, "all of them fitted"


@pytest.mark.skipif(sys.platform != "linux", reason="watches processes through /proc")
def test_memory_that_runs_out_is_a_result_and_no_failure(run):
    result = run("memory", "resnet18", "--batch", "1,8,512,1024", "--size", 96, "--train", "--limit", "0.9")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"^ *512 .* went over 0\.90 GB$", result.stdout, re.MULTILINE)
    assert re.search(r"^ *1024 .* not tried$", result.stdout, re.MULTILINE)
    assert "the last good batch: 8\n" in result.stdout
    predicted = int(re.search(r"predicted: (\d+)", result.stdout)[1])
    assert 8 <= predicted < 512


def test_json(run):
    result = run("memory", "lenet", "--batch", "4", "--train", "--json")
    facts = json.loads(result.stdout)
    assert (facts["model"], facts["size_px"], facts["train"]) == ("lenet", 32, True)
    assert facts["batches"][0]["batch_size"] == 4 and facts["batches"][0]["fault"] == ""
    assert facts["last_good_batch"] == 4 and facts["largest_batch"] is None, "one point makes no line"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet181",), "no model is called 'resnet181', did you mean 'resnet18'.*"),
        (
            ("resnet18", "--batch", "1,x"),
            "Invalid value: --batch is '1,x'; it must be sizes from 1 to 1000000, such as .*",
        ),
        (("resnet18", "--batch", "9" * 20), "Invalid value: --batch is '9{20}'; .*"),
        (("resnet18", "--batch", "0"), "Invalid value: --batch is '0'; .*"),
        (("resnet18", "--batch", ""), "Invalid value: --batch is ''; .*"),
        (("resnet18", "--limit", "0"), r"Invalid value: --limit is 0\.0; it must be a number of gigabytes .*"),
        (("resnet18", "--limit", "nan"), r"Invalid value: --limit is nan; .*"),
        (("resnet18", "--limit", "inf"), r"Invalid value: --limit is inf; .*"),
        (
            ("resnet18", "--size", "8"),
            r"Invalid value: resnet18: .*8x8 px; this network takes 32x32 px or more\. .*",
        ),
    ],
)
def test_a_mistake_is_one_line(run, arguments, message):
    result = run("memory", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert re.fullmatch(f"fieldguide: {message}\n", result.stderr), result.stderr
