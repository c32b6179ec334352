"""``fieldguide models``, as a process."""

import json
from dataclasses import asdict

import pytest

from fieldguide.models import MODELS


def names(result):
    return [line.split()[0] for line in result.stdout.splitlines()[2:] if line]


def test_lists_every_network_with_its_facts(run):
    result = run("models")
    assert (result.returncode, result.stderr) == (0, "")
    assert names(result) == MODELS.names()
    lite = next(line for line in result.stdout.splitlines() if line.split()[:1] == ["efficientnet_lite0"])
    facts = ["4.65", "M", "385", "M", "224", "2020", "installed", "github.com/tensorflow/tpu"]
    assert lite.split() == ["efficientnet_lite0", *facts]
    assert max(map(len, result.stdout.splitlines())) <= 100, "a terminal of 100 columns cuts nothing"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("vgg*_bn", ["vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"]),
        ("resnet[15]0*", ["resnet101", "resnet50"]),
        ("LeNet*", ["lenet"]),
        ("lite", [f"efficientnet_lite{n}" for n in range(5)]),
    ],
)
def test_a_pattern_chooses(run, pattern, expected):
    assert names(run("models", pattern)) == [name for name in expected if name in MODELS]


@pytest.mark.parametrize("sort", ["params", "macs", "year"])
def test_they_can_be_ordered(run, sort):
    found = json.loads(run("models", "*net*", "--sort", sort, "--json").stdout)
    assert [facts[sort] for facts in found] == sorted(facts[sort] for facts in found)
    first = found[0]
    entry = MODELS[first["name"]]
    assert first == {"name": entry.name, **asdict(entry.facts), "weights": first["weights"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet19"], "no model's name matches 'resnet19', did you mean 'resnet"),
        (["zzz*"], "no model's name matches 'zzz*'; `fieldguide models` lists them all\n"),
        (
            ["--sort", "beauty"],
            "Invalid value for '--sort': 'beauty' is not one of 'name', 'params', 'macs', 'year'",
        ),
    ],
)
def test_a_mistake_is_one_line(run, arguments, message):
    result = run("models", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"fieldguide: {message}") and result.stderr.count("\n") == 1
