"""Checks that several processes make together: test_processes.py starts this file in two, by torchrun.

Each ``check_`` runs in both; what comes of it is printed as JSON by the first.
"""

import contextlib
import copy
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.numpy import load_file
from torch import nn
from torch.nn import functional as F

from fieldguide.data import open_images
from fieldguide.errors import TrainingError
from fieldguide.libraries import import_timm
from fieldguide.models import create_model
from fieldguide.progress import silent
from fieldguide.training import finetuning, preparation, pretraining, runs
from fieldguide.training.compute.processes import (
    OneProcess,
    Processes,
    SeveralProcesses,
    find_processes,
    is_first_to_fail,
)
from fieldguide.training.compute.synced_batch_norm import sync_batch_norm
from fieldguide.training.photos.augment import Augmentation
from fieldguide.training.recipe import load_recipe
from fieldguide.training.record.history import Epoch, ignore_epoch
from fieldguide.training.record.job import Job
from fieldguide.training.record.keeper import Keeper
from fieldguide.weights.tensors import serialise

CPU = torch.device("cpu")


def check_rows_come_in_order_whatever_their_number(processes: SeveralProcesses) -> None:
    for count in range(9):
        rows = torch.arange(2 * count).view(count, 2).float()
        gathered = processes.gather(rows[processes.rank :: processes.count], count)
        assert torch.equal(gathered, rows), count


def check_means_and_flags_are_of_all(processes: SeveralProcesses) -> None:
    assert processes.mean(torch.tensor([1.0, 3.0]) + processes.rank).tolist() == [1.5, 3.5]
    assert processes.any(processes.rank == 1, False, True) == [True, False, True]


def check_the_first_acts_and_all_have_what_it_returns(processes: SeveralProcesses) -> None:
    acted = []
    assert processes.once(lambda: acted.append(1) or {"rank": processes.rank}) == {"rank": 0}
    assert len(acted) == (processes.rank == 0)


def check_what_the_first_raises_all_raise(processes: SeveralProcesses) -> None:
    def fail() -> None:
        raise TrainingError("the disk of process 0 is full")

    with pytest.raises(TrainingError, match="the disk of process 0 is full"):
        processes.once(fail)


def check_the_first_of_a_machine_acts_before_the_others(processes: SeveralProcesses) -> None:
    place = Path(sys.argv[1]) / "downloaded"

    def download() -> bool:
        was_there = place.exists()
        place.touch()
        return was_there

    assert processes.first_here(download) == (processes.rank == 1)


def check_one_of_those_that_fail_says_why(processes: SeveralProcesses) -> None:
    says = torch.tensor([float(is_first_to_fail())])
    assert processes.mean(says).item() == 0.5


def check_a_lost_connection_is_told_and_other_errors_are_left_alone(processes: SeveralProcesses) -> None:
    with pytest.raises(TrainingError, match=r"process \d of 2 lost another one.*--resume"), processes.together():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1234")
    with pytest.raises(RuntimeError, match="shape"), processes.together():
        raise RuntimeError("shape '[3]' is invalid for input of size 4")


def _norms() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    import_timm()
    from timm.layers import BatchNormAct2d

    torch.manual_seed(0)
    return {
        "images": (nn.BatchNorm2d(4), (6, 4, 5, 3)),
        "features": (nn.BatchNorm1d(4), (6, 4)),
        "without weights": (nn.BatchNorm2d(4, affine=False), (6, 4, 2, 2)),
        "cumulative": (nn.BatchNorm2d(4, momentum=None), (6, 4, 2, 2)),
        "timm's with an activation": (BatchNormAct2d(4), (6, 4, 5, 3)),
    }


def check_a_batch_is_normalised_as_by_one_process(processes: SeveralProcesses) -> None:
    for name, (whole, shape) in _norms().items():
        shared = sync_batch_norm(copy.deepcopy(whole), CPU)
        for _ in range(2):
            values, target = (3 + 2 * torch.randn(shape) for _ in range(2))
            ours, theirs = (values.clone().requires_grad_() for _ in range(2))
            own = slice(processes.rank * 3, processes.rank * 3 + 3)
            expected, actual = whole(theirs), shared(ours[own])
            torch.testing.assert_close(actual, expected[own], msg=lambda text, name=name: f"{name}: {text}")
            ((expected - target) ** 2).mean().backward()
            ((actual - target[own]) ** 2).mean().backward()
            torch.testing.assert_close(ours.grad[own] / 2, theirs.grad[own])
        for (key, parameter), other in zip(whole.named_parameters(), shared.parameters(), strict=True):
            torch.testing.assert_close(processes.mean(other.grad), parameter.grad, msg=f"{name}, {key}")
        for key, value in whole.state_dict().items():
            torch.testing.assert_close(shared.state_dict()[key], value, msg=f"{name}, {key}")
        torch.testing.assert_close(shared.eval()(values[own]), whole.eval()(values[own]))


