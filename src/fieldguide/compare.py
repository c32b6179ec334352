"""Networks side by side, in one run: parameters, multiply-adds, latency, memory and, with photos, accuracy."""

import gc
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldguide.cost import Latency, measure_latency, measure_memory, total_macs
from fieldguide.errors import UnknownNameError, WeightsError
from fieldguide.hardware import hardware
from fieldguide.introspection import create_on_meta, input_shape_of
from fieldguide.models import create_model
from fieldguide.progress import Progress, silent

if TYPE_CHECKING:
    from fieldguide.data import ImageSet

BATCH_SIZES = (1, 32)
MEMORY_BATCH = BATCH_SIZES[-1]


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known of one network after a comparison.

    Args:
        name: of the model.
        input_shape: (C, H, W) of the images that it was measured with.
        params: all of its parameters.
        macs: multiply-adds of one image, without the additions of biases.
        latency: by batch size.
        memory_bytes: what the network, its images and one step of inference take at their peak, with
            ``MEMORY_BATCH`` images, in a process of its own; None where that did not finish.
        top1: accuracy of the guide with it as a frozen backbone, on the photos held out; None without photos.
        top1_interval: its 95 % interval.
        notes: what could not be measured, why, and what to do.
    """

    name: str
    input_shape: tuple[int, int, int]
    params: int
    macs: int
    latency: dict[int, Latency]
    memory_bytes: int | None
    top1: float | None = None
    top1_interval: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Networks measured in one run; the first is what the others are held to.

    Args:
        models: in the order they were asked for.
        data: the photos' name; empty without.
        num_held_out: photos that accuracies are of; None without.
        hardware: processor, cores, threads and torch's version.
    """

    models: tuple[ModelFacts, ...]
    data: str = ""
    num_held_out: int | None = None
    hardware: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON holds them."""
        return asdict(self)


@dataclass(frozen=True)
class _Cost:
    input_shape: tuple[int, int, int]
    params: int
    macs: int


@dataclass(frozen=True)
class _Accuracy:
    top1: float | None = None
    interval: tuple[float, float] | None = None
    num_photos: int | None = None
    note: str = ""


def compare(
    names: Sequence[str],
    *,
    data: "ImageSet | str | Path | None" = None,
    data_root: str | Path | None = None,
    size_px: int | None = None,
    seconds: float = 10.0,
    on_progress: Progress = silent,
) -> Comparison:
    """Measure networks in one run.

    Latencies are of the untrained networks, whose time is the same, measured in turns at each of
    ``BATCH_SIZES``. Memory is measured in processes of their own. The accuracy is that of :func:`fieldguide.train`
    with each as the backbone; a network without weights at hand gets none, and a note that says so.

    Args:
        names: of models, as of :func:`fieldguide.create_model`, each once.
        data: photos, in any form that :func:`fieldguide.train` takes.
        data_root: where a named set's files are, or shall be put.
        size_px: side of the images; by default each network's own.
        seconds: to spend on rounds of latency at each batch size, at least five rounds.
        on_progress: called as work is done.

    Raises:
        UnknownNameError: there is no such model.
        DataError: there is nothing to learn from in ``data``.
        ValueError: there is no name, or one is there twice; or a network can't take images of that size.
    """
    costs = _costs(names, size_px)
    shapes = {name: cost.input_shape for name, cost in costs.items()}
    accuracies = _accuracies(names, data, data_root, size_px, on_progress) if data is not None else {}
    memory = _memory(shapes, on_progress)
    latencies = _latencies(shapes, seconds, on_progress)
    models = tuple(
        ModelFacts(
            name=name,
            input_shape=cost.input_shape,
            params=cost.params,
            macs=cost.macs,
            latency={size: of_all[name] for size, of_all in latencies.items()},
            memory_bytes=memory[name][0],
            top1=accuracies.get(name, _Accuracy()).top1,
            top1_interval=accuracies.get(name, _Accuracy()).interval,
            notes=tuple(filter(None, (accuracies.get(name, _Accuracy()).note, memory[name][1]))),
        )
        for name, cost in costs.items()
    )
    counts = [a.num_photos for a in accuracies.values() if a.num_photos is not None]
    return Comparison(
        models=models,
        data=_title(data),
        num_held_out=counts[0] if counts else None,
        hardware=hardware(),
    )


def _costs(names: Sequence[str], size_px: int | None) -> dict[str, _Cost]:
    """Count what can be counted without running, which refuses all that could not run."""
    twice = [name for name in names if list(names).count(name) > 1]
    if twice or not names:
        raise ValueError(f"{twice[0]!r} is named twice; name each model once" if twice else "names is empty")
    costs = {}
    for name in names:
        network = create_on_meta(name)
        channels, height, width = input_shape_of(network, name)
        shape = (channels, size_px or height, size_px or width)
        try:
            macs = total_macs(network, (1, *shape))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        costs[name] = _Cost(shape, sum(parameter.numel() for parameter in network.parameters()), macs)
    return costs


def _title(data: "ImageSet | str | Path | None") -> str:
    if data is None:
        return ""
    return str(data) if isinstance(data, (str, Path)) else data.name


def _accuracies(
    names: Sequence[str],
    data: "ImageSet | str | Path",
    data_root: str | Path | None,
    size_px: int | None,
    on_progress: Progress,
) -> dict[str, _Accuracy]:
    """Train a guide with each network as the backbone."""
    from fieldguide.data import open_images

    images = open_images(data, data_root=data_root)  # once; and a mistake in it comes before all that takes time
    on_progress("guides", 0, len(names))
    accuracies = {}
    for done, name in enumerate(names, 1):
        accuracies[name] = _accuracy(name, images, size_px)
        gc.collect()  # the engine and its network, before the next one's
        on_progress("guides", done, len(names))
    return accuracies


def _accuracy(name: str, images: "ImageSet", size_px: int | None) -> _Accuracy:
    from fieldguide.training import train

    try:
        evaluation = train(images, backbone=name, size_px=size_px, report=False).evaluation
    except (WeightsError, UnknownNameError) as error:
        return _Accuracy(note=f"{name} has no accuracy; `fieldguide train DATA --backbone {name}` says: {error}")
    if evaluation is None:
        return _Accuracy(note=f"{name} has no accuracy: too few photos to hold any out; add more")
    return _Accuracy(evaluation.top1, evaluation.top1_interval, evaluation.num_photos)


def _memory(shapes: dict[str, tuple[int, int, int]], on_progress: Progress) -> dict[str, tuple[int | None, str]]:
    """Return of each network its peak memory, and what stood in the way of measuring it."""
    found = {}
    on_progress("memory", 0, len(shapes))
    for done, (name, shape) in enumerate(shapes.items(), 1):
        batch = measure_memory(name, [MEMORY_BATCH], input_shape=shape).batches[0]
        found[name] = batch.network_bytes, f"{name} has no peak memory: {batch.fault}" if batch.fault else ""
        on_progress("memory", done, len(shapes))
    return found


def _latencies(
    shapes: dict[str, tuple[int, int, int]], seconds: float, on_progress: Progress
) -> dict[int, dict[str, Latency]]:
    """Return the latencies of all networks by batch size."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    networks = {name: create_model(name).eval().to(device) for name in shapes}
    found = {}
    for number, size in enumerate(BATCH_SIZES):

        def show(stage: str, done: int, total: int, number: int = number) -> None:
            on_progress(stage, number * total + done, len(BATCH_SIZES) * total)  # one bar for all sizes

        timed = {name: (networks[name], torch.rand(size, *shape, device=device)) for name, shape in shapes.items()}
        found[size] = measure_latency(timed, seconds=seconds, on_progress=show)
    return found
