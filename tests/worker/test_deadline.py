"""The deadline, with real timers and signals: it sets a flag, and leaves no trace of itself."""

from __future__ import annotations

import math
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from outlast.worker.slices.deadline import STOP_SIGNALS, Deadline
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Handle = Callable[[int, Any], None]

WATCHED = (*STOP_SIGNALS, signal.SIGALRM)


@pytest.fixture(autouse=True)
def handle() -> Iterator[Handle]:
    """Install a handler for the length of a test, which must leave all of them as they were."""
    before, replaced = handlers(), {}

    def handle(number: int, handler: Any) -> None:
        replaced[number] = signal.signal(number, handler)

    yield handle
    for number, handler in replaced.items():
        signal.signal(number, handler)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert handlers() == before


def handlers() -> list[Any]:
    """The current handlers."""
    return [signal.getsignal(number) for number in WATCHED]


def wait_for(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Busy-wait, as a kernel between two safe points does; signals arrive meanwhile."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"


def test_the_timer_sets_the_flag_at_the_end_of_the_budget() -> None:
    """A slice would not end before the platform ends the worker."""
    never = FakeClock()  # so that it is the timer that sets it, not the look at the clock
    begun = time.monotonic()
    with Deadline(0.05, clock=never) as deadline:
        assert deadline.reason is None
        wait_for(lambda: deadline.reason)
    assert deadline.reason == "deadline"
    assert 0.04 <= time.monotonic() - begun < 3.0


@pytest.mark.parametrize("seconds", [0.0, -3.0])
def test_no_time_is_a_reason_at_once(seconds: float) -> None:
    """A slice that begins too late would run with no limit: zero disarms a timer."""
    with Deadline(seconds) as deadline:
        assert deadline.reason == "deadline"
        assert deadline.remaining == 0.0


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_signal_sets_the_flag_with_its_name(number: signal.Signals) -> None:
    """A container that is stopped would lose the work since its last save."""
    with Deadline(60.0) as deadline:
        assert not deadline.is_signalled
        signal.raise_signal(number)
        assert deadline.reason == number.name
        assert deadline.is_signalled
        assert deadline.remaining == 0.0


def test_ctrl_c_raises_nothing(handle: Handle) -> None:
    """KeyboardInterrupt in the middle of a write would leave it half done."""
    handle(signal.SIGINT, signal.default_int_handler)
    with Deadline() as deadline:
        signal.raise_signal(signal.SIGINT)
    assert deadline.reason == "SIGINT"
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_stop_signal_outranks_the_deadline() -> None:
    """The worker would take another job although a signal stops it, or log the wrong reason."""
    with Deadline(0.0) as deadline:
        assert not deadline.is_signalled
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGALRM)
        assert deadline.reason == "SIGTERM"
        assert deadline.is_signalled


@pytest.mark.parametrize("seconds", [None, math.inf])
def test_without_a_limit_only_signals_count(seconds: float | None) -> None:
    """A consumer that waits for work would stop by itself."""
    with Deadline(seconds) as deadline:
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        assert deadline.remaining == math.inf
        signal.raise_signal(signal.SIGTERM)
        assert deadline.reason == "SIGTERM"


@pytest.mark.parametrize("seconds", [1e9, 1e20, 1e300])
def test_a_budget_of_any_length_is_accepted(seconds: float) -> None:
    """A person who sets a very long slice would get a traceback, and handlers left behind."""
    with Deadline(seconds) as deadline:
        assert deadline.reason is None


def test_the_clock_tells_where_a_kernel_has_taken_the_alarm() -> None:
    """A library that uses the alarm itself would make the slice run with no limit."""
    clock = FakeClock()
    with Deadline(10.0, clock=clock) as deadline:
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        clock.sleep(9.9)
        assert deadline.reason is None
        assert deadline.remaining == pytest.approx(0.1)
        clock.sleep(0.1)
        assert deadline.reason == "deadline"


def test_handlers_and_timer_are_put_back_after_an_error(handle: Handle) -> None:
    """The next alarm would hit the program that runs the worker, and end it."""

    def mine(*_: object) -> None: ...

    for number in WATCHED:
        handle(number, mine)
    with pytest.raises(ZeroDivisionError), Deadline(60.0):
        raise ZeroDivisionError
    assert handlers() == [mine] * len(WATCHED)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_handlers_are_put_back_where_a_kernel_replaced_them() -> None:
    """What a kernel leaves behind would change how the worker is stopped."""
    before = handlers()
    with Deadline(60.0):
        for number in WATCHED:
            signal.signal(number, signal.SIG_IGN)
    assert handlers() == before


