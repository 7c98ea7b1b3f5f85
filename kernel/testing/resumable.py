"""The one question to a kernel: does it come to the same result wherever it is stopped?"""

from __future__ import annotations

import os
from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from outlast.kernel.contract import Resources
from outlast.kernel.testing.another_process import Unfinished, another_process
from outlast.kernel.testing.sample import Point, Sample, shown
from outlast.kernel.testing.stored import through_json
from outlast.kernel.testing.trial import Trial, finish

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.kernel.contract import Kernel

R = TypeVar("R", bound=BaseModel)

TOGETHER = Resources(threads=2)
IN_STATE = "all that it needs must be in its state"


def assert_resumable(
    kernel: Kernel[Any, Any, R],
    params: BaseModel,
    *,
    interruptions: int = 50,
    longest_step_seconds: float | None = 1.0,
    forks: bool = True,
) -> R:
    """Fail unless `kernel` comes to one result for `params`, wherever it is stopped; return it.

    It runs whole; then from each safe point to the end, by a copy of the kernel; from the middle
    one also in another process; then stopped at each safe point, by the kernel that has run
    before; then the same, but back to the safe point before each time and over that stretch again.
    A state always passes through its JSON, as a worker stores it, and the number of threads varies.

    Where there are more than `interruptions` safe points, that many or half of them are taken,
    evenly spread. All that takes at most `interruptions` times as long as one run: choose
    parameters that take a second, and have safe points of every kind.

    From one state to the next that differs it may take `longest_step_seconds`; None: any time. A
    worker sees its deadline at a yield only, and a slice shorter than that never advances: about
    0.05 s is good, and the default leaves room for a busy machine. A state that is yielded again
    is no further safe point.

    The other process is forked from this one before the kernel runs: what an earlier test, or the
    import, has left in its class or module is there, too. So is its hash seed: that a result
    depends on `hash` or on the order of a set of strings is only seen where the answer is known.
    `forks` is False for libraries that cannot be forked, such as CUDA's; then, and where there is
    no fork, that part is left out.

    Raises:
        AssertionError: it names the first state from which the result differs, or what else a
            worker would stumble over.
    """
    if isinstance(kernel, type):
        told = f"the kernel is a class: give an instance, {kernel.__name__}()"
        raise AssertionError(told)  # noqa: TRY004 - every finding of a test is this one
    fresh = deepcopy(kernel)
    params = through_json(kernel.Params, params, "the value of its parameters")
    is_forked = forks and hasattr(os, "fork")
    with another_process(_rest(kernel, params)) if is_forked else nullcontext() as elsewhere:
        kernel.prepare(params)
        trial: Trial[R] = Trial(params, longest_step_seconds)
        sample = Sample(interruptions)
        wanted = finish(trial.run(kernel, None), sample.take)
        trial.check_progress(kernel, sample.points)
        for point in sample.points:
            _check_copy(trial, fresh, point, wanted)
        if elsewhere and sample.points:
            _check_elsewhere(elsewhere, sample.points[len(sample.points) // 2], wanted)
    _check_again(trial, kernel, sample, wanted)
    return wanted


def _check_copy(trial: Trial[R], fresh: Kernel[Any, Any, R], point: Point, wanted: R) -> None:
    """Fail unless a copy of the kernel comes to the result from `point`."""
    found = trial.resumed(deepcopy(fresh), point, TOGETHER)
    if found == wanted:
        return
    told = f"it comes to {shown(found)} instead of {shown(wanted)}"
    if trial.resumed(deepcopy(fresh), point) == wanted:
        raise AssertionError(
            f"resumed from {point}, with {TOGETHER.threads} threads {told}, to which it comes "
            "with one: the result must not depend on resources.threads"
        )
    raise AssertionError(f"resumed from {point}, {told}: {IN_STATE}")


def _rest(
    kernel: Kernel[Any, Any, R], params: BaseModel
) -> Callable[[str, Callable[[], None]], str]:
    """Return what the other process has to do with a state: come to the result."""
    # Its steps are not timed: the first one may rebuild what this process has in a cache.
    trial: Trial[R] = Trial(params, None)

    def rest(text: str, see: Callable[[], None]) -> str:
        kernel.prepare(params)
        return finish(trial.run(kernel, text), lambda _: see()).model_dump_json()

    return rest


def _check_elsewhere(elsewhere: Callable[[str], str], point: Point, wanted: R) -> None:
    """Fail unless the other process comes to the result from `point`."""
    hint = f"{IN_STATE}, not in the class or the module"
    where = f"resumed from {point}, in another process it"
    try:
        found = type(wanted).model_validate_json(elsewhere(point.text))
    except Unfinished as error:
        raise AssertionError(
            f"{where} {error}: {hint} (a library that cannot be forked: forks=False)"
        ) from error
    if found != wanted:
        raise AssertionError(f"{where} comes to {shown(found)} instead of {shown(wanted)}: {hint}")


def _check_again(trial: Trial[R], kernel: Kernel[Any, Any, R], sample: Sample, wanted: R) -> None:
    """Fail unless the kernel that has run comes to the result, stopped again and again."""
    ways = {"stopped": False, "stopped, and sent back to the one before,": True}
    for what, is_redone in ways.items():
        found = trial.interrupted(kernel, sample, is_redone=is_redone)
        if found != wanted:
            raise AssertionError(
                f"{what} at {sample.stops} it comes to {shown(found)} instead of "
                f"{shown(wanted)}, though it does not from any one of them: nothing may stay in "
                "the kernel object"
            )
