"""Where a run shows its progress: a bar on a terminal, plain lines anywhere else.

Both write to standard error. Neither disturbs the work: when nobody can read them any more they
fall silent.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, ClassVar, Self

from outlast.worker.cli.output import GONE, write_line
from outlast.worker.cli.streams import is_terminal


class Progress(ABC):
    """Shows the share of the work that is done, and lines; a context manager.

    Attributes:
        period_seconds: how often it is worth showing something new.
        log_level: the level from which log lines belong here, unless OUTLAST_LOG_LEVEL is set.
    """

    period_seconds: ClassVar[float]
    log_level: ClassVar[str]
    _due = 0.0

    @property
    def is_due(self) -> bool:
        """Whether to show something: true once in a period."""
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
    def show(self, share: float | None, words: str) -> None:
        """Show that `share`, 0 to 1, of the work is done; None: it is not known."""

    @abstractmethod
    def say(self, line: str) -> None:
        """Show one line that stays."""


class ProgressLines(Progress):
    """Lines in a file or a pipe."""

    period_seconds = 5.0
    log_level = "INFO"

    def __init__(self) -> None:
        self._stream = sys.stderr  # While a kernel runs there is another one in its place.

    def show(self, share: float | None, words: str) -> None:
        """Print it."""
        self.say(words if share is None else f"{share:.1%}, {words}")

    def say(self, line: str) -> None:
        """Print it."""
        with suppress(*GONE):
            write_line(f"outlast: {line}", self._stream)


class ProgressBar(Progress):
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
            console=Console(file=sys.stderr),
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

    def show(self, share: float | None, words: str) -> None:
        """Move the bar."""
        with suppress(*GONE):
            words = words if share is None else f"{share:6.1%}, {words}"
            # Without a total the bar pulses.
            total = None if share is None else 1.0
            changes = {"completed": share or 0.0, "total": total, "words": words, "visible": True}
            self._bar.update(self._task, **changes, refresh=True)

    def hide(self) -> None:
        """Take the bar away, until it is moved again."""
        with suppress(*GONE):
            self._bar.update(self._task, visible=False, refresh=True)

    def say(self, line: str, style: str | None = None) -> None:
        """Print it above the bar, in a style of rich's."""
        with suppress(*GONE):
            self._bar.console.print(
                line, style=style, markup=False, highlight=False, soft_wrap=True
            )


def open_progress() -> Progress:
    """Return what fits standard error."""
    return ProgressBar() if is_terminal(sys.stderr) else ProgressLines()
