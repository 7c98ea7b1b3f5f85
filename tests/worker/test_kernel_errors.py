"""A kernel's error names the line of the kernel that raised it."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING

import pytest

from outlast.kernel import Resources
from outlast.kernel.bulk import dumped
from outlast.worker.slices.isolation.parent import isolated
from outlast.worker.slices.kernel_errors import attach_location, described, location_of
from tests import kernels
from tests.worker import unruly

if TYPE_CHECKING:
    from collections.abc import Callable


def line_of(function: Callable[..., object]) -> int:
    """The number of the last line of a function."""
    lines, first = inspect.getsourcelines(function)
    return first + len(lines) - 1


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", "ValueError: no such root"),
        ("raises unrepeatably", "Unrepeatable: no root"),
    ],
)
def test_an_error_from_another_process_has_its_location(how: str, message: str) -> None:
    """The author of a kernel that runs isolated would learn what is wrong, but not where."""
    steps = isolated(unruly.Unruly(), [dumped(unruly.Params(how=how, at=0))], Resources())
    with pytest.raises((ValueError, RuntimeError)) as caught:
        for _ in steps:
            pass
    location = f"(unruly.py:{line_of(unruly.WAYS[how])})"
    assert described(caught.value, unruly.Unruly).endswith(f"{message} {location}")


def _read_json(_: int) -> None:
    json.loads("{")


def test_an_error_of_a_library_has_the_location_of_its_call() -> None:
    """An author would be pointed into a library, where there is nothing to mend."""
    kernel = kernels.Counting(_read_json)
    with pytest.raises(json.JSONDecodeError) as caught:
        next(kernel.run(kernel.Params(steps=1), None, Resources()))
    location = location_of(caught.value, kernels.Counting)
    assert location == f"test_kernel_errors.py:{line_of(_read_json)}"


def test_an_error_that_hides_another_has_its_location() -> None:
    """An author would not find what is wrong with their `progress`."""
    error = ValueError("cannot tell its progress")
    try:
        _read_json(0)
    except json.JSONDecodeError as cause:
        error.__cause__ = cause
    assert location_of(error, kernels.Counting) == f"test_kernel_errors.py:{line_of(_read_json)}"


def test_an_error_from_elsewhere_has_no_location() -> None:
    """An author would look for a fault in a kernel that has none."""
    error = ValueError("no such root")
    assert described(error, kernels.Counting) == "ValueError: no such root"


class Slotted(Exception):
    """An exception whose attributes cannot be set."""

    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError(name)


def test_an_error_that_takes_no_attribute_is_described_all_the_same() -> None:
    """An odd exception would end the process instead of the kernel's step."""
    error = Slotted("no root")
    attach_location(error, kernels.Counting)
    assert described(error, kernels.Counting) == "Slotted: no root"
