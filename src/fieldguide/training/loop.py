"""The training loop, the only one: seed, set the rate, learn from a batch, step; judge and keep after each epoch.

Everything that chance decides in a step comes from the run's seed and the step's number. So a run that is resumed
from a checkpoint needs no generator's state, and ends with the same bits as one that was never interrupted.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fieldguide.errors import StoppedError, TrainingError
from fieldguide.evaluate import Evaluation, evaluate
from fieldguide.head import softmax
from fieldguide.libraries import import_timm
from fieldguide.progress import Progress, silent
from fieldguide.training.arithmetic import Arithmetic, autocast
from fieldguide.training.augment import Augmentation, seed_everything
from fieldguide.training.byol import TwoViews
from fieldguide.training.checkpoint import BEST, LAST, Checkpoint, flatten_optimiser, restore_optimiser
from fieldguide.training.history import Epoch, OnEpoch, ignore_epoch
from fieldguide.training.keeper import Keeper
from fieldguide.training.objective import Loss, Objective, Teacher
from fieldguide.training.optimiser import make_optimiser
from fieldguide.training.order import Order
from fieldguide.training.pictures import Pictures
from fieldguide.training.processes import Processes
from fieldguide.training.recipe import Recipe
from fieldguide.training.schedule import Schedule, Stage, stage_of
from fieldguide.training.stopping import listening

_EVALUATED_AT_ONCE = 256
_LOOK_EVERY = {
    "cpu": 1
}  # steps between looks at the loss: elsewhere a look makes the processor wait for the device
_LOOK_EVERY_ELSEWHERE = 20


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What is to be learnt, and how.

    Args:
        network: starts as it is.
        pictures: to learn from.
        validation: to judge epochs by; None for none.
        class_names: K names.
        size_px: side of the images at full size.
        recipe: the settings.
        seed: of all chance.
        arithmetic: what the processor computes with.
        augment: pictures to images.
        teacher: None to learn from labels alone.
        loss: what a step minimises; None for what the recipe says of labels and teacher.
        after_step: called after each step with the steps done and the steps in all.
    """

    network: nn.Module
    pictures: Pictures
    validation: Pictures | None
    class_names: tuple[str, ...]
    size_px: int
    recipe: Recipe
    seed: int
    arithmetic: Arithmetic
    augment: Augmentation | TwoViews
    teacher: Teacher | None = None
    loss: Loss | None = None
    after_step: Callable[[int, int], None] = lambda step, total_steps: None


