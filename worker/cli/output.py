"""What a command prints: its answer on standard output, a word about it on standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TextIO

from outlast.checkpoint.safe_text import one_line, without_secrets
from outlast.worker.cli.params import format_params
from outlast.worker.cli.tables import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from outlast.worker.settings import Settings

LINE_CHARACTERS = 1000
# What writing raises where nobody can read any more, or a kernel has closed the stream.
GONE = (OSError, ValueError)


def say(text: str) -> None:
    """Print one line on standard error; text from elsewhere is made safe to show."""
    line = one_line(without_secrets(text), LINE_CHARACTERS)
    write_line(f"outlast: {line}", sys.stderr)


def write_line(line: str, stream: TextIO) -> None:
    """Write one line in one step: other threads write to the stream, too."""
    stream.write(f"{line}\n")
    stream.flush()


def warn_if_apart(settings: Settings) -> None:
    """Say so if other machines see the store but not the queue."""
    if settings.are_apart:
        say(
            "the store is shared, but the queue is a file on this machine: workers elsewhere find "
            "its jobs by their sweep only; set OUTLAST_QUEUE"
        )


def print_json(value: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(value, indent=2))


def print_json_array(values: Iterable[Any]) -> None:
    """Print one JSON array, each value as soon as it is there; an error after some closes it."""
    opening = "["
    try:
        for value in values:
            print(f"{opening}\n{json.dumps(value)}", end="")
            opening = ","
    finally:
        if opening == ",":
            print("\n]")
    if opening == "[":
        print("[]")


def print_lines(lines: Iterable[str], heading: str | None = None) -> bool:
    """Print each line as soon as it is there, the heading before the first one.

    Returns whether there was any line.
    """
    is_any = False
    for line in lines:
        if heading is not None and not is_any:
            print(heading)
        is_any = True
        print(line)
    return is_any


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print one line for each field that has a value."""
    width = max(map(len, fields))
    for name, value in fields.items():
        if value is not None:
            print(f"{name:<{width}}  {wrapped(text_of(value), indent=width + 2)}")


def print_result(result: Any, *, as_json: bool) -> None:
    """Print a job's result; an object as key=value, the way parameters are typed."""
    from outlast.checkpoint.view import short

    shown = short(result)
    print_json(shown) if as_json else print(text_of(shown))


def text_of(value: Any) -> str:
    """Return a value as people read it; an object as key=value, the way parameters are typed."""
    if isinstance(value, dict):
        return format_params(value)
    # A text from a kernel could hold what a terminal obeys.
    return value if isinstance(value, str) and value.isprintable() else json.dumps(value)
