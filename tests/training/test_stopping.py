"""Signals during training."""

import os
import signal
import sys
import threading

import pytest

from fieldguide.training.stopping import listening

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@pytest.fixture
def calls():
    """Handlers of our own, which note what they are called with, and are put back."""
    seen = []
    before = {
        n: signal.signal(n, lambda number, frame: seen.append(number)) for n in (signal.SIGINT, signal.SIGTERM)
    }
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted_and_a_second_does_what_it_would(calls, number):
    with listening() as request:
        assert not request
        os.kill(os.getpid(), number)
        assert request and request.signal_number == number and not calls
        os.kill(os.getpid(), number)
        assert calls == [number]
    os.kill(os.getpid(), number)
    assert calls == [number, number], "and afterwards all is as before"


def test_without_a_signal_nothing_is_asked(calls):
    with listening() as request:
        pass
    assert not request and signal.getsignal(signal.SIGINT) is not signal.default_int_handler


def test_handlers_are_put_back_when_something_fails(calls):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="oops"), listening():
        raise ValueError("oops")
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_that_is_ignored_stays_so(calls):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with listening() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert not request
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_outside_the_main_thread_nothing_is_touched(calls):
    before, found = signal.getsignal(signal.SIGINT), []

    def work():
        with listening() as request:
            found.append((bool(request), signal.getsignal(signal.SIGINT) is before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, True)]
