"""``fieldguide recipes``, as a process."""

import json

from fieldguide.training.recipe import Recipe, recipe_names


def test_every_recipe_is_listed_with_its_command(run):
    result = run("recipes")
    assert (result.returncode, result.stderr) == (0, "")
    for name in recipe_names():
        assert f"\n{name}: " in f"\n{result.stdout}"
    assert "    fieldguide train cifar10 --model resnet20 --recipe baseline" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last == "fieldguide recipes NAME shows every setting of one; --set NAME=VALUE changes any of them"


def test_one_recipe_shows_every_setting(run):
    result = run("recipes", "strong", COLUMNS="40")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("strong: ")
    rows = {line.split()[0]: line for line in lines if line.startswith(" ")}
    assert set(Recipe().to_dict()) <= set(rows)
    assert rows["optimiser"].split()[:4] == ["optimiser", "*", "adamw", "sgd"]
    assert rows["momentum"].split()[:3] == ["momentum", "0.9", "0.9"]
    assert rows["flip"].split()[:3] == ["flip", "true", "true"]
    assert lines[-1] == "* the recipe's own; --set NAME=VALUE changes any of them"


def test_json(run):
    (facts,) = json.loads(run("recipes", "plateau", "--json").stdout)
    assert facts["recipe"]["schedule"] == "plateau" and "schedule" in facts["stated"]
    assert [each["name"] for each in json.loads(run("recipes", "--json").stdout)] == recipe_names()


def test_a_recipe_that_there_is_not_is_a_mistake(run):
    result = run("recipes", "strng")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "fieldguide: no recipe is called 'strng', did you mean 'strong'?\n"


def test_a_recipe_of_one_s_own_is_shown(run, tmp_path):
    (tmp_path / "my.toml").write_text("[settings]\nlr = 0.25\n")
    result = run("recipes", tmp_path / "my.toml")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == str(tmp_path / "my.toml")
    assert ["lr", "*", "0.25"] in [line.split()[:3] for line in lines]
