"""One process or several: each learns from its share of a batch, and all end every step with the same weights."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from fieldguide.errors import TrainingError

Forward = Callable[[Tensor], Tensor]


class Processes(Protocol):
    """The processes of a run, seen from one of them."""

    count: int
    rank: int
    device: torch.device

    def wrap(self, network: nn.Module) -> Forward:
        """Return the network's forward pass, whose backward pass averages gradients over the processes."""
        ...

    def not_yet(self, forward: Forward) -> AbstractContextManager[Any]:
        """Return a context in which a backward pass leaves gradients as they are: more are to be added."""
        ...

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """Rows r, r + P, r + 2P ... of ``count``, of process r of P -> all rows (count, ...), in order."""
        ...

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
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

    def not_yet(self, forward: Forward) -> AbstractContextManager[Any]:
        """Return a context that does nothing."""
        return nullcontext()

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """Return the rows."""
        return rows

    def any(self, flag: bool) -> bool:
        """Return the flag."""
        return flag


class SeveralProcesses:
    """Processes that ``accelerate launch`` or ``torchrun`` started, on one machine or more.

    Raises:
        TrainingError: accelerate is not installed.
    """

    def __init__(self) -> None:
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise TrainingError(
                "several processes train together by accelerate, which is not installed; "
                "pip install 'fieldguide[distributed]'"
            ) from error
        self._accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.count: int = self._accelerator.num_processes
        self.rank: int = self._accelerator.process_index
        self.device: torch.device = self._accelerator.device

    def wrap(self, network: nn.Module) -> Forward:
        """Return the network as accelerate prepares it; its batch normalisation sees the whole batch."""
        from fieldguide.training.synced_batch_norm import sync_batch_norm

        sync_batch_norm(network)
        prepared: Forward = self._accelerator.prepare_model(network)
        return prepared

    def not_yet(self, forward: Forward) -> AbstractContextManager[Any]:
        """Return a context without the averaging of gradients."""
        context: AbstractContextManager[Any] = self._accelerator.no_sync(forward)
        return context

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """Gather rows dealt to the processes in turn; those that pad the shorter shares are left out."""
        share = -(-count // self.count)
        padded = torch.cat([rows, rows.new_zeros((share - len(rows), *rows.shape[1:]))])
        gathered: Tensor = self._accelerator.gather(padded)
        return gathered.view(self.count, share, *rows.shape[1:]).transpose(0, 1).flatten(0, 1)[:count]

    def any(self, flag: bool) -> bool:
        """Ask all processes."""
        flags: Tensor = self._accelerator.gather(torch.tensor([flag], device=self.device))
        return bool(flags.any())


def find_processes() -> Processes:
    """Return the processes that this one was started with: one, unless a launcher set ``WORLD_SIZE``."""
    return SeveralProcesses() if int(os.environ.get("WORLD_SIZE") or 1) > 1 else OneProcess()