@dataclass
class State:
    """Where a run stands: what, with the tensors, a checkpoint holds.

    Args:
        step: steps done.
        history: of the epochs done.
        loss_sum, num_photos: of the steps since the last epoch's end.
        learning_s: spent on these steps.
        seconds: spent in all.
        best: (top-1, log loss) on the validation photos after the best epoch.
    """

    step: int = 0
    history: list[Epoch] = field(default_factory=list)
    loss_sum: float = 0.0
    num_photos: int = 0
    learning_s: float = 0.0
    seconds: float = 0.0
    best: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON holds them; numbers come back as the same bits."""
        return {**asdict(self), "history": [asdict(epoch) for epoch in self.history]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "State":
        """Undo :meth:`to_dict`."""
        best = values["best"]
        history = [Epoch(**epoch) for epoch in values["history"]]
        return cls(**{**values, "history": history, "best": None if best is None else tuple(best)})


class Learning:
    """A lesson being learnt.

    Args:
        lesson: what and how.
        processes: that share the work.
        keeper: of checkpoints; one that keeps nothing will do.
        on_progress: called as steps are done.
        on_epoch: called with each epoch's record.
    """

    def __init__(
        self,
        lesson: Lesson,
        processes: Processes,
        keeper: Keeper,
        *,
        on_progress: Progress = silent,
        on_epoch: OnEpoch = ignore_epoch,
    ) -> None:
        self.lesson, self.recipe, self.processes, self.keeper = lesson, lesson.recipe, processes, keeper
        self._on_progress, self._on_epoch = (silent, ignore_epoch) if processes.rank else (on_progress, on_epoch)
        self.network = lesson.network.to(processes.device)
        self.forward = processes.wrap(self.network)
        if self.recipe.compile:
            self.forward = torch.compile(self.forward)
        self.optimiser = make_optimiser(self.network, self.recipe)
        batch_size = _share_out(self.recipe, len(lesson.pictures), processes.count)
        self.order = Order(lesson.pictures.labels, batch_size, lesson.seed, self.recipe.balance)
        self.total_steps = self.order.steps_in(self.recipe.epochs)
        self.schedule = Schedule(
            self.optimiser, self.recipe, self.total_steps, self.order.num_photos / self.order.batch_size
        )
        self.average = _average(self.network, self.recipe.ema)
        self.objective = lesson.loss or Objective(
            self.recipe, lesson.pictures.labels, len(lesson.class_names), processes.device, lesson.teacher
        )
        self.state = State()
        self._dropouts = [(m, m.p) for m in self.network.modules() if isinstance(m, nn.Dropout)]
        self._resume()

    @property
    def judged(self) -> nn.Module:
        """The network that answers: of averaged weights, where the recipe averages them."""
        network: nn.Module = self.network if self.average is None else self.average.module
        return network

    def run(self) -> nn.Module:
        """Learn to the end, and return the network that did best on the validation photos, or else the last.

        Raises:
            StoppedError: a signal came; the last step is kept.
            TrainingError: the loss is no number, or a checkpoint can't be written.
        """
        with listening() as request, _deterministic(self.recipe.deterministic):
            self.set_modes()
            stage, losses, began = None, [], time.perf_counter()
            for step, pictures in self.batches(range(self.state.step, self.total_steps)):
                if stage != (stage := self.stage(step)):
                    self._strengthen(stage)
                rate = self.schedule.set(step, self._validation_losses())
                losses.append(self.learn(step, stage, pictures))
                self.state.step = step + 1
                ends_epoch, stops, keeps = self._ends_epoch(step), False, False
                if ends_epoch or len(losses) == self._look_every:
                    is_due = not self.processes.rank and self.keeper.is_due()
                    stops, keeps = self.processes.any(bool(request), is_due or step + 1 == self.total_steps)
                    self._take_in(losses, rate)
                    elapsed, began = time.perf_counter() - began, time.perf_counter()
                    self.state.learning_s += elapsed
                    self.state.seconds += elapsed
                self._on_progress("steps", step + 1, self.total_steps)
                if ends_epoch:
                    self._end_epoch(stage, rate)
                    self.state.seconds += time.perf_counter() - began
                    began = time.perf_counter()
                if keeps or stops:
                    self._keep(LAST)
                if stops:
                    raise StoppedError(self.keeper.how_to_go_on(self.state.step, self.total_steps),
                                       request.signal_number or 15)  # fmt: skip
        return self._best()

    # One step

    def batches(self, steps: range) -> Iterator[tuple[int, Tensor]]:
        """Yield the steps, and this process's share of each one's pictures."""
        return zip(steps, self.lesson.pictures.batches(map(self._share, steps)), strict=True)

    def _share(self, step: int) -> Any:  # noqa: ANN401 - an array
        size = self.order.batch_size // self.processes.count
        return self.order.batch(step)[self.processes.rank * size :][:size]

    def learn(self, step: int, stage: Stage, pictures: Tensor) -> Tensor:
        """Take one step, its batch in parts; return the mean loss."""
        labels = torch.from_numpy(self.lesson.pictures.labels[self._share(step)])
        num_parts, size = self.recipe.accumulate, len(pictures) // self.recipe.accumulate
        loss = torch.zeros((), device=self.processes.device)
        for number in range(num_parts):
            part = self.processes.rank * num_parts + number
            seed_everything(self.lesson.seed, step, part)
            images, targets = self.lesson.augment(
                pictures[number * size :][:size],
                labels[number * size :][:size],
                step=step,
                stage=stage,
                place=part * size,
                batch_size=self.order.batch_size,
            )
            is_last = number == num_parts - 1
            with contextlib.nullcontext() if is_last else self.processes.not_yet(self.forward):
                with autocast(self.lesson.arithmetic, self.processes.device):
                    part_loss = self.objective(self.forward(images), targets, images) / num_parts
                part_loss.backward()  # type: ignore[no-untyped-call]
            loss += part_loss.detach()
        if self.recipe.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update(self.network, step=step + 1)
        self.lesson.after_step(step + 1, self.total_steps)
        return loss

    def _take_in(self, losses: list[Tensor], rate: float) -> None:
        """Add up the losses since the last look.

        Raises:
            TrainingError: one of them is no number.
        """
        values = self.processes.mean(torch.stack(losses)).tolist()
        for number, value in enumerate(values):
            if not math.isfinite(value):
                step = self.state.step - len(values) + number + 1
                raise TrainingError(
                    f"the loss is {value} at step {step} of {self.total_steps}, at the learning rate {rate:g}; "
                    f"{self.processes.once(self.keeper.last_good)}; try a lower one, such as "
                    f"--set lr={self.recipe.lr / 10:g}, or --set clip_norm=1"
                )
        self.state.loss_sum += math.fsum(values) * self.order.batch_size
        self.state.num_photos += len(values) * self.order.batch_size
        losses.clear()

    # Epochs and stages

    def _ends_epoch(self, step: int) -> bool:
        size, count = self.order.batch_size, self.order.num_photos
        return step + 1 == self.total_steps or (step + 1) * size // count > step * size // count

    def _end_epoch(self, stage: Stage, rate: float) -> None:
        state, validation = self.state, self.lesson.validation
        judged = None
        if validation is not None:
            judged = judge_pictures(self.judged, validation, self.lesson, self.processes)
            self.set_modes()
        epoch = Epoch(
            epoch=len(state.history) + 1,
            step=state.step,
            size_px=stage.size_px,
            lr=rate,
            train_loss=state.loss_sum / state.num_photos,
            validation_loss=judged.log_loss if judged else None,
            validation_top1=judged.top1 if judged else None,
            photos_per_s=state.num_photos / max(state.learning_s, 1e-9),
            seconds=state.seconds,
        )
        state.history.append(epoch)
        state.loss_sum, state.num_photos, state.learning_s = 0.0, 0, 0.0
        self._on_epoch(epoch)
        if judged is not None and (state.best is None or is_better((judged.top1, judged.log_loss), state.best)):
            state.best = (judged.top1, judged.log_loss)
            self._keep(BEST)
        self.processes.once(lambda: self.keeper.keep_history(state.history))

    def _validation_losses(self) -> list[float]:
        return [e.validation_loss for e in self.state.history if e.validation_loss is not None]

    def stage(self, step: int) -> Stage:
        return stage_of(self.recipe, step, self.total_steps, self.lesson.size_px)

    def _strengthen(self, stage: Stage) -> None:
        """Set what of a stage's regularisation lies in the network."""
        for dropout, full in self._dropouts:
            dropout.p = full * stage.strength

    def set_modes(self) -> None:
        """Put the network in training, but for what is frozen: its statistics stay, too."""
        self.network.train()
        for module in self.network.modules():
            parameters = list(module.parameters())
            is_frozen = bool(parameters) and not any(p.requires_grad for p in parameters)
            is_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
            if is_frozen or (is_norm and self.recipe.batch_norm == "frozen"):
                module.eval()

    @property
    def _look_every(self) -> int:
        return _LOOK_EVERY.get(self.processes.device.type, _LOOK_EVERY_ELSEWHERE)

    # Keeping

    def _keep(self, kind: str) -> None:
        self.processes.once(lambda: self.keeper.keep(self._checkpoint(kind), kind))

    def _checkpoint(self, kind: str) -> Checkpoint:
        if kind == BEST:
            tensors = dict(self.judged.state_dict())
        else:
            optimiser, groups = flatten_optimiser(self.optimiser)
            tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
            tensors |= {f"optimiser.{name}": tensor for name, tensor in optimiser.items()}
            if self.average is not None:
                tensors |= {f"average.{name}": t for name, t in self.average.module.state_dict().items()}
        facts = {} if kind == BEST else {"state": self.state.to_dict(), "optimiser_groups": groups}
        return Checkpoint(self.state.step, tensors, facts)

    def _resume(self) -> None:
        checkpoint = self.processes.once(self.keeper.last)
        if checkpoint is None:
            return
        self.network.load_state_dict(_of(checkpoint.tensors, "network."))
        restore_optimiser(
            self.optimiser, _of(checkpoint.tensors, "optimiser."), checkpoint.facts["optimiser_groups"]
        )
        if self.average is not None:
            self.average.module.load_state_dict(_of(checkpoint.tensors, "average."))
        self.state = State.from_dict(checkpoint.facts["state"])

    def _best(self) -> nn.Module:
        best = self.processes.once(self.keeper.best) if self.state.best is not None else None
        network = self.judged
        if best is not None:
            network.load_state_dict(best.tensors)
        return network.eval()


