"""One process or several: each learns from its share of a batch, and all end every step with the same weights.

What is decided must be decided alike in all of them, or they wait for each other for ever. So what depends on a
clock, a measurement or a file is done by the first process, which tells the others: see :meth:`Processes.once`.
"""

import atexit
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from fieldguide import launched
from fieldguide.errors import FieldguideError, TrainingError

T = TypeVar("T")
Forward = Callable[[Tensor], Tensor]

_SET_BY_LAUNCHERS = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_PATIENCE = timedelta(days=1)  # while the first process works alone; one that ends is noticed at once
_FAILED = "fieldguide/failed"
_PUTTING_DOWN_S = 0.1


class Processes(Protocol):
    """The processes of a run, seen from one of them. All must call the same methods in the same order."""

    count: int
    rank: int
    device: torch.device

    def wrap(self, network: nn.Module) -> Forward:
        """Return the network's forward pass, whose backward pass averages gradients over the processes."""
        ...

    def no_sync(self, forward: Forward) -> AbstractContextManager[Any]:
        """Return a context in which a backward pass leaves gradients as they are: more are to be added."""
        ...

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """Rows r, r + P, r + 2P ... of ``count``, of process r of P -> all rows (count, ...), in order."""
        ...

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of the processes' values, of one shape."""
        ...

    def any(self, *flags: bool) -> list[bool]:
        """Say of each flag whether it is up in any process."""
        ...

    def once(self, act: Callable[[], T]) -> T:
        """Have the first process act, when all are here; what it returns, or raises, all do."""
        ...

    def first_here(self, act: Callable[[], T]) -> T:
        """Act in every process, the first of each machine before the others: it may download what all need."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """Return a context in which the end of another process is a :class:`TrainingError`."""
        ...


class OneProcess:
    """A run of one process, on the GPU if there is one."""

    count, rank = 1, 0

    def __init__(self) -> None:
        self.device = torch.device(
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )

    def wrap(self, network: nn.Module) -> Forward:
        """Return the network."""
        return network

    def no_sync(self, forward: Forward) -> AbstractContextManager[Any]:
        """Return a context that does nothing."""
        return nullcontext()

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """Return the rows."""
        return rows

    def mean(self, values: Tensor) -> Tensor:
        """Return the values."""
        return values

    def any(self, *flags: bool) -> list[bool]:
        """Return the flags."""
        return list(flags)

    def once(self, act: Callable[[], T]) -> T:
        """Act."""
        return act()

    def first_here(self, act: Callable[[], T]) -> T:
        """Act."""
        return act()

    def together(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return nullcontext()


class SeveralProcesses:
    """Processes that ``accelerate launch`` or ``torchrun`` started, on one machine or more.

    Raises:
        TrainingError: accelerate is not installed, or no launcher started this process.
    """

    def __init__(self) -> None:
        missing = [name for name in _SET_BY_LAUNCHERS if not os.environ.get(name)]
        if missing:
            raise TrainingError(
                f"WORLD_SIZE is {launched.num_processes()}, as where several processes train together, and "
                f"{missing[0]} is not set; start them by torchrun or accelerate launch, or unset WORLD_SIZE"
            )
        try:
            from accelerate import Accelerator
            from accelerate.utils import InitProcessGroupKwargs
        except ImportError as error:
            raise TrainingError(
                "several processes train together by accelerate, which is not installed; "
                "pip install 'fieldguide[distributed]'"
            ) from error
        os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # else accelerate warns
        self._accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),
            mixed_precision="no",  # the recipe's own precision holds, whatever the launcher was told
            kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
        )
        atexit.register(_leave_group)
        self.count: int = self._accelerator.num_processes
        self.rank: int = self._accelerator.process_index
        self.device: torch.device = self._accelerator.device

    def wrap(self, network: nn.Module) -> Forward:
        """Return the network as accelerate prepares it; its batch normalisation sees the whole batch."""
        from fieldguide.training.compute.synced_batch_norm import sync_batch_norm

        prepared: Forward = self._accelerator.prepare_model(sync_batch_norm(network, self.device))
        return prepared

    def no_sync(self, forward: Forward) -> AbstractContextManager[Any]:
        """Return a context without the averaging of gradients."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(forward)
        return context

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """Gather rows dealt to the processes in turn; those that pad the shorter shares are left out."""
        share = -(-count // self.count)
        padded = torch.cat([rows, rows.new_zeros((share - len(rows), *rows.shape[1:]))])
        gathered: Tensor = self._accelerator.gather(padded)
        return gathered.view(self.count, share, *rows.shape[1:]).transpose(0, 1).flatten(0, 1)[:count]

    def mean(self, values: Tensor) -> Tensor:
        """Average over all processes."""
        averaged: Tensor = self._accelerator.reduce(values, "mean")
        return averaged

    def any(self, *flags: bool) -> list[bool]:
        """Ask all processes, about all flags at once."""
        own = torch.tensor(flags, dtype=torch.int32, device=self.device)
        return [count > 0 for count in self._accelerator.reduce(own, "sum").tolist()]

    def once(self, act: Callable[[], T]) -> T:
        """Act in the first process, and send to the others what came of it."""
        self._accelerator.wait_for_everyone()
        outcome: list[Any] = [None, None]
        if not self.rank:
            try:
                outcome[0] = act()
            except FieldguideError as error:
                outcome[1] = error
        dist.broadcast_object_list(outcome, device=self.device)
        if outcome[1] is not None:
            raise outcome[1]
        result: T = outcome[0]
        return result

    def first_here(self, act: Callable[[], T]) -> T:
        """Act in the first process of each machine, and then in the others."""
        with self._accelerator.local_main_process_first():
            return act()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Turn what torch says of a lost connection into an error for people.

        Raises:
            TrainingError: another process ended.
        """
        try:
            yield
        except RuntimeError as error:
            if not _is_lost_connection(error):
                raise
            raise TrainingError(
                f"process {self.rank} of {self.count} lost another one, which was killed or failed; see what was "
                "said of it, and go on with --resume"
            ) from error


def find_processes() -> Processes:
    """Return the processes that this one was started with: one, unless a launcher set ``WORLD_SIZE``."""
    return SeveralProcesses() if launched.num_processes() > 1 else OneProcess()


def is_first_to_fail() -> bool:
    """Whether of the run's processes this is the first that asks: the others fail with it, and need not say so.

    The store by which the processes have met knows; before they have, it is the process of rank 0.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return launched.rank() == 0
    try:
        store = dist.distributed_c10d._get_default_store()
        return bool(store.add(_FAILED, 1) == 1)
    except RuntimeError:  # the process that kept the store is gone
        return launched.rank() == 0


def _leave_group() -> None:
    """Let the threads by which processes talk put down their last tensors: done while Python ends, it aborts.

    They can't be joined, for a network that was wrapped keeps its group. For this they need Python's lock, once.
    """
    if dist.is_initialized():
        dist.destroy_process_group()
        time.sleep(_PUTTING_DOWN_S)


def _is_lost_connection(error: RuntimeError) -> bool:
    """Whether an error comes from the connection of processes: torch's own class, or gloo's words."""
    words = ("gloo", "nccl", "connection closed", "connection reset", "broken pipe", "timed out")
    return isinstance(error, dist.DistError) or any(word in str(error).lower() for word in words)
