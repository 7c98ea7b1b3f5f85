"""A part of a divided job in a child process, as any kernel that may not return."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from outlast.kernel import Resources
from outlast.kernel.bulk import dumped
from outlast.kernel.parts import PartKernel, class_of
from outlast.worker.slices.held import Busy
from outlast.worker.slices.isolation.parent import isolated
from outlast.worker.slices.kernel_errors import described
from tests.dividing import Dividing, Telling
from tests.kernel.test_testing_partials import Tallying
from tests.kernels import Pieces

if TYPE_CHECKING:
    from pydantic import BaseModel

    from outlast.kernel import Divisible


def run(
    whole: Divisible[Any, Any, Any, Any, Any, Any], state: BaseModel | None = None, *, last: int
) -> tuple[list[Any], Any]:
    """Return the states that pieces 0 to last - 1 yield in a child process, and the partial."""
    kernel = PartKernel(whole)
    params = kernel.Params(plan=Pieces(steps=12), first=0, last=last)
    begin = [dumped(params)] + ([dumped(state)] if state else [])
    steps = isolated(kernel, begin, Resources())
    states = []
    while True:
        try:
            found = next(steps)
        except StopIteration as end:
            return states, end.value
        if not isinstance(found, Busy):
            states.append(found)


def test_a_part_runs_in_a_process_of_its_own() -> None:
    """A kernel that may not return could not be shared, or would take the worker with it."""
    states, partial = run(Telling(), last=2)
    assert [state.at for state in states] == [1, 2, 3, 4, 5, 6]
    assert partial.factor not in {1, os.getpid()}
    assert partial.more == states[-1].more


def test_a_part_goes_on_there_from_a_state() -> None:
    """It would begin anew in every slice."""
    states, partial = run(Dividing(), last=4)
    rest, same = run(Dividing(), states[4], last=4)
    assert (rest, same) == (states[5:], partial)


def test_its_partial_may_have_arrays() -> None:
    """The arrays of a partial would stay in a process that ends."""
    _, partial = run(Tallying(), last=4)
    assert partial.counts.tolist() == [3, 5, 0, 0, 4]


def test_an_error_there_names_the_line_of_the_authors_code() -> None:
    """An author would read an error of a shared job and not find where it arose."""
    with pytest.raises(ValueError, match="seven") as failure:
        run(Telling(), last=4)
    error = described(failure.value, class_of(PartKernel(Telling())))
    assert error.startswith("ValueError: seven (dividing.py:")
