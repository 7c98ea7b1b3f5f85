"""What an isolated kernel prints and logs, on its way to the worker's log.

    kernel's process                                         worker
    standard output and error, also of native code    ->     lines
    records of `logging`, each as MARK and JSON       ->     the same records

All of it goes through one pipe, so that it stays in order. Nobody reads while the kernel has to
wait anyway.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, Self

from outlast.kernel.contract import KERNEL_LOG
from outlast.worker.telemetry.kernel_lines import MAX_CHARACTERS, say

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MARK = b"\x1e"  # no JSON text has it
READ_BYTES = 1 << 16
# At once; a program that prints without an end must not hold up its worker.
MAX_READS = 16


class ChildLines:
    """The worker's end of the pipe; a context that closes it.

    Attributes:
        sources: what to wait for; nothing once nobody can write any more.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._rest = b""
        self.sources = [pipe]
        os.set_blocking(pipe.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.log()
        self._log_line(self._rest)
        self._pipe.close()

    def log(self) -> None:
        """Log the lines that have come."""
        for _ in range(MAX_READS if self.sources else 0):
            try:
                data = os.read(self._pipe.fileno(), READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self.sources = []
                return
            *lines, self._rest = (self._rest + data).split(b"\n")
            if len(self._rest) > MAX_CHARACTERS and MARK not in self._rest:
                lines.append(self._rest)
                self._rest = b""
            for line in lines:
                self._log_line(line)

    def _log_line(self, line: bytes) -> None:
        text, mark, data = line.partition(MARK)
        say(text.decode(errors="backslashreplace"))
        if mark:
            try:
                record = logging.makeLogRecord(json.loads(data))
                handle = logging.getLogger(record.name).handle
            except (ValueError, TypeError):  # two have written at the same time
                say(data.decode(errors="backslashreplace"))
            else:
                handle(record)


def levels() -> tuple[int, int]:
    """Return what is logged here: the levels of kernels' own log and of all others."""
    return KERNEL_LOG.getEffectiveLevel(), logging.getLogger().level


def send_lines(pipe: Connection, levels: tuple[int, int]) -> None:
    """Send all that this process and those that it starts print and log through the pipe."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        os.dup2(pipe.fileno(), number)
        # Another stream: that of a file, which it may have been, does not fit a pipe.
        stream = os.fdopen(number, "w", 1, "utf-8", "backslashreplace", closefd=False)
        setattr(sys, name, stream)
    root = logging.getLogger()
    root.handlers = [_Sender(pipe)]
    for log, level in zip((KERNEL_LOG, root), levels, strict=True):
        log.setLevel(level)


class _Sender(logging.Handler):
    """Sends each record as one line."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self._pipe = pipe
        self._text = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {
                "name": record.name,
                "levelno": record.levelno,
                "levelname": record.levelname,
                "created": record.created,
                "msecs": record.msecs,
                "msg": record.getMessage(),
            }
            if record.exc_info:
                fields["exc_text"] = self._text.formatException(record.exc_info)
            left = memoryview(MARK + json.dumps(fields).encode() + b"\n")
            while left:
                left = left[os.write(self._pipe.fileno(), left) :]
        except Exception:  # noqa: BLE001 - as every handler: a line is never worth a step
            self.handleError(record)