def check_a_shared_norm_takes_bfloat16(processes: SeveralProcesses) -> None:
    values = torch.randn(6, 4, 3, 3).bfloat16().requires_grad_()
    answer = sync_batch_norm(nn.BatchNorm2d(4), CPU)(values)
    answer.float().square().sum().backward()
    assert answer.dtype == values.grad.dtype == torch.bfloat16


def check_a_copy_of_a_network_has_its_own_statistics(processes: SeveralProcesses) -> None:
    network = sync_batch_norm(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)), CPU)
    copied = copy.deepcopy(network)
    before = network[1].running_mean.clone()
    copied(torch.randn(4, 1, 3, 3) + 5)
    assert torch.equal(network[1].running_mean, before)
    assert not torch.equal(copied[1].running_mean, before)
    assert copied[1].forward.__self__ is copied[1]


def check_averaged_weights_of_a_wrapped_network(processes: SeveralProcesses) -> None:
    import_timm()
    from timm.utils import ModelEmaV3

    torch.manual_seed(processes.rank)  # the wrapper makes them alike
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(18, 3))
    forward = processes.wrap(network)
    average = ModelEmaV3(network, decay=0.5)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for step in range(3):
        torch.manual_seed(10 * step + processes.rank)
        forward(torch.randn(4, 1, 3, 3)).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
        average.update(network, step=step + 1)
    assert not [name for name in network.state_dict() if name.startswith("module.")]
    for state in (network.state_dict(), average.module.state_dict()):
        for name, tensor in state.items():
            assert not processes.any(not torch.equal(processes.once(tensor.clone), tensor))[0], name
    images = torch.randn(2, 1, 3, 3)
    assert not torch.equal(average.module.eval()(images), network.eval()(images))


def check_gradients_are_added_up_before_they_are_averaged(processes: SeveralProcesses) -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    forward = processes.wrap(network)
    parts = torch.randn(2, 2, 5, 3)  # of each process, in each of two parts
    with processes.no_sync(forward):
        forward(parts[processes.rank, 0]).mean().backward()
    forward(parts[processes.rank, 1]).mean().backward()
    torch.testing.assert_close(network.weight.grad[0], parts.mean(dim=(0, 2)).sum(dim=0))


def check_the_best_weights_are_everyones_where_nothing_is_kept(processes: SeveralProcesses) -> None:
    from fieldguide.training.runs import train_network

    settings = {"epochs": 3, "batch_size": 8, "lr": 0.01}
    epochs = []
    guide = train_network(sys.argv[2], model="multilayer_cnn", settings=settings, on_epoch=epochs.append)
    assert len(epochs) == (0 if processes.rank else 3), "the first process tells"
    for ours in (guide.head.weight, *guide.backbone.weights.tensors.values()):
        assert not processes.any(bool((processes.once(lambda ours=ours: ours) != ours).any()))[0]
    assert guide.evaluation.top1 == processes.once(lambda: guide.evaluation.top1)
    assert guide.facts["training"]["steps"] > 0


