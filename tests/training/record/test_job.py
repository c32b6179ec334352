"""What a run is to do, as data."""

import json
from dataclasses import replace

import pytest

from fieldguide.errors import RecipeError, TrainingError
from fieldguide.training.recipe import load_recipe
from fieldguide.training.record.job import FORMAT_VERSION, Job, load_job
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


@pytest.mark.parametrize("version", [2, 0, None, "1"])
def test_a_run_of_another_format_is_refused(target, version):
    change(target, format_version=version)
    message = (
        f"run holds a run of format {version}; this fieldguide takes up runs of format {FORMAT_VERSION}: start it "
        "again, or go on with the version that began it"
    )
    with pytest.raises(TrainingError, match=message):
        load_job(target)


def test_a_run_with_other_orders_is_of_another_format(target):
    change(target, colour="red")
    with pytest.raises(TrainingError, match=f"holds a run of format {FORMAT_VERSION}; this fieldguide takes up"):
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