def is_better(ours: tuple[float, float], theirs: tuple[float, float]) -> bool:
    """Whether of two (top-1, log loss) the first is better: more photos right or, of as many, a lower loss."""
    return (ours[0], -ours[1]) > (theirs[0], -theirs[1])


def judge_pictures(
    network: nn.Module, pictures: Pictures, lesson: Lesson, processes: Processes, *, at_most: int | None = None
) -> Evaluation:
    """Judge a network on pictures as they are, in the lesson's arithmetic; it is left in evaluation mode.

    Args:
        network: on the processes' device.
        pictures: at the lesson's full size, or larger, of which the middle is taken.
        lesson: that the pictures belong to.
        processes: that share the work.
        at_most: so many of them, evenly chosen; None for all.
    """
    chosen = evenly(pictures, at_most)
    logits = outputs_on(network, pictures, lesson, processes, chosen=chosen, width=len(lesson.class_names))
    return processes.once(lambda: evaluate(softmax(logits), pictures.labels[chosen], lesson.class_names))


def evenly(pictures: Pictures, at_most: int | None) -> npt.NDArray[np.int64]:
    """Return the indices of so many pictures, evenly chosen; of all, where they are no more."""
    count = min(len(pictures), at_most or len(pictures))
    return np.linspace(0, len(pictures) - 1, count).round().astype(np.int64)


