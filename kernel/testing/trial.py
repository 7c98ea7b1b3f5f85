"""Runs of a kernel in which each step is checked."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel

from outlast.kernel.contract import Resources, start
from outlast.kernel.errors import NonRetryable
from outlast.kernel.testing.json_round_trip import round_trip
from outlast.kernel.testing.sample import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from outlast.kernel.contract import Kernel
    from outlast.kernel.testing.sample import Point, Sample

R = TypeVar("R", bound=BaseModel)

# An interrupted run may take finer steps than a whole one, but not endlessly many.
MAX_STEPS_RATIO, MAX_STEPS_MORE = 10, 1000

ONE_THREAD = Resources(threads=1)


class Trial(Generic[R]):
    """Runs of one computation, with a check of each step."""

    def __init__(self, params: BaseModel, longest_step_seconds: float | None) -> None:
        self._params = params
        self._longest = longest_step_seconds

    def run(
        self, kernel: Kernel[Any, Any, R], stored: str | None, resources: Resources = ONE_THREAD
    ) -> Generator[str, None, R]:
        """Run from a stored state; yield the JSON of each new state, return the result.

        Each run has a scratch folder of its own.
        """
        resources = replace(resources)
        state = None if stored is None else kernel.State.model_validate_json(stored)
        try:
            steps = start(kernel, self._params, state, resources)
        except NonRetryable as error:
            raise AssertionError(str(error)) from error
        text, since = stored, perf_counter()
        yielded: str | None = None  # The JSON of `state`, once it is one of the kernel's own.
        try:
            while True:
                before = state
                try:
                    state = next(steps)
                except StopIteration as end:
                    self._check_seconds(perf_counter() - since, text)
                    _check_frozen(state, yielded)
                    result: R = round_trip(kernel.Result, end.value, "the result")
                    return result
                self._check_seconds(perf_counter() - since, text)
                round_trip(kernel.State, state, "the state")
                _check_frozen(before, yielded)
                yielded = state.model_dump_json()
                if text != (text := yielded):
                    yield text
                    since = perf_counter()
        finally:
            _close(steps)

    def resume(
        self, kernel: Kernel[Any, Any, R], point: Point, resources: Resources = ONE_THREAD
    ) -> R:
        """Return the result of a run from `point`."""
        try:
            return run_to_end(self.run(kernel, point.text, resources))
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"resumed from {point}, it raises {error!r}") from error

    def run_interrupted(
        self, kernel: Kernel[Any, Any, R], sample: Sample, *, twice: bool = False
    ) -> R:
        """Return the result of a run that stops at each safe point of the sample.

        `twice`: each stretch is run, discarded, and run again from the same state.
        """
        text: str | None = None
        max_steps = MAX_STEPS_RATIO * sample.count + MAX_STEPS_MORE
        for _ in range(0, max_steps, sample.stride):
            if twice:
                discarded = self.run(kernel, text)
                for _ in islice(discarded, sample.stride):
                    pass
                discarded.close()
            steps = self.run(kernel, text)
            for _ in range(sample.stride):
                try:
                    text = next(steps)
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
            state = kernel.State.model_validate_json(point.text)
            share = kernel.progress(self._params, state)
            if not before <= share <= 1:
                raise AssertionError(
                    f"at {point}, its progress is {share!r} after {before!r}: "
                    "it must go from 0 to 1"
                )
            before = share

    def _check_seconds(self, seconds: float, text: str | None) -> None:
        if self._longest is not None and seconds > self._longest:
            where = "its start" if text is None else excerpt(text)
            raise AssertionError(
                f"{seconds:.2f} s after {where} there was no other state, longer than the "
                f"{self._longest:g} s allowed: yield more often, or set longest_step_seconds"
            )


def run_to_end(
    steps: Generator[str, None, R], on_state: Callable[[str], None] = lambda _: None
) -> R:
    """Return the result of a run; `on_state` is called with each state."""
    while True:
        try:
            on_state(next(steps))
        except StopIteration as end:
            result: R = end.value
            return result


def _check_frozen(state: BaseModel | None, text: str | None) -> None:
    """Fail if a frozen state has changed since it was yielded as `text`; None: it never was.

    A state that is not frozen may change: a worker stores it before the next step.
    """
    if state is None or text is None or not state.model_config.get("frozen"):
        return
    if text != (changed := state.model_dump_json()):
        raise AssertionError(
            "it changes a frozen state that it has yielded; yield a new one each time, as a worker "
            f"may store it after a step that fails: it was {excerpt(text)}, then {excerpt(changed)}"
        )


def _close(steps: Generator[Any, None, Any]) -> None:
    try:
        steps.close()
    except Exception as error:
        raise AssertionError(f"it does not stop when it is closed: {error!r}") from error
