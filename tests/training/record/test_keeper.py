"""Where a run is kept while it lasts."""

import errno
import json
import os
from pathlib import Path

import pytest
import torch

from fieldguide.errors import GuideError, TrainingError
from fieldguide.guide_format import check_replaceable
from fieldguide.training.record.checkpoint import BEST, LAST, Checkpoint
from fieldguide.training.record.keeper import Keeper, read_job, start_anew


def at(step):
    return Checkpoint(step, {"weight": torch.full((2,), float(step))}, {})


def test_a_run_is_kept_in_a_folder_of_the_guide(tmp_path):
    keeper = Keeper(tmp_path / "x.guide")
    assert keeper.last() is keeper.take_up() is None and not (tmp_path / "x.guide").exists()
    keeper.keep_job({"kind": "từ không", "seed": 1})
    keeper.keep(at(3), BEST)
    keeper.keep(at(4), LAST)
    keeper.keep_history([])
    assert keeper.last().step == 4 and keeper.best(3).step == 3
    assert read_job(tmp_path / "x.guide") == {"kind": "từ không", "seed": 1}
    run = tmp_path / "x.guide" / "training"
    assert {path.name for path in run.iterdir()} == {"job.json", "history.csv", "checkpoints"}
    assert (run / "history.csv").read_bytes().startswith(b"epoch,step,")
    assert keeper.last_good() == f"the last good checkpoint is of step 4, in {tmp_path / 'x.guide'}"
    check_replaceable(tmp_path / "x.guide")


def test_without_a_place_the_best_weights_are_copied_to_memory():
    keeper = Keeper(None, interval_s=0)
    best = at(3)
    keeper.keep(best, BEST)
    keeper.keep(at(4), LAST)
    keeper.keep_history([])
    keeper.keep_job({})
    best.tensors["weight"].zero_()  # as the optimiser does, in place
    assert keeper.best(3).tensors["weight"].tolist() == [3, 3]
    assert keeper.last() is keeper.take_up() is keeper.folder is None and not keeper.is_due()
    assert keeper.last_good() == "no step was kept"
    assert keeper.how_to_start_again() == ""
    assert keeper.how_to_go_on(3, 9) == "stopped at step 3 of 9; nothing is kept, for no output was named"


@pytest.mark.parametrize("last", [None, 4])
def test_what_is_taken_up_is_the_newest_and_what_came_after_it_is_gone(tmp_path, last):
    keeper = Keeper(tmp_path)
    keeper.keep(at(3), BEST)
    if last:
        keeper.keep(Checkpoint(last, {}, {"state": {"best_step": 3}}), LAST)
    keeper.keep(at(9), BEST)
    assert (keeper.take_up() or Checkpoint(None, {}, {})).step == last
    names = sorted(path.name for path in (tmp_path / "training" / "checkpoints").iterdir())
    assert names == (["000000004", "best-000000003"] if last else [])


def test_how_to_go_on_is_a_command_that_a_shell_takes(tmp_path):
    assert Keeper(Path("my run")).how_to_go_on(3, 9) == (
        "stopped at step 3 of 9, which is kept; go on with: fieldguide train --resume 'my run'"
    )
    assert Keeper(Path("run")).how_to_go_on(3, 9).endswith("--resume run")


def test_a_checkpoint_is_due_after_the_interval(tmp_path):
    assert Keeper(tmp_path, interval_s=0).is_due()
    assert not Keeper(tmp_path, interval_s=1e9).is_due()
    keeper = Keeper(tmp_path, interval_s=100)
    keeper._last_kept -= 200
    assert keeper.is_due()
    keeper.keep(at(1), BEST)
    assert keeper.is_due()
    keeper.keep(at(1), LAST)
    assert not keeper.is_due()


@pytest.mark.parametrize(
    ("write", "name", "advice"),
    [
        ("keep_job", "job.json", "or choose another folder"),
        ("keep_history", "history.csv", "and go on with: fieldguide train --resume "),
    ],
)
def test_a_full_disk_is_told_of(tmp_path, monkeypatch, write, name, advice):
    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    message = rf"training/{name} can't be written: No space left on device; make room, {advice}"
    with pytest.raises(TrainingError, match=message):
        getattr(Keeper(tmp_path), write)([] if write == "keep_history" else {})


def test_an_unfinished_run_is_not_started_over(tmp_path):
    target = tmp_path / "my run"
    Keeper(target).keep_job({"seed": 1})
    message = (
        rf"{target} holds an unfinished run; go on with: fieldguide train --resume '{target}', or remove "
        rf"{target / 'training'}, or choose another name"
    )
    with pytest.raises(TrainingError, match=message):
        start_anew(target)
    assert read_job(target) == {"seed": 1}


def test_what_a_run_left_that_was_killed_before_it_began_is_cleared_away(tmp_path):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / ".job.json.ab12.tmp").write_text("{")
    check_replaceable(tmp_path)
    start_anew(tmp_path)
    assert list(tmp_path.iterdir()) == []
    start_anew(tmp_path / "none")


@pytest.mark.parametrize("content", ["", "{", "5", "[1, 2]"])
def test_a_damaged_job_is_told_of_and_nothing_is_lost(tmp_path, content):
    Keeper(tmp_path).keep(at(1), LAST)
    job = tmp_path / "training" / "job.json"
    job.write_text(content)
    message = rf"{job} is damaged: .*; remove {job.parent}, and start the run again"
    for ask in (read_job, start_anew):
        with pytest.raises(TrainingError, match=message):
            ask(tmp_path)
    assert Keeper(tmp_path).last().step == 1


def test_there_is_no_job_in_a_file_or_in_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert read_job(tmp_path / "file") is None and read_job(tmp_path / "none") is None


@pytest.mark.parametrize("beside", [{}, {"guide.json": "{}"}], ids=["alone", "in a guide"])
def test_a_folder_of_photos_called_training_is_not_taken_for_a_run(tmp_path, beside):
    photo = tmp_path / "data" / "training" / "cat" / "1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"a cat")
    for name, content in beside.items():
        (tmp_path / "data" / name).write_text(content)
    with pytest.raises(GuideError, match="data holds 'training', which is no part of a guide and would be lost"):
        check_replaceable(tmp_path / "data")
    assert photo.exists()


@pytest.mark.parametrize("is_folder", [True, False])
def test_what_is_no_run_is_never_removed(tmp_path, is_folder):
    place = tmp_path / "data" / "training"
    photo = place / "cat" / "1.jpg" if is_folder else place
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"a cat")
    target = tmp_path / "data"
    message = rf"^{place} is no training run, and would be lost; move it, or choose another name than {target}$"
    with pytest.raises(TrainingError, match=message):
        start_anew(target)
    assert photo.read_bytes() == b"a cat"


def test_a_run_beside_something_foreign_is_not_replaced(tmp_path):
    Keeper(tmp_path).keep_job({"seed": 1})
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(GuideError, match=r"holds 'notes\.txt', which is no part of a guide"):
        check_replaceable(tmp_path)
    assert json.loads((tmp_path / "training" / "job.json").read_text()) == {"seed": 1}
