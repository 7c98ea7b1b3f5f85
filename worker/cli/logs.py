"""Log lines on their way to a person."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from outlast.checkpoint.safe_text import without_secrets
from outlast.worker.cli.output import GONE, write_line
from outlast.worker.telemetry.kernel_lines import KernelText, hear_kernels

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.settings import Settings


# What a command says itself that shows how its job gets on, and ends with the job's error.
SAID_BY_COMMAND = {"slice_running", "job_failed"}
# It counts the parts that are done; there may be hundreds, some of less than a second.
COUNTED_BY_COMMAND = "slice_ended"


class Lines(logging.Handler):
    """Hands each log record on as one line."""

    def __init__(self, say: Callable[[str], None], *, debug: bool) -> None:
        super().__init__()
        self._say = say
        self._debug = debug

    def emit(self, record: logging.LogRecord) -> None:
        """Pass the line on."""
        with suppress(*GONE):  # and a disk that is full
            self._say(self.line_of(record))

    def line_of(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback of a kernel's error only under --debug."""
        if not self._debug:
            record = logging.makeLogRecord(record.__dict__ | {"exc_info": None, "exc_text": None})
        return without_secrets(self.format(record))


def level_of(settings: Settings, *, otherwise: str) -> str:
    """Return OUTLAST_LOG_LEVEL where it is set."""
    return settings.log_level if "log_level" in settings.model_fields_set else otherwise


def log_to_stderr(
    level: str, *, log_format: str = "text", debug: bool = False, kernels: bool = False
) -> None:
    """Print the log from `level` up to standard error, each line with its time in UTC.

    `kernels`: also what kernels print and log.
    """
    stream = sys.stderr  # A kernel may put another one in its place, and not put it back.
    handler = Lines(lambda line: write_line(line, stream), debug=debug)
    if log_format == "json":
        from outlast.worker.telemetry.json_lines import JsonLines

        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(with_time())
    log_by(handler, level)
    if kernels:
        hear_kernels([handler], level)


def log_to(
    say: Callable[[str], None], level: str, *, debug: bool = False, kernels: str | None = None
) -> None:
    """Hand the messages of the log from `level` up to `say`, without time and level.

    It is for a command that shows by itself how its job gets on, and why it failed. `kernels` is
    the level of what kernels print and log; None: they are not heard.
    """
    handler = Lines(say, debug=debug)
    handler.addFilter(_is_news)
    log_by(handler, level)
    if kernels is not None:
        hear_kernels([handler], kernels)


def _is_news(record: logging.LogRecord) -> bool:
    event = getattr(record, "event", None)
    is_of_part = getattr(record, "part", None) is not None
    return event not in SAID_BY_COMMAND and not (event == COUNTED_BY_COMMAND and is_of_part)


def with_time() -> logging.Formatter:
    """Return what makes a line with time and level of each record."""
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    return KernelText(formatter)


def log_by(handler: logging.Handler, level: str) -> None:
    """Let this handler alone have the log, from `level` up."""
    log = logging.getLogger("outlast")
    log.handlers = [handler]
    log.setLevel(level)
    log.propagate = False
