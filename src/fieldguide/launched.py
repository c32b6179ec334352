"""Whether a launcher, ``torchrun`` or ``accelerate launch``, started several processes, and which of them this is.

Known without torch, so that commands that need none of it start as quickly as ever.
"""

import os


def num_processes() -> int:
    """Return how many processes there are, on all machines."""
    return max(1, _number("WORLD_SIZE", 1))


def num_processes_here() -> int:
    """Return how many of them run on this machine."""
    return max(1, _number("LOCAL_WORLD_SIZE", 1)) if num_processes() > 1 else 1


def rank() -> int:
    """Return which of them this one is, from 0; the first speaks and writes for all."""
    return _number("RANK", 0) if num_processes() > 1 else 0


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else otherwise