@contextlib.contextmanager
def _in_numbers_of(dtype: torch.dtype) -> Iterator[None]:
    """Have runs of one's own compute in numbers of a type."""
    augment, plain = Augmentation.__call__, Augmentation.plain

    def change(*arguments: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images, targets = augment(*arguments, **options)
        return images.to(dtype), targets

    with pytest.MonkeyPatch.context() as patch:
        for module in (preparation, pretraining):
            patch.setattr(module, "prepare", lambda network, *_, **__: network.to(dtype))
        patch.setattr(Augmentation, "__call__", change)
        patch.setattr(Augmentation, "plain", lambda *arguments: plain(*arguments).to(dtype))
        yield


def _learn(processes: Processes, dtype: torch.dtype, lr: float) -> tuple[dict[str, torch.Tensor], list[Epoch]]:
    """Train a network with batch normalisation in numbers of a type; return its tensors and its epochs."""
    settings = {"epochs": 2, "batch_size": 16, "lr": lr, "shift": 0.1, "clip_norm": 1, "precision": "float32"}
    recipe = load_recipe("baseline").recipe.changed(settings).to_dict()
    job = Job(kind="from nothing", data="", model="resnet20", size_px=32, recipe_name="baseline", recipe=recipe)
    with _in_numbers_of(dtype):
        run = preparation.prepare_run(job, open_images(sys.argv[2]), Keeper(None), processes)
        run.trainer.objective = lambda logits, targets, images: F.cross_entropy(logits, targets)
        run.trainer.run()
        return run.trainer.network.state_dict(), run.trainer.state.history


def check_a_normalised_network_learns_what_it_learns_in_one_process(processes: SeveralProcesses) -> None:
    for dtype, lr, near in ((torch.float64, 0.05, 1e-6), (torch.float32, 1e-4, 1e-3)):
        (ours, epochs), (theirs, expected) = (_learn(each, dtype, lr) for each in (processes, OneProcess()))
        largest = max(float((ours[name] - theirs[name]).abs().max()) for name in ours)
        assert largest < near
        for epoch, other in zip(epochs, expected, strict=True):
            assert epoch.validation_top1 == other.validation_top1
            assert epoch.train_loss == pytest.approx(other.train_loss, rel=near)
            assert epoch.validation_loss == pytest.approx(other.validation_loss, rel=near)


def _learn_without_labels(processes: Processes) -> dict[str, torch.Tensor]:
    """Take four steps of BYOL in float64; return the tensors of the network, its predictor and its target."""
    settings = {"epochs": 1, "batch_size": 16, "precision": "float32", "grey": 0.3, "warmup_epochs": 0}
    recipe = load_recipe("byol").recipe.changed(settings).to_dict()
    job = Job(kind="without labels", data="", model="resnet20", size_px=32, recipe_name="byol", recipe=recipe)
    images = open_images(sys.argv[2])
    with _in_numbers_of(torch.float64):
        run = pretraining._prepare(job, images, Keeper(None), processes, on_progress=silent, on_epoch=ignore_epoch)
        run.trainer.objective = lambda outputs, *_: 1 - F.cosine_similarity(*outputs, dim=1).mean()
        run.trainer.run()
    assert run.trainer.state.step == 4
    return run.trainer.network.state_dict()


def check_four_steps_without_labels_are_those_of_one_process(processes: SeveralProcesses) -> None:
    ours, theirs = (_learn_without_labels(each) for each in (processes, OneProcess()))
    assert ours.keys() == theirs.keys()
    differences = {name: float((ours[name] - theirs[name]).abs().max()) for name in ours}
    assert max(differences.values()) < 1e-9, {n: d for n, d in differences.items() if d >= 1e-9}


def check_fine_tuning_is_that_of_one_process(processes: SeveralProcesses) -> None:
    def write_weights() -> str:
        tensors = {name: t.numpy() for name, t in create_model("resnet20", num_classes=0).state_dict().items()}
        place = Path(sys.argv[1]) / "resnet20.safetensors"
        place.write_bytes(serialise(tensors))
        return str(place)

    # by SGD: Adam's early steps are as long for a gradient that is rounding alone
    settings = {"epochs": 2, "batch_size": 16, "optimiser": "sgd", "lr": 0.1, "precision": "float32"}
    recipe = load_recipe("finetune").recipe.changed(settings).to_dict()
    job = Job(kind="fine-tuning", data="", model="resnet20", weights=processes.once(write_weights), size_px=32,
              recipe_name="finetune", recipe=recipe, engine="torch-cpu")  # fmt: skip
    images = open_images(sys.argv[2])
    guides = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuning, "leads", lambda top1, frozen: True)
        for each in (processes, OneProcess()):
            keeper = Keeper(None)
            guide = runs._carry_out(job, images, keeper, each, on_progress=silent, on_epoch=ignore_epoch)
            assert guide.trust is not None
            learnt_head = guide.head.weight * np.float32(guide.trust.temperature)  # before it was made true
            guides.append({"head": learnt_head, **guide.backbone.weights.tensors})
    ours, theirs = guides
    before = load_file(job.weights)
    assert max(abs(ours[name] - before[name]).max() for name in before) > 1e-3, "the body learns, too"
    assert max(abs(ours[name] - theirs[name]).max() for name in theirs) < 1e-4


def check_a_search_for_the_learning_rate_ends_alike(processes: SeveralProcesses) -> None:
    from fieldguide.training.find_lr import find_lr

    found = find_lr(sys.argv[2], model="multilayer_cnn", settings={"batch_size": 8}, steps=6)
    assert processes.once(lambda: (found.rates, found.losses)) == (found.rates, found.losses)


def main() -> None:
    found = find_processes()
    assert isinstance(found, SeveralProcesses)
    results = {}
    for name, check in [(name, check) for name, check in globals().items() if name.startswith("check_")]:
        try:
            check(found)
            fault = ""
        except Exception:
            fault = traceback.format_exc()
        faults = [None, None]
        dist.all_gather_object(faults, fault)
        results[name] = "\n".join(filter(None, faults))
    if found.rank == 0:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
