"""The signal-driven deadline: one flag, set by a timer or a stop signal, read at safe points."""

from __future__ import annotations

import math
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    Handler = Callable[[int, FrameType | None], Any] | int | None

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

DEADLINE = "deadline"

# Re-arming an outer timer that is due already: zero would disarm it.
SHORTEST_TIMER_SECONDS = 1e-6
# The system refuses a timer of some hundred years; the clock is asked at each safe point anyway.
LONGEST_TIMER_SECONDS = 1e8


@contextmanager
def stop_signals_held_back() -> Iterator[None]:
    """Let a stop signal reach neither this process nor one that it starts within the block.

    The new one inherits this, and lets them through itself once it is ready for them: a Ctrl-C goes
    to all processes of a terminal, and would end it while its interpreter starts.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Deadline:
    """Tells when to stop, and why; it never raises and never interrupts anything.

    Within the `with` block `setitimer` sets the flag at the end of the budget, and SIGTERM, SIGINT
    and SIGHUP set it early (SIGHUP not where it is ignored, as by nohup). The handlers do nothing
    else, except that a handler found in place by a stop signal is called as well, so blocks may be
    nested; one that is `outer`'s stays in place. Timer and handlers are put back as they were found
    on every way out, whatever a kernel has done to them. Off the main thread, where Python delivers
    no signals, only the clock counts.
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        outer: Deadline | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Allow `seconds` from now; None sets no limit and listens for the stop signals only.

        A reason to stop that `outer` has is one for this deadline, too.
        """
        self._clock = clock
        self._outer = outer
        self._end = math.inf if seconds is None else clock() + seconds
        self._reason: str | None = None
        self._notice: str | None = None
        self._previous: dict[signal.Signals, Handler] = {}
        self._outer_handlers: dict[signal.Signals, Handler] = {}
        self._outer_timer = (0.0, 0.0)
        self._armed_at = 0.0

    @property
    def reason(self) -> str | None:
        """Why to stop: the name of a signal, a notice, or "deadline"; None: there is no reason."""
        if self._reason in {None, DEADLINE}:
            outer = None if self._outer is None else self._outer.reason
            if outer not in {None, DEADLINE}:
                self._reason = outer
            # The clock is asked too: a kernel may have replaced the handler of the alarm.
            elif self._reason is None and (outer or self._clock() >= self._end):
                self._reason = DEADLINE
        return self._reason

    @property
    def is_signalled(self) -> bool:
        """Whether a stop signal came, as opposed to the end of the budget."""
        return self.reason not in {None, DEADLINE}

    def expect(self, notice: str) -> None:
        """Take a SIGTERM for this notice: for who is about to send it, on any thread."""
        self._notice = notice

    @property
    def remaining(self) -> float:
        """Seconds until this budget or that of `outer` ends; 0 once there is a reason to stop."""
        if self.reason:
            return 0.0
        left = self._end - self._clock()
        return left if self._outer is None else min(left, self._outer.remaining)

    @property
    def limit_seconds(self) -> float:
        """Seconds until this budget or that of `outer` ends, whatever the reason to stop."""
        left = max(self._end - self._clock(), 0.0)
        return left if self._outer is None else min(left, self._outer.limit_seconds)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._arm()
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous or self._outer_handlers:
            self._disarm()

    def _arm(self) -> None:
        for number in STOP_SIGNALS:
            if self._outer is not None and self._outer.hears(handler := signal.getsignal(number)):
                self._outer_handlers[number] = handler
            elif number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup: what runs is to outlive its terminal
            else:
                self._previous[number] = signal.signal(number, self._on_stop)
        if self._end == math.inf:
            return
        self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_alarm)
        self._armed_at = self._clock()
        left = self._end - self._armed_at
        # Where the end has come there is nothing to wait for.
        self._outer_timer = signal.setitimer(
            signal.ITIMER_REAL, _settable(left) if left > 0 else 0.0
        )

    def hears(self, handler: Handler) -> bool:
        """Whether a signal's handler is that of this deadline or of one around it."""
        if handler == self._on_stop:
            return True
        return self._outer is not None and self._outer.hears(handler)

    def _disarm(self) -> None:
        if signal.SIGALRM in self._previous:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._previous.items():
            # None: the handler was not installed from Python and cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number, handler in self._outer_handlers.items():
            if signal.getsignal(number) != handler:  # A kernel has put its own there.
                signal.signal(number, handler)
        self._previous.clear()
        self._outer_handlers.clear()
        left, interval = self._outer_timer
        if left:
            left -= self._clock() - self._armed_at
            signal.setitimer(signal.ITIMER_REAL, _settable(left), interval)
            self._outer_timer = (0.0, 0.0)

    def _on_alarm(self, _number: int, _frame: FrameType | None) -> None:
        self._reason = self._reason or DEADLINE

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        is_notice = self._notice and number == signal.SIGTERM
        self._reason = self._notice if is_notice else signal.Signals(number).name
        previous = self._previous.get(signal.Signals(number))
        # Python's own handler of SIGINT raises, which is what a flag is there to avoid.
        if callable(previous) and previous is not signal.default_int_handler:
            previous(number, frame)


def _settable(seconds: float) -> float:
    return min(max(seconds, SHORTEST_TIMER_SECONDS), LONGEST_TIMER_SECONDS)
