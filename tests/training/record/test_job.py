"""What a run is to do, as data."""

import json
from dataclasses import replace

import pytest

from fieldguide.errors import RecipeError, TrainingError
from fieldguide.training.recipe import load_recipe
from fieldguide.training.record.job import FORMAT_VERSION, Job, load_job, new_job
from fieldguide.training.record.keeper import Keeper

JOB = Job(
    kind="from nothing",
    data="digits",
    model="lenet",
    recipe_name="strong",
    recipe=load_recipe("strong").recipe.to_dict(),
    arguments={"width": 0.25, "small_input": True},
    size_px=32,
    fit="pad",
    seed=5,
    teachers=("a.guide", "b.guide"),
)


@pytest.fixture
def target(tmp_path):
    """The folder of a run."""
    Keeper(tmp_path / "run").keep_job(JOB.to_dict())
    return tmp_path / "run"


def change(target, **values):
    file = target / "training" / "job.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_job_survives_its_way_through_a_file(target):
    read = load_job(target)
    assert read == JOB and read.settings() == load_recipe("strong").recipe
    assert len(read.open_images()) == 1797


def test_paths_are_found_from_another_folder_and_names_stay_names(tmp_path, monkeypatch, saved_guide):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lenet").mkdir()
    (tmp_path / "some.safetensors").write_bytes(b"")
    (tmp_path / "body").symlink_to(saved_guide)
    on_files = {"data_root": "sets", "model": "body/", "weights": "some.safetensors"}
    tuned = replace(JOB, kind="fine-tuning", **on_files).to_dict()
    assert {name: tuned[name] for name in on_files} == {
        "data_root": str(tmp_path / "sets"),
        "model": str(tmp_path / "body"),
        "weights": str(tmp_path / "some.safetensors"),
    }
    for kind in ("from nothing", "fine-tuning", "without labels"):
        named = replace(JOB, kind=kind).to_dict()
        assert (named["data"], named["data_root"], named["weights"]) == ("digits", None, None)
        assert named["model"] == "lenet", "a network, for the folder of that name is no backbone's"
    assert replace(JOB, data="").to_dict()["data"] == "", "given as an object"


def test_photos_are_found_from_another_folder_and_a_named_set_beside_a_run_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    orders = {"model": "lenet", "recipe": "lesson", "settings": {}}
    assert new_job("from nothing", "photos", **orders).data == str(tmp_path / "photos")
    named = new_job("from nothing", "digits", **orders)
    Keeper(tmp_path / "digits").keep_job(named.to_dict())
    assert len(load_job(tmp_path / "digits").open_images()) == 1797


def test_a_set_is_called_what_it_was_called(colours):
    assert replace(JOB, data=str(colours), data_name="my colours").open_images().name == "my colours"


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, FORMAT_VERSION - 1, None, str(FORMAT_VERSION)])
def test_a_run_of_another_format_is_refused(target, version):
    change(target, format_version=version)
    message = (
        f"run holds a run of format {version}; this fieldguide takes up runs of format {FORMAT_VERSION}: remove "
        f"{target}/training and start it again, or go on with the version that began it"
    )
    with pytest.raises(TrainingError, match=message):
        load_job(target)


def test_a_run_with_other_orders_is_of_another_format(target):
    change(target, colour="red")
    message = (
        rf"holds a run with other orders \(colour\); this fieldguide takes up runs of format {FORMAT_VERSION}"
    )
    with pytest.raises(TrainingError, match=message):
        load_job(target)


def test_a_recipe_that_is_not_allowed_is_refused(target):
    change(target, recipe={**JOB.recipe, "lr": -1})
    with pytest.raises(RecipeError, match="lr is -1; it must be above 0"):
        load_job(target).settings()
    change(target, recipe={**JOB.recipe, "colour": 1})
    with pytest.raises(RecipeError, match="no setting of a recipe is called 'colour'"):
        load_job(target).settings()


def test_where_there_is_no_run_it_says_what_was_expected(tmp_path, saved_guide):
    message = "none holds no unfinished run; expected the folder that 'fieldguide train -o' names"
    with pytest.raises(TrainingError, match=message):
        load_job(tmp_path / "none")
    message = "none holds no unfinished run; expected the folder that 'fieldguide pretrain -o' names"
    with pytest.raises(TrainingError, match=message):
        load_job(tmp_path / "none", without_labels=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="file holds no unfinished run"):
        load_job(tmp_path / "file")
    message = rf"{saved_guide} is finished: it is a guide; try: fieldguide evaluate {saved_guide} PHOTOS"
    with pytest.raises(TrainingError, match=message):
        load_job(saved_guide)


def test_photos_that_were_an_object_must_be_passed_again():
    with pytest.raises(
        TrainingError, match=r"photos were given as an object; pass them to resume\(run, data=...\)"
    ):
        replace(JOB, data="").open_images()
