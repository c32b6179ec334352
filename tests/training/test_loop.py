"""The loop: what a step does, what a run keeps, and that an interrupted one ends with the bits of a whole one."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import fieldguide as fg
from fieldguide.data import Preprocess
from fieldguide.errors import StoppedError, TrainingError
from fieldguide.training.compute.arithmetic import Arithmetic, _has_bfloat16, choose_arithmetic, prepare
from fieldguide.training.compute.processes import OneProcess
from fieldguide.training.judge import evaluation_batch_size, is_better, judge_pictures
from fieldguide.training.lesson import Lesson
from fieldguide.training.loop import Trainer
from fieldguide.training.network import Classifier
from fieldguide.training.order import shared_batch_size
from fieldguide.training.photos.augment import Augmentation
from fieldguide.training.photos.pictures import load_pictures
from fieldguide.training.recipe import Recipe
from fieldguide.training.record.history import Epoch
from fieldguide.training.record.keeper import Keeper
from fieldguide.training.record.state import State

CPU = torch.device("cpu")
STRONG = {
    "epochs": 2,
    "batch_size": 6,
    "warmup_epochs": 0.5,
    "ema": 0.9,
    "erasing": 0.25,
    "dropout": 0.2,
    "validation": 0.2,
    "precision": "float32",
}  # with the rest of the recipe of that name: AdamW, RandAugment, Mixup, CutMix, crops, smoothing, clipping


class PowerCutError(BaseException):
    """Nothing handles it."""


def digits(count=120, start=0):
    """Pictures of the first digits, 8x8 and grey."""
    images = fg.open_images("digits")
    numbers = np.arange(len(images))
    preprocess = Preprocess(size_px=8, mean=(0.5,), std=(0.5,), channels=1)
    return load_pictures(images.select((numbers >= start) & (numbers < start + count)), preprocess)


def layers(*, norm=False, dropout=0.0):
    """A small network, always with the same weights."""
    torch.manual_seed(0)
    parts = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8) if norm else nn.Tanh(), nn.Flatten()]
    body = nn.Sequential(*parts, nn.Linear(8 * 64, 16), nn.Tanh(), nn.Dropout(dropout))
    return Classifier(body, nn.Linear(16, 10))


def lesson(network=None, *, validation=None, count=120, **settings):
    plain = {"flip": False, "batch_size": 24, "epochs": 2, "lr": 0.05, "schedule": "constant"}
    recipe = Recipe(**{**plain, **settings})
    network = network or layers()
    pictures = digits(count)
    return Lesson(
        network=network,
        pictures=pictures,
        validation=validation,
        class_names=tuple("0123456789"),
        size_px=8,
        recipe=recipe,
        seed=3,
        arithmetic=choose_arithmetic(network, (2, 1, 8, 8), CPU, precision="float32"),
        augment=Augmentation(recipe, pictures.preprocess, num_classes=10, seed=3, device=CPU),
    )


def trainer(network=None, *, keeper=None, on_progress=lambda *_: None, on_epoch=lambda _: None, **settings):
    made = lesson(network, **settings)
    return Trainer(made, OneProcess(), keeper or Keeper(None), on_progress=on_progress, on_epoch=on_epoch)


def learn(network=None, **settings):
    return trainer(network, **settings).run()


def steps_of(made, count):
    """Take some steps, and return their losses."""
    made.set_modes()
    stage, losses = made.stage(0), []
    for step, pictures in made.batches(range(count)):
        made.schedule.set_lr(step, [])
        losses.append(float(made.learn(step, stage, pictures)))
    return losses


# One step


def test_it_learns():
    seen = []
    made = trainer(epochs=8, lr=0.2, on_epoch=seen.append, validation=digits(60, start=200))
    network = made.run()
    assert [epoch.epoch for epoch in seen] == list(range(1, 9)) and seen[-1].step == made.total_steps == 40
    assert seen[-1].train_loss < 0.5 * seen[0].train_loss and seen[-1].validation_top1 > 0.6
    assert all(epoch.lr == 0.2 and epoch.size_px == 8 and epoch.photos_per_s > 0 for epoch in seen)
    assert not network.training


@pytest.mark.parametrize("settings", [{}, {"balance": "weights", "label_smoothing": 0.1}, {"clip_norm": 0.05}])
def test_a_batch_in_parts_is_the_batch(settings):
    whole, parts = layers(), layers()
    common = {"batch_size": 24, "shift": 0.125, **settings}
    assert_close(steps_of(trainer(whole, **common), 6), steps_of(trainer(parts, **common, accumulate=3), 6))
    for (name, ours), theirs in zip(parts.named_parameters(), whole.parameters(), strict=True):
        assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=name)


def test_gradients_are_clipped_all_together():
    network = layers()
    before = [parameter.clone() for parameter in network.parameters()]
    steps_of(trainer(network, lr=1.0, momentum=0.0, weight_decay=0.0, clip_norm=0.01), 1)
    moved = torch.cat([(p - b).flatten() for p, b in zip(network.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_what_is_frozen_stays_with_its_statistics():
    network = layers(norm=True, dropout=0.5)
    network.body.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    made = trainer(network)
    made.set_modes()
    assert not network.body.training and not network.body[1].training and network.classifier.training
    steps_of(made, 3)
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_statistics_alone_can_be_frozen():
    network = layers(norm=True, dropout=0.5)
    mean, weight = network.body[1].running_mean.clone(), network.body[0].weight.clone()
    steps_of(trainer(network, batch_norm="frozen"), 3)
    assert torch.equal(network.body[1].running_mean, mean) and not torch.equal(network.body[0].weight, weight)
    assert network.body[-1].training, "dropout goes on"


def test_dropout_is_as_strong_as_the_stage():
    seen = []
    network = layers(dropout=0.4)
    made = trainer(network, stages=2, first_strength=0.5, on_progress=lambda *_: seen.append(network.body[-1].p))
    made.run()
    assert seen == pytest.approx([0.2] * 5 + [0.4] * 5)


def test_averaged_weights_are_those_that_answer():
    made = trainer(epochs=1, ema=0.9)
    result = made.run()
    assert result is made.judged is not made.network
    names = dict(result.named_parameters())
    assert all(not torch.equal(names[name], parameter) for name, parameter in made.network.named_parameters())
    plain = trainer(epochs=1)
    assert plain.judged is plain.network


def test_the_best_network_is_returned_not_the_last():
    seen, validation = [], digits(60, start=200)
    made = trainer(epochs=6, lr=0.9, momentum=0.97, on_epoch=seen.append, validation=validation)
    result = made.run()
    found = judge_pictures(result, validation, made.lesson, OneProcess())
    scores = [(epoch.validation_top1, epoch.validation_loss) for epoch in seen]
    best = max(scores, key=lambda score: (score[0], -score[1]))
    assert best == made.state.best
    assert (found.top1, found.log_loss) == pytest.approx(best)
    assert best != scores[-1], "else this shows nothing"


def test_of_as_many_right_the_lower_loss_is_better():
    assert is_better((0.9, 2.0), (0.8, 1.0)) and is_better((0.9, 1.0), (0.9, 2.0))
    assert not is_better((0.9, 1.0), (0.9, 1.0)) and not is_better((0.8, 0.1), (0.9, 1.0))


def test_of_large_pictures_fewer_are_judged_at_once():
    assert [evaluation_batch_size(size_px) for size_px in (8, 64, 128, 224, 1024)] == [256, 256, 64, 20, 8]


def test_a_part_of_an_epoch_is_a_row_too():
    seen = []
    learn(epochs=1.4, on_epoch=seen.append)
    assert [(epoch.epoch, epoch.step) for epoch in seen] == [(1, 5), (2, 7)]
    assert seen[0].validation_loss is None


def test_progress_counts_steps():
    told = []
    learn(epochs=1, on_progress=lambda *values: told.append(values))
    assert told == [("steps", step, 5) for step in range(1, 6)]


@pytest.mark.parametrize("wanted", [True, False])
def test_deterministic_is_asked_of_torch_while_it_learns(wanted):
    during = []
    learn(
        epochs=0.5,
        deterministic=wanted,
        on_progress=lambda *_: during.append(torch.are_deterministic_algorithms_enabled()),
    )
    assert set(during) == {wanted} and not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_compiled_network_learns_the_same_in_bfloat16():
    if not _has_bfloat16(CPU):
        pytest.skip("this processor has no instructions for bfloat16")
    arithmetic, losses = Arithmetic(precision="bfloat16"), []
    for compiled in (False, True):
        made = replace(lesson(layers(norm=True), compile=compiled), arithmetic=arithmetic)
        prepare(made.network, arithmetic, CPU, compiles=compiled)
        losses.append(steps_of(Trainer(made, OneProcess(), Keeper(None)), 4))
    assert_close(*losses, rtol=0.03, atol=0.01)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_compiled_network_learns_the_same():
    plain, compiled = layers(), layers()
    assert_close(steps_of(trainer(plain), 4), steps_of(trainer(compiled, compile=True), 4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "plateau"])
def test_every_optimiser_and_schedule_runs(kind, schedule):
    judged = digits(40, start=200)
    network = learn(optimiser=kind, schedule=schedule, epochs=1, lr=0.01, validation=judged, count=48)
    assert all(parameter.isfinite().all() for parameter in network.parameters())


# Sharing out


def test_batches_are_shared_out_evenly():
    assert shared_batch_size(Recipe(batch_size=24), 100, 4) == 24
    assert shared_batch_size(Recipe(batch_size=64, accumulate=2), 27, 2) == 24
    message = "batch_size is 10, which can't be shared out to 2 processes in 2 parts each; make it a multiple of 4"
    with pytest.raises(TrainingError, match=message):
        shared_batch_size(Recipe(batch_size=10, accumulate=2), 100, 2)
    message = (
        r"3 photos can't be shared out to 4 parts of a batch \(1 processes, accumulate=4\); set accumulate=1, or "
        "start fewer processes"
    )
    with pytest.raises(TrainingError, match=message):
        shared_batch_size(Recipe(batch_size=64, accumulate=4), 3, 1)


def test_a_state_survives_json_to_the_bit():
    epoch = Epoch(
        epoch=1, step=3, size_px=8, lr=0.1, train_loss=1 / 3, validation_loss=None, validation_top1=None,
        photos_per_s=1e9, seconds=0.1 + 0.2, seconds_left=1 / 3,
    )  # fmt: skip
    state = State(7, [epoch, replace(epoch, epoch=2)], 0.1 + 0.7, 12, 1e-9, 2 / 3, (0.9, 1 / 7), 6)
    assert State.from_dict(json.loads(json.dumps(state.to_dict()))) == state
    assert State.from_dict(json.loads(json.dumps(State().to_dict()))) == State()


# Losses that are no numbers


@pytest.mark.parametrize(
    ("interval_s", "what", "kept"),
    [
        (1000, r"the loss is (nan|inf) at step [2-9]", "no step was kept"),
        (
            0,
            r"a weight is no finite number after step [2-9]",
            r"the last good checkpoint is of step \d, in .*/run",
        ),
    ],
    ids=["the loss", "a weight"],
)
def test_what_is_no_number_ends_the_run_with_the_step_the_rate_and_what_is_kept(tmp_path, interval_s, what, kept):
    made = trainer(lr=1e30, momentum=0.0, keeper=Keeper(tmp_path / "run", interval_s=interval_s))
    message = (
        rf"{what} of 10, at the learning rate 1e\+30; {kept}; remove {tmp_path}/run/training, or name another "
        r"output, and try a lower one, such as --set lr=1e\+29, or --set clip_norm=1$"
    )
    with pytest.raises(TrainingError, match=message):
        made.run()
    last = Keeper(tmp_path / "run").last()
    assert (last is None) == bool(interval_s)
    if last:
        assert last.step < made.state.step and np.isfinite(last.facts["state"]["loss_sum"])
        assert all(tensor.isfinite().all() for tensor in last.tensors.values()), "it is good"


def test_weights_that_are_no_numbers_are_never_kept(tmp_path):
    how = {"lr": 1e38, "epochs": 0.2, "clip_norm": 1.0, "momentum": 0.0, "weight_decay": 1e30}
    made = trainer(**how, keeper=Keeper(tmp_path), validation=digits(60, start=200))
    message = (
        r"a weight is no finite number after step 1 of 1, at the learning rate 1e\+38; no step was kept; remove "
        rf"{tmp_path}/training, or name another output, and try a lower one, such as --set lr=1e\+37$"
    )
    with pytest.raises(TrainingError, match=message):
        made.run()
    assert Keeper(tmp_path).last() is None and not list(tmp_path.rglob("best-*"))


# Batches that can't be learnt from


def test_a_batch_that_takes_more_memory_than_there_is_is_told_of(tmp_path):
    def greedy(outputs, targets, images):
        return outputs.sum() * torch.empty(1 << 50)

    made = Trainer(replace(lesson(accumulate=2), loss=greedy), OneProcess(), Keeper(None))
    message = (
        "a batch of 24 photos in 2 parts takes more memory than there is; try --set accumulate=4, which learns "
        "from it in more parts, a smaller --batch-size, or a smaller --size"
    )
    with pytest.raises(TrainingError, match=message):
        made.run()
    made = Trainer(replace(lesson(batch_size=3), loss=greedy), OneProcess(), Keeper(tmp_path))
    message = (
        f"a batch of 3 photos takes more memory than there is; remove {tmp_path}/training, or name another "
        "output, and try a smaller --batch-size, or a smaller --size"
    )
    with pytest.raises(TrainingError, match=message):
        made.run()


def test_single_photos_leave_a_norm_without_a_spread():
    message = (
        "a batch of 1 photo leaves a norm with one value a channel, which has no spread; learn from two photos or "
        "more at once: take a larger --batch-size, or a smaller accumulate"
    )
    with pytest.raises(TrainingError, match=message):
        fg.train_network("digits", model="resnet18", settings={"batch_size": 1, "epochs": 0.01})
    with pytest.raises(TrainingError, match=message):
        fg.find_lr("digits", model="resnet18", settings={"batch_size": 1})
    network = Classifier(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64)), nn.Linear(64, 10))
    with pytest.raises(
        TrainingError, match="learn from two photos or more at once: take more photos, or a smaller "
    ):
        learn(network, count=1, batch_size=24)


def test_an_operation_that_differs_each_time_is_told_of():
    def of_a_gpu(outputs, targets, images):
        raise RuntimeError("adaptive_max_pool2d_backward_cuda does not have a deterministic implementation, but")

    message = (
        r"this network has an operation that differs each time \(adaptive_max_pool2d_backward_cuda does not have "
        r".*\); leave deterministic out"
    )
    with pytest.raises(TrainingError, match=message):
        Trainer(replace(lesson(deterministic=True), loss=of_a_gpu), OneProcess(), Keeper(None)).run()


def test_cublas_is_told_before_its_first_product(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # to be undone
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    told = []

    def stop(*_):
        told.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        raise PowerCutError

    monkeypatch.setattr("fieldguide.training.preparation.build_network", stop)
    with pytest.raises(PowerCutError):
        fg.train_network("digits", model="mlp", settings={"deterministic": True})
    assert told == [":4096:8"]


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:dynamo_pgo force disabled")
def test_a_network_that_can_not_be_compiled_is_told_of(monkeypatch):
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("/no/compiler",))
    monkeypatch.setattr(config, "force_disable_caches", True)
    message = r"the network can't be compiled \(.*C\+\+ compiler.*\); leave compile=true out, or mend that first"
    with pytest.raises(TrainingError, match=message):
        learn(compile=True, epochs=0.2)


def test_other_errors_stay_as_they_are():
    def wrong(outputs, targets, images):
        raise ValueError("of a bug")

    with pytest.raises(ValueError, match="of a bug"):
        Trainer(replace(lesson(), loss=wrong), OneProcess(), Keeper(None)).run()


# Interrupted runs


def train(data, target, *, model="mobilenet_v2", settings=STRONG, recipe="strong", **options):
    how = {"size_px": 32, "engine": "torch-cpu", "seed": 7, **options}
    how.setdefault("arguments", {"width": 0.25} if model == "mobilenet_v2" else {})
    return fg.train_network(data, model=model, output=target, recipe=recipe, settings=settings, **how)


def digest(target):
    return hashlib.sha256((target / "model.safetensors").read_bytes()).hexdigest()


def at_step(number, act):
    """Return a progress function that acts once, after so many steps of a process."""
    counted = []

    def on_progress(stage, done, total):
        if stage == "steps":
            counted.append(done)
            if len(counted) == number:
                act()

    return on_progress


@pytest.fixture(scope="module")
def whole(colours, tmp_path_factory):
    """An uninterrupted run."""
    target = tmp_path_factory.mktemp("whole") / "run"
    train(colours, target)
    return target


def test_two_runs_of_a_seed_give_the_same_bits_and_another_seed_gives_others(colours, whole, tmp_path):
    assert not (whole / "training").exists(), "the guide has replaced it"
    train(colours, tmp_path / "again")
    assert digest(tmp_path / "again") == digest(whole)
    train(colours, tmp_path / "other", seed=8)
    assert digest(tmp_path / "other") != digest(whole)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_over_and_over_it_ends_with_the_same_bits(colours, whole, tmp_path, seed):
    script = Path(__file__).with_name("killed_over_and_over.py")
    how = {"model": "mobilenet_v2", "settings": STRONG}
    arguments = [colours, tmp_path / "run", json.dumps(how), seed, 6]
    ended = subprocess.run(
        [sys.executable, script, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr
    endings = json.loads(ended.stdout)
    assert endings.count(-signal.SIGKILL) >= 3 and endings[-1] == 0
    assert digest(tmp_path / "run") == digest(whole)
    history = [line.split(",")[:7] for line in (tmp_path / "run" / "history.csv").read_text().splitlines()]
    expected = [line.split(",")[:7] for line in (whole / "history.csv").read_text().splitlines()]
    assert history == expected, "all but the times"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {path.name for path in whole.iterdir()}
    assert fg.load(tmp_path / "run").class_names == ("blue", "green", "red")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, 4])
def test_stopped_by_a_signal_it_keeps_the_step_and_goes_on_to_the_same_bits(
    colours, whole, tmp_path, number, step
):
    target = tmp_path / "run"
    with pytest.raises(StoppedError) as caught:
        train(colours, target, on_progress=at_step(step, lambda: os.kill(os.getpid(), number)))
    assert caught.value.signal_number == number
    total = fg.load(whole).facts["training"]["steps"]
    kept = Keeper(target).last().step
    assert kept in (step, step + 1)
    assert str(caught.value) == (
        f"stopped at step {kept} of {total}, which is kept; go on with: fieldguide train --resume {target}"
    )
    fg.resume(target)
    assert digest(target) == digest(whole)


def test_stopped_while_the_last_epoch_is_judged_it_ends_there(colours, whole, tmp_path):
    total = fg.load(whole).facts["training"]["steps"]

    def on_epoch(epoch):
        if epoch.step == total:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedError, match=f"stopped at step {total} of {total}, which is kept; go on with: "):
        train(colours, tmp_path / "run", on_epoch=on_epoch)
    assert not (tmp_path / "run" / "guide.json").exists()
    fg.resume(tmp_path / "run")
    assert digest(tmp_path / "run") == digest(whole)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_fused_layers_resume_to_the_bit(colours, tmp_path, monkeypatch, precision):
    if precision == "bfloat16" and not _has_bfloat16(CPU):
        pytest.skip("this processor has no instructions for bfloat16")
    fused = Arithmetic(precision=precision, fused=True)
    monkeypatch.setattr("fieldguide.training.preparation.choose_arithmetic", lambda *_, **__: fused)
    settings = {**STRONG, "precision": "auto"}
    train(colours, tmp_path / "whole", settings=settings)
    cut_short(colours, tmp_path / "run", settings=settings)
    fg.resume(tmp_path / "run")
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")
    assert fg.load(tmp_path / "run").facts["training"]["arithmetic"] == asdict(fused)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("efficientnet_b0", {"epochs": 1, "drop_path_rate": 0.3, "ema": 0}),
        ("resnet20", {"optimiser": "sgd", "stages": 2, "first_size": 0.5, "first_strength": 0.5, "lr": 0.05}),
        ("resnet20", {"optimiser": "adam", "accumulate": 2, "balance": "sampling", "schedule": "linear"}),
        ("resnet20", {"schedule": "plateau", "plateau_patience": 0, "validation": 0.3, "mixup": 0}),
    ],
    ids=["stochastic depth", "progressive SGD", "Adam in parts", "plateau"],
)
def test_other_settings_resume_to_the_bit(colours, tmp_path, model, settings):
    settings = {**STRONG, **({"dropout": 0} if model == "resnet20" else {}), **settings}  # it has none
    train(colours, tmp_path / "whole", model=model, settings=settings)
    with pytest.raises(StoppedError):
        stop = at_step(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        train(colours, tmp_path / "run", model=model, settings=settings, on_progress=stop)
    fg.resume(tmp_path / "run")
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def cut_short(data, target, step=5, **options):
    """Leave a run as a kill after so many steps would."""

    def cut():
        raise PowerCutError

    with pytest.raises(PowerCutError):
        train(data, target, checkpoint_s=0, on_progress=at_step(step, cut), **options)


def test_a_damaged_newest_checkpoint_costs_only_its_steps(colours, whole, tmp_path):
    cut_short(colours, tmp_path / "run")
    places = sorted((tmp_path / "run" / "training" / "checkpoints").glob("0*"))
    assert [place.name for place in places] == ["000000003", "000000004"]
    (places[1] / "tensors.safetensors").write_bytes(b"torn")
    fg.resume(tmp_path / "run")
    assert digest(tmp_path / "run") == digest(whole)


@pytest.mark.parametrize("has_last", [True, False])
def test_the_best_weights_of_a_killed_run_do_not_win(colours, whole, tmp_path, has_last):
    cut_short(colours, tmp_path / "run")
    checkpoints = tmp_path / "run" / "training" / "checkpoints"
    assert list(checkpoints.glob("best-*")), "else this shows nothing"
    shutil.copytree(checkpoints / "000000004", checkpoints / "best-000000999")  # weights that fit nothing
    if not has_last:
        for place in checkpoints.glob("0*"):
            shutil.rmtree(place)
    fg.resume(tmp_path / "run")
    assert digest(tmp_path / "run") == digest(whole)


def test_damaged_checkpoints_and_a_damaged_job_are_told_of_and_nothing_is_lost(colours, tmp_path):
    cut_short(colours, tmp_path / "run")
    run = tmp_path / "run" / "training"
    kept = shutil.copytree(run, tmp_path / "kept")
    for place in (run / "checkpoints").glob("0*"):
        (place / "state.json").write_text("")
    message = rf"000000004 is damaged: .*000000003 is damaged: .*; remove {run}, and start the run again"
    with pytest.raises(TrainingError, match=message):
        fg.resume(tmp_path / "run")
    (run / "job.json").write_text("{")
    with pytest.raises(
        TrainingError, match=r"job\.json is damaged: .*; remove .*training, and start the run again"
    ):
        fg.resume(tmp_path / "run")
    assert {path.name for path in run.rglob("*")} == {path.name for path in kept.rglob("*")}


def test_changed_photos_are_noticed_and_taken_back(colour_folder, whole, tmp_path):
    cut_short(colour_folder, tmp_path / "run")
    photos = sorted(colour_folder.rglob("*.png"))
    held_back = {photo: photo.read_bytes() for photo in photos[:6]}
    for photo in held_back:
        photo.unlink()
    message = (
        r"the photos of .*colours have changed since this run began, or come in another order \(their fingerprint "
        r"was [0-9a-f]{12}, and is [0-9a-f]{12}\); put them back, under their names, or start a new run"
    )
    with pytest.raises(TrainingError, match=message):
        fg.resume(tmp_path / "run")
    for photo, content in held_back.items():
        photo.write_bytes(content)
    fg.resume(tmp_path / "run")
    assert digest(tmp_path / "run") == digest(whole)


def test_photos_that_come_in_another_order_are_noticed(colour_folder, tmp_path):
    cut_short(colour_folder, tmp_path / "run")
    photos = sorted((colour_folder / "red").glob("*.png"))
    for number, photo in enumerate(photos):
        photo.rename(photo.with_name(f"{99 - number}.png"))
    with pytest.raises(TrainingError, match=r"the photos of .*colours have changed since this run began"):
        fg.resume(tmp_path / "run")


def test_a_run_that_lies_among_its_own_photos_goes_on_and_another_starts(colour_folder, whole, tmp_path):
    cut_short(colour_folder, colour_folder / "x.guide")
    cut_short(colour_folder, tmp_path / "another")
    for target in (colour_folder / "x.guide", tmp_path / "another"):
        fg.resume(target)
        assert digest(target) == digest(whole)


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(colours, whole, tmp_path, monkeypatch):
    from fieldguide.training.record import checkpoint

    write = checkpoint._write

    def full(path, content):
        if "000000004" in str(path):
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(checkpoint, "_write", full)
    message = (
        r"000000004 can't be written: No space left on device; the checkpoints before it are whole: make room"
    )
    with pytest.raises(TrainingError, match=message):
        train(colours, tmp_path / "run", checkpoint_s=0)
    monkeypatch.undo()
    fg.resume(tmp_path / "run")
    assert digest(tmp_path / "run") == digest(whole)


def test_a_guide_that_is_there_stays_whole_until_the_new_one_is_finished(colours, saved_guide, whole, tmp_path):
    target = shutil.copytree(saved_guide, tmp_path / "x.guide")
    before = digest(target)
    cut_short(colours, target)
    assert digest(target) == before and fg.load(target).facts["head"]
    message = (
        r"x\.guide holds an unfinished run; go on with: fieldguide train --resume .*x\.guide, or remove "
        r".*training, or"
    )
    with pytest.raises(TrainingError, match=message):
        train(colours, target)
    fg.resume(target)
    assert digest(target) == digest(whole) and not (target / "training").exists()
    with pytest.raises(TrainingError, match=r"x\.guide is finished: it is a guide; try: fieldguide evaluate "):
        fg.resume(target)
