"""``fieldguide sample`` and ``fieldguide cache``, as processes."""

import json
import re

import fieldguide as fg


def test_a_sample_is_an_image_folder_to_train_on(run, tmp_path):
    folder = tmp_path / "some" / "digits"
    result = run("sample", "digits", folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"1797 photos of 10 classes are in {folder}",
        f"try: fieldguide train {folder}",
    ]
    images = fg.open_images(folder)
    assert len(images) == 1797 and images.class_names == tuple("0123456789")


def test_the_cache_can_be_looked_at_and_cleared(run, saved_guide, colours, no_features):
    assert run("predict", saved_guide, colours / "red").returncode == 0
    text, facts = run("cache").stdout, json.loads(run("cache", "--json").stdout)
    kinds = {entry["kind"]: entry for entry in facts["entries"]}
    assert (
        facts["folder"] == str(no_features) and facts["max_bytes"] == 4_000_000_000 and facts["freed_bytes"] == 0
    )
    assert kinds["features"]["photos"] == 12 and f"{no_features} keeps " in text
    assert re.search(rf"features +{kinds['features']['name']} +12 +\d+\.\d MB", text)
    cleared = run("cache", "--clear")
    assert cleared.returncode == 0 and re.match(r"freed \d+\.\d MB\n", cleared.stdout)
    assert json.loads(run("cache", "--json").stdout)["entries"] == []


def test_a_cache_that_is_not_there_is_empty(run, own_cache):
    result = run("cache")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{own_cache} keeps 0.0 MB\n")
    assert not own_cache.exists(), "looking makes nothing"
