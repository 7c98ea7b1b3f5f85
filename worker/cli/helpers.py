"""Processes that a command starts, which work beside it and end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outlast.worker.slices.backoff import backoff
from outlast.worker.slices.deadline import stop_signals_held_back
from outlast.worker.slices.isolation.parent import ending_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outlast.worker.settings import Settings

# One that dies again and again, as on a machine without memory, must not take all the time.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
POLL_SECONDS = 0.05

_Process = subprocess.Popen[bytes]


def share_of(settings: Settings, processes: int) -> int:
    """Return how many threads each of so many processes may use: its share, unless that is set."""
    if "threads" in settings.model_fields_set:
        return settings.threads
    return max(1, settings.threads // processes)


def start_helper(*words: str, environment: Mapping[str, str], **options: Any) -> _Process:
    """Start `helper.py` with these words, for a process that ends when this one does."""
    command = [sys.executable, "-P", "-m", "outlast.worker.cli.helper", str(os.getpid()), *words]
    with stop_signals_held_back():
        return subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.DEVNULL, env=os.environ | environment, **options
        )


@dataclass
class _Place:
    """Where one helper is, or will be again.

    Attributes:
        process: the helper; None: it has ended, and is not started again.
        deaths: how often one has died here.
        due_at: when the next one is to be started; None: this one runs.
    """

    process: _Process | None
    deaths: int = 0
    due_at: float | None = None


class Helpers:
    """So many helpers, each of which is started again if it dies.

    Attributes:
        codes: the exit codes of those that have ended for good.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[], _Process],
        *,
        may_return: Callable[[int], bool],
        say: Callable[[str], object],
    ) -> None:
        """Start them. `may_return` tells by its exit code whether one that ended is started again.

        A code below 0 is that of a signal. `say` gets a line on each one that is started again.
        """
        self.codes: list[int] = []
        self._start, self._say = start, say
        self._may_return = may_return
        self._places = [_Place(start()) for _ in range(count)]

    @property
    def are_over(self) -> bool:
        """Whether all have ended for good."""
        return all(place.process is None for place in self._places)

    def look(self) -> None:
        """See to those that have ended."""
        now = time.monotonic()
        for place in self._places:
            if place.process is None:
                continue
            if place.due_at is not None:
                if now >= place.due_at:
                    self._start_again(place)
            elif (code := place.process.poll()) is None:
                continue
            elif self._may_return(code):
                pause = backoff(
                    place.deaths, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS
                )
                place.due_at = now + pause
                place.deaths += 1
                self._say(f"a worker process {ending_of(code)}: another one is started")
            else:
                place.process = None
                self.codes.append(code)

    def _start_again(self, place: _Place) -> None:
        """Start another helper, or wait for that where the machine has no room for one."""
        try:
            place.process, place.due_at = self._start(), None
        except OSError as error:
            place.due_at = time.monotonic() + LONGEST_PAUSE_SECONDS
            self._say(f"a worker process cannot be started, so there is one less: {error}")

    def stop(self) -> None:
        """Ask all to save and end; it does not wait."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End all at once."""
        self._send(signal.SIGKILL)

    def await_end(self, *, is_urgent: Callable[[], bool] = lambda: False) -> None:
        """Return when all have ended that were asked to; none is started again.

        They are killed once it `is_urgent`.
        """
        for place in self._places:
            if place.process is not None and place.due_at is None:
                # In small pieces: a signal handler may have to set its flag.
                while (code := place.process.poll()) is None:
                    if is_urgent():
                        self.kill()
                    time.sleep(POLL_SECONDS)
                self.codes.append(code)
            place.process = None

    def _send(self, number: signal.Signals) -> None:
        for place in self._places:
            if place.process is not None and place.due_at is None:
                with suppress(ProcessLookupError):
                    place.process.send_signal(number)