def test_an_ignored_signal_stays_ignored(handle: Handle) -> None:
    """A worker that was started to ignore a signal would be ended by the next one."""
    handle(signal.SIGTERM, signal.SIG_IGN)
    with Deadline() as deadline:
        signal.raise_signal(signal.SIGTERM)
        assert deadline.reason == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_nohup_is_obeyed(handle: Handle) -> None:
    """`nohup outlast worker &` would end with the terminal that it was to outlive."""
    handle(signal.SIGHUP, signal.SIG_IGN)
    with Deadline() as outer, Deadline(60.0, outer=outer) as inner:
        signal.raise_signal(signal.SIGHUP)
        assert inner.reason is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_an_earlier_handler_is_called_too(handle: Handle) -> None:
    """A platform's own clean-up on SIGTERM would not happen."""
    called: list[int] = []
    handle(signal.SIGTERM, lambda number, _: called.append(number))
    with Deadline() as deadline:
        signal.raise_signal(signal.SIGTERM)
    assert called == [signal.SIGTERM]
    assert deadline.reason == "SIGTERM"


def test_a_signal_counts_inside_and_outside() -> None:
    """The loop around a slice would go on after a SIGTERM, or forget one that came before."""
    with Deadline() as outer:
        with Deadline(60.0) as inner:
            signal.raise_signal(signal.SIGTERM)
        assert inner.reason == outer.reason == "SIGTERM"
        with Deadline(60.0, outer=outer) as inner:
            assert inner.reason == "SIGTERM"
            assert inner.is_signalled


def test_the_time_that_is_left_is_also_that_of_the_outer_deadline() -> None:
    """A call with a limit would begin one more step, and be ended by the platform in it."""
    clock = FakeClock()
    outer = Deadline(5.0, clock=clock)
    assert Deadline(60.0, outer=outer, clock=clock).remaining == 5.0
    assert Deadline(outer=Deadline(outer=outer), clock=clock).remaining == 5.0
    assert Deadline(3.0, outer=outer, clock=clock).remaining == 3.0


def test_an_inner_timer_leaves_the_outer_one_its_time() -> None:
    """The outer deadline would come late, or never."""
    never = FakeClock()
    begun = time.monotonic()
    with Deadline(0.1, clock=never) as outer:
        with Deadline(0.02, clock=time.monotonic) as inner:
            wait_for(lambda: inner.reason)
            assert outer.reason is None
        wait_for(lambda: outer.reason)
    assert 0.09 <= time.monotonic() - begun < 3.0


def test_an_outer_timer_that_is_overdue_fires_at_once(handle: Handle) -> None:
    """Re-armed with nothing left, it would be disarmed instead."""
    fired: list[int] = []
    handle(signal.SIGALRM, lambda number, _: fired.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    with Deadline(60.0):
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() - begun > 0.02)
        assert fired == []
    wait_for(lambda: fired)


@pytest.mark.parametrize("seconds", [60.0, 0.0])
def test_a_timer_that_a_kernel_leaves_ends_with_the_block(seconds: float) -> None:
    """Its alarm would find no handler, and kill the worker."""
    with Deadline(seconds):
        signal.setitimer(signal.ITIMER_REAL, 60.0)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_handler_that_a_kernel_leaves_ends_with_an_inner_block() -> None:
    """Its worker would not hear of a stop any more."""
    with Deadline() as outer:
        with Deadline(60.0, outer=outer):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
        assert outer.reason == "SIGTERM"


def test_a_repeating_timer_goes_on_repeating(handle: Handle) -> None:
    """A profiler or a watchdog around the worker would fall silent."""
    fired: list[int] = []
    handle(signal.SIGALRM, lambda number, _: fired.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    with Deadline(60.0):
        pass
    wait_for(lambda: len(fired) >= 3)
    signal.setitimer(signal.ITIMER_REAL, 0)


def test_off_the_main_thread_the_clock_alone_counts() -> None:
    """A process that calls its handler in a thread would get a ValueError for each job."""
    clock = FakeClock()
    before = handlers()
    seen: list[object] = []

    def work() -> None:
        with Deadline(1.0, clock=clock) as deadline:
            seen.extend([handlers() == before, deadline.reason])
            clock.sleep(1.0)
            seen.append(deadline.reason)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True, None, "deadline"]


def test_one_deadline_may_be_entered_twice(handle: Handle) -> None:
    """The handlers from before the first block would be put back by the second, too late."""
    deadline = Deadline(60.0)
    with deadline:
        pass
    handle(signal.SIGTERM, signal.SIG_IGN)
    with deadline:
        pass
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_signals_in_a_storm_end_in_one_flag() -> None:
    """An impatient operator's second and third Ctrl-C would break the last save."""
    with Deadline(0.001) as deadline:
        for _ in range(1000):
            for number in WATCHED:
                signal.raise_signal(number)
    assert deadline.is_signalled
