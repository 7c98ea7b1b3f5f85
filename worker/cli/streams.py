"""The process's standard streams, which a parent may have closed and a kernel may print to."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator


def reopen() -> None:
    """Open the null device for each standard stream that the parent process has closed.

    A print to a missing standard error goes to standard output. In this order each is opened at
    its own number, which the next file would have otherwise.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(null, True)  # noqa: FBT003 - a process started here needs it, too
            setattr(sys, name, os.fdopen(null, "r" if name == "stdin" else "w", closefd=False))
    # What the terminal's encoding lacks is escaped, as on standard error.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what kernels print to standard error, so that standard output has the answer alone.

    This includes what they print from C, and what processes print that they start.
    """
    import ctypes  # here, as most commands do without

    stream = sys.stdout
    stream.flush()
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        # A kernel may have put another stream in its place, or closed it, or what is below.
        with suppress(OSError, ValueError):
            stream.flush()
        ctypes.CDLL(None).fflush(None)
        os.dup2(answers, 1)
        os.close(answers)
        sys.stdout = os.fdopen(1, "w", closefd=False) if stream.closed else stream


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads `stream` where the cursor can be moved."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
