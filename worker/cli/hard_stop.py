"""The end of a command that a stop signal alone does not end: after a bound, or by a second Ctrl-C.

A kernel that does not return, or a server that does not answer, keeps Python's own signal handlers
from running, and the code that reads their flag. So a thread takes the numbers of signals from the
wakeup descriptor, to which the interpreter writes them at once.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

from outlast.worker.slices.deadline import STOP_SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from outlast.worker.slices.deadline import Deadline

# A kernel that returns sooner needs no words; and two Ctrl-C within this time are one: a wrapper
# passes on what the terminal has sent to both.
PATIENCE_SECONDS = 0.5
# How long a last line may take: its reader may have stopped reading.
LINE_SECONDS = 0.5
# The time between what is done last and the end of the interpreter.
EXIT_SECONDS = 0.5
# A time-out of zero would not wait, but fail.
SHORTEST_SECONDS = 0.001
# The exit code of timeout(1) for a command that ran out of time.
OUT_OF_TIME = 124


class HardStop:
    """Bounds the time between a stop signal and the end of this process, while the block lasts.

    For the main thread. After `seconds`, or at a second Ctrl-C, the process ends with nothing more
    written, as if it had been killed.

    Attributes:
        more_seconds: how much longer there is; asked when the signal comes, on another thread.
    """

    def __init__(
        self,
        stop: Deadline,
        seconds: float,
        *,
        say: Callable[[str], None],
        end: Callable[[str], None],
    ) -> None:
        """Count `seconds` from the stop signal, also from one that `stop` has already.

        `say` tells a person what the signal does, if that takes a while. `end` is called last, with
        the words that say when the process ends. Both are called on other threads.
        """
        self.more_seconds: Callable[[], float] = lambda: 0.0
        self._stop = stop
        self._seconds = seconds
        self._say, self._end = say, end
        self._end_at: float | None = None
        self._ours, self._signals = socket.socketpair()
        self._ours.setblocking(False)  # noqa: FBT003 - the signature of the library
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._before = signal.set_wakeup_fd(self._ours.fileno(), warn_on_full_buffer=False)
        if reason := self._stop.reason:
            # A notice, such as that of a stop file, comes as SIGTERM.
            number = signal.Signals.__members__.get(reason, signal.SIGTERM)
            self._ours.send(bytes([number]))
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        self._ours.shutdown(socket.SHUT_RDWR)  # also where a forked child has it open
        self._listener.join()
        self._ours.close()
        self._signals.close()

    def seconds_left(self) -> float:
        """Return how long what is done last may take: the whole bound if no signal has come."""
        end_at = self._end_at or time.monotonic() + self._seconds
        return max(0.0, end_at - time.monotonic() - EXIT_SECONDS)

    def _listen(self) -> None:
        number = self._await(STOP_SIGNALS, None)
        if not number:
            return
        begun = time.monotonic()
        seconds = self._seconds + self.more_seconds()
        self._end_at = begun + seconds
        if self._await((), min(begun + PATIENCE_SECONDS, self._end_at)) is None:
            return
        _aloud(
            self._say,
            "stops at the next safe point, and saves a job at work; Ctrl-C again ends it at once; "
            f"it ends after {seconds:.3g} s in any case",
        )
        second = self._await((signal.SIGINT,), self._end_at)
        if second is None:
            return
        name = signal.Signals(number).name
        late = f"ended {seconds:.3g} s after {name} (OUTLAST_STOP_SECONDS)"
        _aloud(self._end, "ended at once" if second else late)
        os._exit(128 + second if second else OUT_OF_TIME)

    def _await(self, numbers: Collection[int], end_at: float | None) -> int | None:
        """Return the first of these signals to come, 0 at `end_at`, None if the block is over."""
        while True:
            left = None if end_at is None else max(end_at - time.monotonic(), SHORTEST_SECONDS)
            self._signals.settimeout(left)
            try:
                received = self._signals.recv(64)
            except TimeoutError:
                return 0
            if not received:
                return None
            if wanted := [number for number in received if number in numbers]:
                return wanted[0]


def _aloud(speak: Callable[[str], None], words: str) -> None:
    """Let `words` be said, and go on where nobody reads them."""
    speaker = threading.Thread(target=speak, args=[words], daemon=True)
    speaker.start()
    speaker.join(LINE_SECONDS)