def outputs_on(
    network: nn.Module,
    pictures: Pictures,
    lesson: Lesson,
    processes: Processes,
    *,
    chosen: npt.NDArray[np.int64],
    width: int,
) -> npt.NDArray[np.float32]:
    """Return what a network makes, (n, width), of chosen pictures (n,); see :func:`judge_pictures`."""
    own = chosen[processes.rank :: processes.count]
    batches = [own[i : i + _EVALUATED_AT_ONCE] for i in range(0, len(own), _EVALUATED_AT_ONCE)]
    network.eval()
    rows = [torch.zeros((0, width), device=processes.device)]
    with torch.inference_mode(), autocast(lesson.arithmetic, processes.device):
        rows += [network(lesson.augment.plain(batch)).float() for batch in pictures.batches(batches)]
    outputs: npt.NDArray[np.float32] = processes.gather(torch.cat(rows), len(chosen)).cpu().numpy()
    return outputs


def _of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _share_out(recipe: Recipe, num_photos: int, num_processes: int) -> int:
    """Return the batch size: the recipe's or, of fewer photos, what they make; each process's parts are equal.

    Raises:
        TrainingError: it can't be shared out evenly, or there are fewer photos than shares.
    """
    shares = num_processes * recipe.accumulate
    if recipe.batch_size % shares:
        raise TrainingError(
            f"batch_size is {recipe.batch_size}, which can't be shared out to {num_processes} processes in "
            f"{recipe.accumulate} parts each; make it a multiple of {shares}"
        )
    size = min(recipe.batch_size, num_photos // shares * shares)
    if not size:
        raise TrainingError(f"{num_photos} photos can't be shared out to {shares} parts of a batch; take fewer")
    return size


def _average(network: nn.Module, decay: float) -> Any:  # noqa: ANN401 - timm has no types
    """Return timm's average of weights, or None; its memory is short at first, so that early weights fade."""
    if not decay:
        return None
    import_timm()
    from timm.utils import ModelEmaV3

    return ModelEmaV3(network, decay=decay, use_warmup=True, warmup_gamma=10, warmup_power=1)


@contextlib.contextmanager
def _deterministic(wanted: bool) -> Iterator[None]:
    """Have torch refuse operations that give other bits each time, where that is asked for."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(wanted or before)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
