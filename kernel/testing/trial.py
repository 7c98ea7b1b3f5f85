"""Runs of a kernel in which each step is checked."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from outlast.kernel.bulk import dumped
from outlast.kernel.contract import Resources, start
from outlast.kernel.errors import NonRetryable
from outlast.kernel.testing.stored import Stored, shown, stored

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from outlast.kernel.contract import Kernel
    from outlast.kernel.testing.sample import Point, Sample

R = TypeVar("R", bound=BaseModel)

# An interrupted run may take finer steps than a whole one, but not endlessly many.
MAX_STEPS_RATIO, MAX_STEPS_MORE = 10, 1000
# How long a run is suspended to see whether an array changes meanwhile: twice as long as a step has
# taken so far, so that a thread that works ahead is seen where it writes at its end only.
MIN_WATCH_SECONDS, MAX_WATCH_SECONDS = 0.01, 0.1


@contextmanager
def short(longest_seconds: float | None, what: str) -> Iterator[None]:
    """Fail if the block takes longer; None: it may take any time."""
    begun_at = perf_counter()
    yield
    seconds = perf_counter() - begun_at
    if longest_seconds is not None and seconds > longest_seconds:
        raise AssertionError(
            f"{what} takes {seconds:.2f} s, longer than the {longest_seconds:g} s allowed, and "
            "nothing can stop it: do less there, or set longest_step_seconds"
        )


def granted(threads: int, scratch: Path) -> Resources:
    """Return what a kernel is granted that has this scratch folder."""
    return Resources(threads=threads, make_scratch=lambda: scratch)


class Trial(Generic[R]):
    """Runs of one computation, with a check of each step.

    Attributes:
        home: what runs are granted unless something else is said.
    """

    def __init__(
        self, params: BaseModel, home: Resources, longest_step_seconds: float | None
    ) -> None:
        self._params = params
        self._given = Stored.of(params)
        self.home = home
        self._longest = longest_step_seconds

    def run(
        self, kernel: Kernel[Any, Any, R], point: Stored | None, resources: Resources | None = None
    ) -> Generator[Stored, None, R]:
        """Run from a stored state; yield each new state as it is stored, return the result."""
        state = None if point is None else point.load(kernel.State)
        try:
            steps = start(kernel, self._params, state, resources or self.home)
        except NonRetryable as error:
            raise AssertionError(str(error)) from error
        last, since = point, perf_counter()
        yielded: Stored | None = None  # What `state` was, once it is one of the kernel's own.
        try:
            while True:
                before = state
                try:
                    state = next(steps)
                except StopIteration as end:
                    self._check_seconds(perf_counter() - since, last)
                    _check_frozen(state, yielded)
                    self._check_params()
                    return stored(kernel.Result, end.value, "the result").load(kernel.Result)
                self._check_seconds(perf_counter() - since, last)
                _check_frozen(before, yielded)
                yielded = stored(kernel.State, state, "the state")
                if last != (last := yielded):
                    yield last
                    _check_suspended(state, last)
                    since = perf_counter()
        finally:
            _close(steps)

    def run_whole(self, kernel: Kernel[Any, Any, R], sample: Sample) -> R:
        """Return the result of a run from the start, whose safe points are added to the sample."""
        began_at = perf_counter()

        def add(state: Stored) -> None:
            sample.add(state)
            if state.row and sample.count.bit_count() == 1:  # The 1st, 2nd, 4th, 8th …
                twice = 2 * (perf_counter() - began_at) / sample.count
                sleep(min(max(twice, MIN_WATCH_SECONDS), MAX_WATCH_SECONDS))

        return run_to_end(self.run(kernel, None), add)

    def run_interrupted(
        self, kernel: Kernel[Any, Any, R], sample: Sample, *, twice: bool = False
    ) -> R:
        """Return the result of a run that stops at each safe point of the sample.

        `twice`: each stretch is run, discarded, and run again from the same state.
        """
        point: Stored | None = None
        max_steps = MAX_STEPS_RATIO * sample.count + MAX_STEPS_MORE
        for _ in range(0, max_steps, sample.stride):
            if twice:
                discarded = self.run(kernel, point)
                for _ in islice(discarded, sample.stride):
                    pass
                discarded.close()
            steps = self.run(kernel, point)
            for _ in range(sample.stride):
                try:
                    point = next(steps)
                except StopIteration as end:
                    result: R = end.value
                    return result
            steps.close()
        raise AssertionError(
            f"stopped at {sample.description}, it does not end within {max_steps} steps"
        )

    def check_progress(self, kernel: Kernel[Any, Any, R], points: list[Point]) -> None:
        """Fail unless the progress stays within 0 and 1, and never falls."""
        before = 0.0
        for point in points:
            share = kernel.progress(self._params, point.state.load(kernel.State))
            if not before <= share <= 1:
                raise AssertionError(
                    f"at {point}, its progress is {share!r} after {before!r}: "
                    "it must go from 0 to 1"
                )
            before = share

    def check_metrics(self, kernel: Kernel[Any, Any, R], points: list[Point]) -> None:
        """Fail if the kernel cannot tell its own figures: a worker would only log that."""
        for point in points:
            try:
                dict(kernel.metrics(self._params, point.state.load(kernel.State)))
            except Exception as error:
                raise AssertionError(f"at {point}, its metrics raise {error!r}") from error

    def _check_seconds(self, seconds: float, last: Stored | None) -> None:
        if self._longest is not None and seconds > self._longest:
            where = "its start" if last is None else last
            raise AssertionError(
                f"{seconds:.2f} s after {where} there was no other state, longer than the "
                f"{self._longest:g} s allowed: yield more often, or set longest_step_seconds"
            )

    def _check_params(self) -> None:
        if self._given != (found := Stored.of(self._params)):
            raise AssertionError(
                f"it changes its parameters, {change(self._given, found)}: "
                "work on a copy, as the next slice gets them as they were"
            )


def run_to_end(
    steps: Generator[Stored, None, R], on_state: Callable[[Stored], None] = lambda _: None
) -> R:
    """Return the result of a run; `on_state` is called with each state."""
    while True:
        try:
            on_state(next(steps))
        except StopIteration as end:
            result: R = end.value
            return result


def _check_frozen(state: BaseModel | None, yielded: Stored | None) -> None:
    """Fail if a frozen state has changed since it was `yielded`; None: it never was.

    The bytes of its arrays may, and so may a state that is not frozen: a worker takes all it stores
    before the next step.
    """
    if state is None or yielded is None or not state.model_config.get("frozen"):
        return
    if yielded.text != (changed := dumped(state)[0].decode()):
        raise AssertionError(
            "it changes a frozen state that it has yielded; yield a new one each time, as a worker "
            f"may store it after a step that fails: it was {yielded}, then {shown(changed)}"
        )


def _check_suspended(state: BaseModel, yielded: Stored) -> None:
    """Fail if a state with arrays has changed since it was `yielded`, and no step since."""
    if yielded.row and yielded != (found := Stored.of(state)):
        raise AssertionError(
            f"its state changes while it is suspended, {change(yielded, found)}: no thread of its "
            "own may work on an array that it has yielded until it is resumed, as a worker copies "
            "the bytes at that time"
        )


def change(before: Stored, after: Stored) -> str:
    """Say what of a model has changed."""
    if before.text == after.text:
        return f"the bytes of {before.changed(after)} in {before}"
    return f"from {before} to {after}"


def _close(steps: Generator[Any, None, Any]) -> None:
    try:
        steps.close()
    except Exception as error:
        raise AssertionError(f"it does not stop when it is closed: {error!r}") from error
