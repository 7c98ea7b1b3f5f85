"""The one question to a kernel: is its result the same wherever it is stopped?"""

from __future__ import annotations

import os
from contextlib import nullcontext
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from outlast.kernel.contract import Resources
from outlast.kernel.testing.another_process import Unfinished, another_process
from outlast.kernel.testing.json_round_trip import round_trip
from outlast.kernel.testing.sample import Point, Sample, excerpt
from outlast.kernel.testing.trial import Trial, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.kernel.contract import Kernel
    from outlast.kernel.testing.another_process import Work

R = TypeVar("R", bound=BaseModel)

TWO_THREADS = Resources(threads=2)
IN_STATE = "all that it needs must be in its state"


def assert_resumable(
    kernel: Kernel[Any, Any, R],
    params: BaseModel,
    *,
    interruptions: int = 50,
    longest_step_seconds: float | None = 1.0,
    forks: bool = True,
) -> R:
    """Fail unless the result of `kernel` for `params` is the same wherever it stops; return it.

    The kernel runs:

    - once as a whole;
    - from each safe point to the end, as a copy that has not run before;
    - from the middle one to the end, in another process;
    - stopped at each safe point, in the object that has run before;
    - the same once more, with each stretch run twice.

    A state always passes through its JSON, as a worker stores it, and the number of threads varies.

    Of more than `interruptions` safe points at most that many are tried, and at least half as many,
    evenly spread. In all this takes at most `interruptions` times as long as one run: choose
    parameters that take a second, and have safe points of every kind.

    From one state to the next different one it may take `longest_step_seconds`; None: any time. A
    worker sees its deadline at a yield only, and a slice shorter than that never advances: about
    0.05 s is good, and the default leaves room for a busy machine. A state that is yielded again
    is no further safe point.

    The other process is a fork from before the kernel's first run. What an import or an earlier
    test has left in the class or module is there, too, and so is the hash seed: only a known answer
    shows that a result depends on `hash` or on the order of a set of strings. `forks` is False for
    libraries that cannot be forked, such as CUDA's; then, and where the system has no fork, that
    part is left out.

    Raises:
        AssertionError: it names the first state from which the result differs, or what else would
            stop a worker.
    """
    if isinstance(kernel, type):
        message = f"the kernel is a class: give an instance, {kernel.__name__}()"
        raise AssertionError(message)  # noqa: TRY004 - every failure of a test is one
    fresh = deepcopy(kernel)
    params = round_trip(kernel.Params, params, "the value of its parameters")
    can_fork = forks and hasattr(os, "fork")
    with another_process(_finish(kernel, params)) if can_fork else nullcontext() as elsewhere:
        kernel.prepare(params)
        trial: Trial[R] = Trial(params, longest_step_seconds)
        sample = Sample(interruptions)
        expected = run_to_end(trial.run(kernel, None), sample.add)
        trial.check_progress(kernel, sample.points)
        for point in sample.points:
            _check_copy(trial, fresh, point, expected)
        if elsewhere and sample.points:
            _check_elsewhere(elsewhere, sample.points[len(sample.points) // 2], expected)
    _check_interrupted(trial, kernel, sample, expected)
    return expected


def _check_copy(trial: Trial[R], fresh: Kernel[Any, Any, R], point: Point, expected: R) -> None:
    """Fail unless a copy of the kernel has the expected result from `point`."""
    result = trial.resume(deepcopy(fresh), point, TWO_THREADS)
    if result == expected:
        return
    if trial.resume(deepcopy(fresh), point) == expected:
        raise AssertionError(
            f"resumed from {point}, with {TWO_THREADS.threads} threads {_wrong(result, expected)}, "
            "and with one it is right: the result must not depend on resources.threads"
        )
    raise AssertionError(f"resumed from {point}, {_wrong(result, expected)}: {IN_STATE}")


def _finish(kernel: Kernel[Any, Any, R], params: BaseModel) -> Work:
    """Return the work of the other process: from the JSON of a state to that of the result."""
    # Its steps are not timed: the first one may rebuild what this process has in a cache.
    trial: Trial[R] = Trial(params, None)

    def finish(text: str, check_parent: Callable[[], None]) -> str:
        kernel.prepare(params)
        return run_to_end(trial.run(kernel, text), lambda _: check_parent()).model_dump_json()

    return finish


def _check_elsewhere(elsewhere: Callable[[str], str], point: Point, expected: R) -> None:
    """Fail unless the other process has the expected result from `point`."""
    hint = f"{IN_STATE}, not in the class or the module"
    where = f"resumed from {point}, in another process"
    try:
        result = type(expected).model_validate_json(elsewhere(point.text))
    except Unfinished as error:
        raise AssertionError(
            f"{where} it {error}: {hint} (a library that cannot be forked: forks=False)"
        ) from error
    if result != expected:
        raise AssertionError(f"{where} {_wrong(result, expected)}: {hint}")


def _check_interrupted(
    trial: Trial[R], kernel: Kernel[Any, Any, R], sample: Sample, expected: R
) -> None:
    """Fail unless the kernel that has run before has the expected result when it stops often."""
    for stopped, twice in (("stopped", False), ("stopped, with each stretch run twice,", True)):
        result = trial.run_interrupted(kernel, sample, twice=twice)
        if result != expected:
            raise AssertionError(
                f"{stopped} at {sample.description}, {_wrong(result, expected)}, and from any one "
                "of them alone it is right: keep nothing in the kernel object"
            )


def _wrong(result: R, expected: R) -> str:
    return f"its result is {excerpt(result)} instead of {excerpt(expected)}"
