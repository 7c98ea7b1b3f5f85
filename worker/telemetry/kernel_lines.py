"""What kernels print and log, as lines of the log that tell job, slice and worker.

A process runs one slice at a time. So all that is printed while it does, and all that is logged by
others than Outlast, is its kernel's. What native code and programs write comes out as it is, unless
the kernel is isolated: see `isolation/lines.py`.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.checkpoint.last_lines import MAX_LINES, line_of
from outlast.kernel.contract import KERNEL_LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from outlast.checkpoint.last_lines import Line

# What is printed without a line break is a line once it is longer.
MAX_CHARACTERS = 8192
# Libraries of the worker that log more than errors at INFO.
TALKATIVE = "botocore"


class Source(NamedTuple):
    """Whose a line is; its fields are those of the record."""

    job_id: str
    kernel: str
    slice: int
    worker: str


class _Now:
    source: Source | None = None  # of the slice that runs
    job_id = ""  # of the slice that runs, or ran last

    def __init__(self) -> None:
        self.lines = _no_lines()  # its last ones: when, in which slice, and the text as it came


def _no_lines() -> deque[tuple[float, int, str]]:
    return deque(maxlen=MAX_LINES)


class _Thread(threading.local):
    is_logging = False


_now, _thread = _Now(), _Thread()


def hear_kernels(handlers: Iterable[logging.Handler], level: str) -> None:
    """Let these handlers have what kernels print and log, from `level` up.

    Of loggers that are not the worker's own, a level below INFO counts only where the kernel has
    set it: libraries have much to say there.
    """
    root = logging.getLogger()
    for handler in KERNEL_LOG.handlers:
        root.removeHandler(handler)
    KERNEL_LOG.handlers = [*handlers, _LastLines()]
    KERNEL_LOG.propagate = False
    KERNEL_LOG.setLevel(level)
    for handler in KERNEL_LOG.handlers:
        handler.addFilter(_marked)
        if handler not in root.handlers:
            root.addHandler(handler)
    root.setLevel(max(KERNEL_LOG.level, logging.INFO))
    if logging.getLogger(TALKATIVE).level == logging.NOTSET:
        logging.getLogger(TALKATIVE).setLevel(logging.WARNING)


@contextmanager
def heard(source: Source) -> Iterator[None]:
    """Make lines of `source` of what is printed and logged within the block.

    Where nobody hears kernels, what they print comes out as it is.
    """
    before = _now.source, sys.stdout, sys.stderr
    _now.source, _now.job_id, _now.lines = source, source.job_id, _no_lines()
    printed = [_Printed(stream) for stream in before[1:]] if KERNEL_LOG.handlers else []
    _lately.extend(printed)
    if printed:
        sys.stdout, sys.stderr = printed
    try:
        yield
    finally:
        for stream in printed:
            stream.end()
        # A kernel may have put others in their place.
        _now.source, sys.stdout, sys.stderr = before


def last_lines(job_id: str) -> Sequence[Line]:
    """Return the last lines of the slice of the job that runs here, or ran last; none of others."""
    return [line_of(*line) for line in tuple(_now.lines)] if _now.job_id == job_id else []


def say(line: str) -> None:
    """Log a line that a kernel has printed: what a terminal would show of it in the end."""
    if line := line.rstrip().rpartition("\r")[2]:
        KERNEL_LOG.disabled = False  # by a logging.config of the kernel
        with not_heard():
            if KERNEL_LOG.hasHandlers():
                KERNEL_LOG.info("%s", line)
            else:
                print(line, file=sys.stderr)  # noqa: T201 - nobody hears kernels


@contextmanager
def not_heard() -> Iterator[None]:
    """Let what this thread prints within the block be no kernel's."""
    before, _thread.is_logging = _thread.is_logging, True
    try:
        yield
    finally:
        _thread.is_logging = before


def not_hearing(handle: Callable[[logging.LogRecord], Any]) -> Callable[[logging.LogRecord], Any]:
    """Return the `handle` of a handler that prints to what is standard output just then."""

    def apart(record: logging.LogRecord) -> Any:
        with not_heard():
            return handle(record)

    return apart


def is_of_kernel(record: logging.LogRecord) -> bool:
    """Whether a handler has marked the record as a kernel's: it has the fields of a `Source`."""
    return not hasattr(record, "event") and all(hasattr(record, name) for name in Source._fields)


class KernelText(logging.Formatter):
    """Formats as another formatter, and puts before a kernel's line whose it is."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        if is_of_kernel(record):
            fields: Any = record
            whose = f"job {fields.job_id} slice {fields.slice} on {fields.worker}"
            line = {"msg": f"{whose}: {record.getMessage()}", "args": None}
            record = logging.makeLogRecord(vars(record) | line)
        return self._formatter.format(record)


class _LastLines(logging.Handler):
    """Keeps the last lines of the kernel, with which each write of its job is made."""

    def emit(self, record: logging.LogRecord) -> None:
        if is_of_kernel(record):
            slice_number = vars(record)["slice"]
            lines = self.format(record).splitlines()[-MAX_LINES:]
            _now.lines.extend((record.created, slice_number, line) for line in lines)


def _marked(record: logging.LogRecord) -> bool:
    """Give a kernel's record the fields of its source; a filter that takes all."""
    is_own = record.name.partition(".")[0] == "outlast"
    if _now.source is not None and not (is_own or hasattr(record, "event")):
        vars(record).update(_now.source._asdict())
    return True


class _Printed(io.TextIOBase):
    """Standard output or error while a kernel runs: each line that is printed to it is logged."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._rest = ""
        self._lock = threading.RLock()
        self._is_over = False

    def end(self) -> None:
        """Log what has no line break yet. A thread of the kernel prints as it is from here on."""
        self._is_over = True
        say(self._rest)

    def write(self, text: str) -> int:
        if self._is_over or _thread.is_logging:
            self._stream.write(text)
            return len(text)
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            if len(self._rest) > MAX_CHARACTERS:
                lines.append(self._rest)
                self._rest = ""
        for line in lines:
            say(line)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def close(self) -> None:
        """Stay open: a worker must be able to print whatever a kernel closes."""

    def fileno(self) -> int:
        return int(self._stream.fileno())

    def writable(self) -> bool:
        return True

    # What is written below goes past the lines.
    @property
    def buffer(self) -> Any:
        return self._stream.buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return str(self._stream.encoding)

    @property
    def errors(self) -> str:  # type: ignore[override]
        return str(self._stream.errors)


# Those of the last slices: up to Python 3.13, print() keeps no reference to the stream, and would
# write to a freed one where a thread prints while a slice ends, as that of RunPod's SDK does.
_lately: deque[_Printed] = deque(maxlen=1000)
