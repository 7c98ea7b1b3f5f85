"""Where in a kernel's code an error arose."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from outlast.worker.slices.kernel_output import line

if TYPE_CHECKING:
    from outlast.kernel import Kernel

# An attribute of an exception goes with it from process to process, its traceback does not.
ATTRIBUTE = "outlast_place"


def located(error: BaseException, kernel_class: type[Kernel[Any, Any, Any]]) -> str:
    """Return the error on one line, with the file and line of the kernel's code if it is there."""
    place = None
    with suppress(Exception):  # the attributes of a foreign class may raise
        place = getattr(error, ATTRIBUTE, None)
    place = place or place_of(error, kernel_class)
    return f"{line(error)} ({place})" if isinstance(place, str) else line(error)


def keep_place(error: BaseException, place: str | None) -> None:
    """Note in the error itself where it arose, for a process that will not have its traceback."""
    with suppress(Exception):  # a foreign class may refuse attributes
        setattr(error, ATTRIBUTE, place)


def place_of(error: BaseException, kernel_class: type[Kernel[Any, Any, Any]]) -> str | None:
    """Return "file.py:42", the innermost line that is in the kernel's package; None: none is.

    It is that of the error, or else of the one that it was raised from.
    """
    package = _package(kernel_class.__module__)
    for raised in (error, error.__cause__):
        places = [
            f"{Path(frame.f_code.co_filename).name}:{number}"
            for frame, number in walk_tb(raised.__traceback__ if raised else None)
            if _package(str(frame.f_globals.get("__name__"))) == package
        ]
        if places:
            return places[-1]
    return None


def _package(module: str) -> str:
    """Return the package that a kernel's code is in; of Outlast's own, each is one by itself."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[0] == "outlast" else 1])
