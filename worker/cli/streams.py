"""What a command prints on standard output."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

from outlast.worker.cli.params import format_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from outlast.worker.settings import Settings


def reopen() -> None:
    """Let what goes to a stream that whoever started us has closed go nowhere.

    A print to a standard error that is missing goes to standard output. In this order each is
    opened at its own number, which the next file would have otherwise.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(nowhere, True)  # noqa: FBT003 - a process started here needs it, too
            setattr(sys, name, os.fdopen(nowhere, "r" if name == "stdin" else "w", closefd=False))
    # What the terminal's encoding lacks is escaped, as on standard error.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextmanager
def reserved() -> Iterator[None]:
    """Keep standard output free for the answer: what kernels print goes to standard error.

    So it does from C, and from processes that a kernel starts.
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


def warn_if_apart(settings: Settings) -> None:
    """Say on standard error that workers elsewhere will not be woken, if so it is."""
    if settings.are_apart:
        print(
            "outlast: the store is shared, but the queue is a file on this machine: workers "
            "elsewhere find its jobs by their sweep only; set OUTLAST_QUEUE",
            file=sys.stderr,
        )


def put(line: str) -> None:
    """Print one line."""
    print(line)


def put_json(value: Any) -> None:
    """Print one JSON document."""
    put(json.dumps(value, indent=2))


def put_json_each(values: Iterable[Any]) -> None:
    """Print one JSON array, each value as soon as it is there; an error after some closes it."""
    opening = "["
    try:
        for value in values:
            print(f"{opening}\n{json.dumps(value)}", end="")
            opening = ","
    finally:
        if opening == ",":
            put("\n]")
    if opening == "[":
        put("[]")


def put_fields(fields: Mapping[str, Any]) -> None:
    """Print one line for each field that has a value."""
    width = max(map(len, fields))
    for name, value in fields.items():
        if value is not None:
            put(f"{name:<{width}}  {_shown(value)}")


def put_result(result: Any) -> None:
    """Print a result: an object as key=value, the way parameters are typed."""
    put(_shown(result))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return format_params(value)
    # A text of a kernel's may hold what would take over the terminal.
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
