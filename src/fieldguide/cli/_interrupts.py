"""Ctrl-C ends the work at once, but for the moments in which an exception does harm: it waits for their end."""

import signal
import threading
from types import FrameType

_AGAIN_S = 0.02  # how soon to look whether the moment is over
# Compiled modules lose an exception that comes while they are imported, or fail on it; and one that comes between
# the taking of a lock and the block that gives it back leaves the threads that wait for it waiting for ever.
_DELICATE = ("importlib._bootstrap", "threading", "concurrent.futures.thread")

_arrived = False


def watch() -> None:
    """Handle Ctrl-C, unless whoever started this process has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _on_interrupt)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, _on_alarm)


def hear_no_end() -> None:
    """Let no SIGTERM cut off a process's last words: a launcher ends all others as soon as it misses one."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def has_arrived() -> bool:
    """Return whether Ctrl-C was pressed; an error that follows may be its effect on a library."""
    return _arrived


def _on_interrupt(_: int, frame: FrameType | None) -> None:
    global _arrived
    pressed_again, _arrived = _arrived, True
    if not hasattr(signal, "setitimer"):
        raise KeyboardInterrupt
    if pressed_again:
        signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm that comes as Python exits would kill it
        raise KeyboardInterrupt
    _on_alarm(_, frame)


def _on_alarm(_: int, frame: FrameType | None) -> None:
    if not _is_delicate(frame):
        raise KeyboardInterrupt
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def _is_delicate(frame: FrameType | None) -> bool:
    if frame is not None and frame.f_code is threading.Condition.wait.__code__:
        return False  # perhaps for long, and made to be interrupted
    while frame is not None and frame.f_globals.get("__name__") not in _DELICATE:
        frame = frame.f_back
    return frame is not None
