"""Log lines on their way to a person."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from outlast.checkpoint.safe_text import without_secrets
from outlast.worker.cli.output import GONE
from outlast.worker.telemetry.kernel_lines import KernelText, hear_kernels

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.settings import Settings


class Lines(logging.Handler):
    """Hands each log record on as one line."""

    def __init__(self, say: Callable[[str], None], *, debug: bool) -> None:
        super().__init__()
        self._say = say
        self._debug = debug

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the line on, with the traceback of a kernel's error only under --debug."""
        if not self._debug:
            record = logging.makeLogRecord(record.__dict__ | {"exc_info": None, "exc_text": None})
        with suppress(*GONE):  # and a disk that is full
            self._say(without_secrets(self.format(record)))


def level_of(settings: Settings, *, otherwise: str) -> str:
    """Return OUTLAST_LOG_LEVEL where it is set."""
    return settings.log_level if "log_level" in settings.model_fields_set else otherwise


def log_to_stderr(
    level: str, *, log_format: str = "text", debug: bool = False, kernels: bool = False
) -> None:
    """Print the log from `level` up to standard error, each line with its time in UTC.

    `kernels`: also what kernels print and log.
    """
    formatter: logging.Formatter = logging.Formatter(
        "%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ"
    )
    formatter.converter = time.gmtime
    if log_format == "json":
        from outlast.worker.telemetry.json_lines import JsonLines

        formatter = JsonLines()
    else:
        formatter = KernelText(formatter)
    stream = sys.stderr  # A kernel may put another one in its place, and not put it back.
    handler = _log_to(
        lambda line: print(line, file=stream, flush=True), level, formatter, debug=debug
    )
    if kernels:
        hear_kernels([handler], level)


def log_to(
    say: Callable[[str], None], level: str, *, debug: bool = False, kernels: str | None = None
) -> None:
    """Hand the messages of the log from `level` up to `say`, without time and level.

    `kernels` is the level of what kernels print and log; None: they are not heard.
    """
    handler = _log_to(say, level, logging.Formatter("%(message)s"), debug=debug)
    if kernels is not None:
        hear_kernels([handler], kernels)


def _log_to(
    say: Callable[[str], None], level: str, formatter: logging.Formatter, *, debug: bool
) -> Lines:
    handler = Lines(say, debug=debug)
    handler.setFormatter(formatter)
    log = logging.getLogger("outlast")
    log.handlers = [handler]
    log.setLevel(level)
    log.propagate = False
    return handler
