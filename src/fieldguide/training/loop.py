"""The training loop, the only one: seed, set the rate, learn from a batch, step; judge and keep after each epoch.

Everything that chance decides in a step comes from the run's seed and the step's number. So a run that is resumed
from a checkpoint needs no generator's state, and ends with the same bits as one that was never interrupted.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fieldguide.errors import StoppedError, TrainingError
from fieldguide.progress import Progress, silent
from fieldguide.training.compute.arithmetic import autocast
from fieldguide.training.compute.determinism import deterministic
from fieldguide.training.compute.processes import Processes
from fieldguide.training.judge import is_better, judge_pictures
from fieldguide.training.lesson import Lesson
from fieldguide.training.network import set_modes
from fieldguide.training.objective import Objective
from fieldguide.training.optimiser import average_weights, make_optimiser
from fieldguide.training.order import Order, shared_batch_size
from fieldguide.training.record.checkpoint import BEST, LAST, Checkpoint, flatten_optimiser, restore_optimiser
from fieldguide.training.record.history import Epoch, OnEpoch, ignore_epoch
from fieldguide.training.record.keeper import Keeper
from fieldguide.training.record.state import State
from fieldguide.training.schedule import Schedule, Stage, pixels_between, stage_of
from fieldguide.training.seeds import seed_everything
from fieldguide.training.step_errors import explained
from fieldguide.training.stopping import StopRequest, listening

_LOOK_EVERY = 20  # steps between looks at the loss, which make a GPU's processor wait; on a CPU each step has one


class Trainer:
    """Has a network learn a lesson, step by step.

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
        batch_size = shared_batch_size(self.recipe, len(lesson.pictures), processes.count)
        self.order = Order(lesson.pictures.labels, batch_size, lesson.seed, self.recipe.balance)
        self.total_steps = self.order.steps_in(self.recipe.epochs)
        self.schedule = Schedule(
            self.optimiser, self.recipe, self.total_steps, self.order.num_photos / self.order.batch_size
        )
        self.average = average_weights(self.network, self.recipe.ema)
        self.objective = lesson.loss or Objective(
            self.recipe, lesson.pictures.labels, len(lesson.class_names), processes.device, lesson.teacher
        )
        self.state = State()
        self._look_every = 1 if processes.device.type == "cpu" else _LOOK_EVERY
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
            TrainingError: the loss or a weight is no number, the machine or the network can't take a batch, or a
                checkpoint can't be written.
        """
        with listening() as request, deterministic(self.recipe.deterministic):
            self.set_modes()
            stage: Stage | None = None
            losses: list[Tensor] = []
            began, rate = time.perf_counter(), self.recipe.lr
            for step, pictures in self.batches(range(self.state.step, self.total_steps)):
                previous, stage = stage, self.stage(step)
                if stage != previous:
                    self._strengthen(stage)
                rate = self.schedule.set_lr(step, self._validation_losses())
                losses.append(self.learn(step, stage, pictures))
                self.state.step = step + 1
                ends_epoch, stops, keeps = self._ends_epoch(step), False, False
                if ends_epoch or len(losses) == self._look_every:
                    is_due = not self.processes.rank and self.keeper.is_due()
                    stops, keeps = self.processes.any(bool(request), is_due or step + 1 == self.total_steps)
                    self._add_losses(losses, rate)
                    elapsed, began = time.perf_counter() - began, time.perf_counter()
                    self.state.learning_s += elapsed
                    self.state.seconds += elapsed
                self._on_progress("steps", step + 1, self.total_steps)
                if ends_epoch or keeps or stops:
                    self._check_weights(rate)
                if ends_epoch:
                    self._end_epoch(stage, rate)
                    began = time.perf_counter()
                if keeps or stops:
                    self._keep(LAST)
                if stops:
                    raise self._stopped(request)
            if self.processes.any(bool(request))[0]:  # while the last epoch was judged
                raise self._stopped(request)
        return self._best()

    def _stopped(self, request: StopRequest) -> StoppedError:
        message = self.keeper.how_to_go_on(self.state.step, self.total_steps)
        return StoppedError(message, request.signal_number or 15)

    # One step

    def batches(self, steps: range) -> Iterator[tuple[int, Tensor]]:
        """Yield the steps, and this process's share of each one's pictures."""
        return zip(steps, self.lesson.pictures.batches(map(self._share, steps)), strict=True)

    def _share(self, step: int) -> npt.NDArray[np.int64]:
        size = self.order.batch_size // self.processes.count
        return self.order.batch(step)[self.processes.rank * size :][:size]

    def learn(self, step: int, stage: Stage, pictures: Tensor) -> Tensor:
        """Take one step, its batch in parts; return the mean loss.

        Raises:
            TrainingError: the machine or the network can't take such a batch.
        """
        with explained(self.recipe, self.order.batch_size, self.keeper.how_to_start_again()):
            return self._learn(step, stage, pictures)

    def _learn(self, step: int, stage: Stage, pictures: Tensor) -> Tensor:
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
            with contextlib.nullcontext() if is_last else self.processes.no_sync(self.forward):
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

    def _add_losses(self, losses: list[Tensor], rate: float) -> None:
        """Add up the losses since the last look.

        Raises:
            TrainingError: one of them is no number.
        """
        values = self.processes.mean(torch.stack(losses)).tolist()
        for number, value in enumerate(values):
            if not math.isfinite(value):
                step = self.state.step - len(values) + number + 1
                raise self._diverged(f"the loss is {value} at step {step}", rate)
        self.state.loss_sum += math.fsum(values) * self.order.batch_size
        self.state.num_photos += len(values) * self.order.batch_size
        losses.clear()

    def _check_weights(self, rate: float) -> None:
        """Look at what is to be kept: a step's loss is of the weights before it.

        Raises:
            TrainingError: a weight is no number.
        """
        tensors = [tensor for tensor in self.network.state_dict().values() if tensor.is_floating_point()]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise self._diverged(f"a weight is no finite number after step {self.state.step}", rate)

    def _diverged(self, what: str, rate: float) -> TrainingError:
        shorter = "" if self.recipe.clip_norm else ", or --set clip_norm=1"
        return TrainingError(
            f"{what} of {self.total_steps}, at the learning rate {rate:g}; "
            f"{self.processes.once(self.keeper.last_good)}; {self.keeper.how_to_start_again()}try a lower one, "
            f"such as --set lr={self.recipe.lr / 10:g}{shorter}"
        )

    # Epochs and stages

    def _ends_epoch(self, step: int) -> bool:
        size, count = self.order.batch_size, self.order.num_photos
        return step + 1 == self.total_steps or (step + 1) * size // count > step * size // count

    def _end_epoch(self, stage: Stage, rate: float) -> None:
        state, validation = self.state, self.lesson.validation
        judged = None
        if validation is not None:
            began = time.perf_counter()
            judged = judge_pictures(self.judged, validation, self.lesson, self.processes)
            self.set_modes()
            state.seconds += time.perf_counter() - began
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
            seconds_left=self._seconds_left(),
        )
        state.history.append(epoch)
        state.loss_sum, state.num_photos, state.learning_s = 0.0, 0, 0.0
        self._on_epoch(epoch)
        if judged is not None and (state.best is None or is_better((judged.top1, judged.log_loss), state.best)):
            state.best, state.best_step = (judged.top1, judged.log_loss), state.step
            self._keep(BEST)
        self.processes.once(lambda: self.keeper.keep_history(state.history))

    def _seconds_left(self) -> float:
        """Return how long the steps to the last one take, at the pace of those since the last epoch's end."""
        last = self.state.history[-1] if self.state.history else None
        step, seconds = (last.step, last.seconds) if last else (0, 0.0)
        pixels = partial(pixels_between, self.recipe, total_steps=self.total_steps, size_px=self.lesson.size_px)
        pace = (self.state.seconds - seconds) / pixels(step, self.state.step)
        return pace * pixels(self.state.step, self.total_steps)

    def _validation_losses(self) -> list[float]:
        return [e.validation_loss for e in self.state.history if e.validation_loss is not None]

    def stage(self, step: int) -> Stage:
        """Return the stage of progressive learning that a step belongs to."""
        return stage_of(self.recipe, step, self.total_steps, self.lesson.size_px)

    def _strengthen(self, stage: Stage) -> None:
        """Set what of a stage's regularisation lies in the network."""
        for dropout, full in self._dropouts:
            dropout.p = full * stage.strength

    def set_modes(self) -> None:
        """Put the network in training, as the recipe means it."""
        set_modes(self.network, self.recipe)

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
        checkpoint = self.processes.once(self.keeper.take_up)
        if checkpoint is None:
            return
        self.network.load_state_dict(_without_prefix(checkpoint.tensors, "network."))
        restore_optimiser(
            self.optimiser, _without_prefix(checkpoint.tensors, "optimiser."), checkpoint.facts["optimiser_groups"]
        )
        if self.average is not None:
            self.average.module.load_state_dict(_without_prefix(checkpoint.tensors, "average."))
        self.state = State.from_dict(checkpoint.facts["state"])

    def _best(self) -> nn.Module:
        network, step = self.judged, self.state.best_step
        if step is not None:
            network.load_state_dict(self.processes.once(lambda: self.keeper.best(step)).tensors)
        return network.eval()


def _without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
