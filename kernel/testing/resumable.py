"""The one question to a kernel: is its result the same wherever it is stopped?"""

from __future__ import annotations

import os
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel

from outlast.kernel.bulk import same
from outlast.kernel.testing.another_process import (
    AnotherProcess,
    Task,
    Unfinished,
    forked,
    interpreted,
)
from outlast.kernel.testing.sample import Point, Sample
from outlast.kernel.testing.stored import Stored, excerpt, stored
from outlast.kernel.testing.trial import Trial, granted, run_to_end

if TYPE_CHECKING:
    from outlast.kernel.contract import Kernel, Resources

R = TypeVar("R", bound=BaseModel)

THREADS = 2
IN_STATE = "all that it needs must be in its state"
NOT_HERE = f"{IN_STATE}, not in the class or the module"
HASHES = "it depends on hash or on the order of a set, or on what a test has set up in a module"


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
    - from each safe point to the end, as a copy that has not run before, with another number of
      threads and an empty scratch folder;
    - from the middle one to the end, in another process, and in an interpreter with another hash
      seed;
    - stopped at each safe point, in the object that has run before;
    - the same once more, with each stretch run twice.

    A state always passes through what a worker stores, its JSON and the bytes of its arrays, and
    is read into memory that the kernel may change in place. An array that was yielded may change
    once the kernel is resumed, never while it is suspended; at some points it is for a moment
    longer, to see that. The parameters must be the same in the end.

    Of more than `interruptions` safe points at most that many are tried, and at least half as many,
    evenly spread; the states there, with their arrays, are kept in memory. In all this takes at
    most `interruptions` times as long as one run, and the start of an interpreter: choose
    parameters that take a second, and have safe points of every kind.

    From one state to the next different one it may take `longest_step_seconds`; None: any time. A
    worker sees its deadline at a yield only, and a slice shorter than that never advances: about
    0.05 s is good, and the default leaves room for a busy machine. A state that is yielded again
    is no further safe point.

    The other process is a fork from before the kernel's first run: what an import or an earlier
    test has left in the class or module is there, too. `forks` is False for libraries that cannot
    be forked, such as CUDA's; then, and where the system has no fork, it is left out.

    The interpreter gets the kernel by pickle and imports its class. What a test has changed in its
    modules is not there. It is left out where that cannot be, as for a class that is made in a
    function or in a script: then only a known answer shows that a result depends on `hash` or on
    the order of a set of strings.

    Raises:
        AssertionError: it names the first state from which the result differs, or what else would
            stop a worker.
    """
    if isinstance(kernel, type):
        message = f"the kernel is a class: give an instance, {kernel.__name__}()"
        raise AssertionError(message)  # noqa: TRY004 - every failure of a test is one
    fresh = deepcopy(kernel)
    given = stored(kernel.Params, params, "the value of its parameters")
    params = given.load(kernel.Params)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        trial: Trial[R] = Trial(params, granted(1, _scratch(folder)), longest_step_seconds)
        sample = Sample(interruptions)
        with ExitStack() as stack:
            elsewhere = _started(kernel, stack, forks=forks)
            kernel.prepare(params)
            expected = trial.run_whole(kernel, sample)
            trial.check_progress(kernel, sample.points)
            trial.check_metrics(kernel, sample.points[:1])
            for point in sample.points:
                _check_copy(trial, fresh, point, expected, folder)
            for other in elsewhere if sample.points else ():
                middle = sample.points[len(sample.points) // 2]
                _check_elsewhere(other, given, middle, expected, folder)
        _check_interrupted(trial, kernel, sample, expected)
    return expected


def _scratch(folder: str) -> Path:
    return Path(mkdtemp(dir=folder))


def _check_copy(
    trial: Trial[R], fresh: Kernel[Any, Any, R], point: Point, expected: R, folder: str
) -> None:
    """Fail unless a copy of the kernel has the expected result from `point`."""

    def wrong_with(threads: int, scratch: Path) -> Wrong | None:
        resources = granted(threads, scratch)
        return _wrong_from(trial, deepcopy(fresh), point, expected, resources)

    wrong = wrong_with(THREADS, _scratch(folder))
    if wrong is None:
        return
    if wrong_with(trial.home.threads, trial.home.scratch):
        message = f"{wrong}: {IN_STATE}"
    elif wrong_with(THREADS, trial.home.scratch):
        message = (
            f"with {THREADS} threads {wrong}, and with one it is right: the result must not depend "
            "on resources.threads"
        )
    else:
        message = (
            f"in an empty scratch folder {wrong}, and in the one that it has used it is right: "
            "files there do not outlive the slice"
        )
    raise AssertionError(f"resumed from {point}, {message}") from wrong.__cause__


class Wrong(Exception):
    """What is wrong with a run. The message is a clause, such as "its result is 2 instead of 3"."""


def _wrong_from(
    trial: Trial[R], kernel: Kernel[Any, Any, R], point: Point, expected: R, resources: Resources
) -> Wrong | None:
    """Return what is wrong with a run from `point`; None: nothing."""
    try:
        result = run_to_end(trial.run(kernel, point.state, resources))
    except AssertionError:
        raise
    except Exception as error:  # noqa: BLE001 - a foreign kernel may raise anything
        wrong = Wrong(f"it raises {error!r}")
        wrong.__cause__ = error
        return wrong
    return difference(result, expected)


def difference(result: BaseModel, expected: BaseModel) -> Wrong | None:
    """Return how a result differs from the expected one; None: it does not."""
    if same(result, expected):
        return None
    ours, theirs = Stored.of(result), Stored.of(expected)
    if ours.text == theirs.text and (names := theirs.changed(ours)):
        return Wrong(f"its result has other bytes in {names}: {ours}")
    return Wrong(f"its result is {excerpt(result)} instead of {excerpt(expected)}")


class Elsewhere(NamedTuple):
    """Another process, and what a wrong result shows there, or none."""

    process: AnotherProcess
    place: str
    hint: str
    hint_unfinished: str = ""


def _started(kernel: Kernel[Any, Any, Any], stack: ExitStack, *, forks: bool) -> list[Elsewhere]:
    """Start the other processes; they end with the stack."""
    found = []
    if forks and hasattr(os, "fork"):
        process = stack.enter_context(forked(kernel))
        hint = " (a library that cannot be forked: forks=False)"
        found.append(Elsewhere(process, "another process", NOT_HERE, hint))
    if interpreter := stack.enter_context(interpreted(kernel)):
        hint = HASHES if found else f"{NOT_HERE}, or {HASHES}"
        found.append(Elsewhere(interpreter, "an interpreter with another hash seed", hint))
    return found


def _check_elsewhere(
    other: Elsewhere, params: Stored, point: Point, expected: R, folder: str
) -> None:
    """Fail unless the other process has the expected result from `point`."""
    task = Task(params, point.state, THREADS, str(_scratch(folder)))
    where = f"resumed from {point}, in {other.place}"
    try:
        answer = other.process.ask(task)
    except Unfinished as error:
        raise AssertionError(f"{where} it {error}: {other.hint}{other.hint_unfinished}") from error
    if answer and (wrong := difference(answer.load(type(expected)), expected)):
        raise AssertionError(f"{where} {wrong}: {other.hint}")


def _check_interrupted(
    trial: Trial[R], kernel: Kernel[Any, Any, R], sample: Sample, expected: R
) -> None:
    """Fail unless the kernel that has run before has the expected result when it stops often."""
    for stopped, twice in (("stopped", False), ("stopped, with each stretch run twice,", True)):
        result = trial.run_interrupted(kernel, sample, twice=twice)
        if wrong := difference(result, expected):
            raise AssertionError(
                f"{stopped} at {sample.description}, {wrong}, and from any one of them alone it is "
                "right: keep nothing in the kernel object"
            )
