"""Where a run shows how it gets on: a bar on a terminal, plain lines anywhere else.

Both write to standard error. Neither ever disturbs the work: when nobody can read them any more
they fall silent.
"""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, ClassVar, Self

# What writing raises where nobody can read any more, or a kernel has closed the stream.
GONE = (OSError, ValueError)


class Screen(ABC):
    """Something that shows a share of the work and says lines; a context manager.

    Attributes:
        period_seconds: how often it is worth showing something new.
        log_level: the log lines that belong here, unless a person wants others.
    """

    period_seconds: ClassVar[float]
    log_level: ClassVar[str]
    _due = 0.0

    @property
    def is_due(self) -> bool:
        """Whether to show something now: true once in a period."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = now + self.period_seconds
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    @abstractmethod
    def show(self, progress: float, words: str) -> None:
        """Show that `progress`, 0 to 1, is done."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Show one line that stays."""


class PlainScreen(Screen):
    """Lines in a file or a pipe."""

    period_seconds = 5.0
    log_level = "INFO"

    def show(self, progress: float, words: str) -> None:
        """Print it."""
        self.say(f"{progress:.1%}, {words}")

    def say(self, line: str) -> None:
        """Print it."""
        with suppress(*GONE):
            print(f"outlast: {line}", file=sys.stderr, flush=True)


class BarScreen(Screen):
    """A bar that moves, and lines above it."""

    period_seconds = 0.1
    log_level = "WARNING"

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        # No thread of its own: it would take turns from the kernel.
        self._bar: Any = Progress(
            BarColumn(bar_width=30),
            TextColumn("{task.fields[words]}", markup=False),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=1.0, words="")

    def __enter__(self) -> Self:
        with suppress(*GONE):
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(*GONE):
            self._bar.stop()

    def show(self, progress: float, words: str) -> None:
        """Move the bar."""
        with suppress(*GONE):
            words = f"{progress:6.1%}, {words}"
            self._bar.update(self._task, completed=progress, words=words, refresh=True)

    def say(self, line: str) -> None:
        """Print it above the bar."""
        with suppress(*GONE):
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def open_screen() -> Screen:
    """Return the screen that fits standard error."""
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return BarScreen() if is_terminal else PlainScreen()
