"""What a foreign kernel raises, on one line, with the line of its code."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from outlast.checkpoint.safe_text import first_error, one_line
from outlast.kernel.errors import message_of

if TYPE_CHECKING:
    from outlast.kernel import Kernel

ERROR_CHARACTERS = 500

# An attribute of an exception goes with it from process to process, its traceback does not.
LOCATION = "outlast_location"


def line(error: BaseException) -> str:
    """Return the error on one line that can be stored and shown, no longer than a record's."""
    message = message_of(error)
    if isinstance(error, ValidationError):  # Its own words have many lines.
        with suppress(Exception):
            message = f"{error.title}: {first_error(error)}"
    return one_line(f"{type(error).__name__}: {message}", ERROR_CHARACTERS)


def described(error: BaseException, kernel_class: type[Kernel[Any, Any, Any]]) -> str:
    """Return the error on one line, with the file and line of the kernel's code if it is there."""
    location = None
    with suppress(Exception):  # the attributes of a foreign class may raise
        location = getattr(error, LOCATION, None)
    location = location or location_of(error, kernel_class)
    return f"{line(error)} ({location})" if isinstance(location, str) else line(error)


def attach_location(error: BaseException, location: str | None) -> None:
    """Note in the error itself where it arose, for a process that will not have its traceback."""
    with suppress(Exception):  # a foreign class may refuse attributes
        setattr(error, LOCATION, location)


def location_of(error: BaseException, kernel_class: type[Kernel[Any, Any, Any]]) -> str | None:
    """Return "file.py:42", the innermost line that is in the kernel's package; None: none is.

    It is that of the error, or else of the one that it was raised from.
    """
    package = _package(kernel_class.__module__)
    for raised in (error, error.__cause__):
        locations = [
            f"{Path(frame.f_code.co_filename).name}:{number}"
            for frame, number in walk_tb(raised.__traceback__ if raised else None)
            if _package(str(frame.f_globals.get("__name__"))) == package
        ]
        if locations:
            return locations[-1]
    return None


def _package(module: str) -> str:
    """Return the package that a kernel's code is in; of Outlast's own, each is one by itself."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[0] == "outlast" else 1])
