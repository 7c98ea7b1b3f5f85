"""`assert_resumable` passes what can be stopped anywhere, and names what cannot."""

# ruff: noqa: ARG002, D102 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import primecountpy
import pytest
from pydantic import BaseModel

from outlast.kernel.nth_prime import NthPrime, PrimeCount
from outlast.kernel.testing import assert_resumable
from tests.kernels import (
    FIRST,
    AnyState,
    Counting,
    FloatResult,
    InPlace,
    Params,
    Plain,
    Result,
    State,
    Walking,
    advance,
    careless,
    expected,
    raising,
    scripted,
    stalling,
    stubborn,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from outlast.kernel import Resources

STEPS = Params(steps=12)


class Forgetful(Walking):
    """Keeps a part of its progress in a local variable only."""

    def begin(self, state: State | None) -> None:
        self.total = 0


class Late(Walking):
    """Goes wrong only where it goes on from its seventh state."""

    def begin(self, state: State | None) -> None:
        super().begin(state)
        self.total += state is not None and state.at == 7


class Hoarding(Walking):
    """Keeps its progress in the object, and starts from what another run has left there."""

    total = 0

    def begin(self, state: State | None) -> None:
        if state is not None and not self.total:
            self.total = state.total


class Proud(Walking):
    """Trusts what it knows rather than the state, once it has been further than that."""

    furthest = State(at=0, total=0)

    def begin(self, state: State | None) -> None:
        is_back = state is not None and state.at < self.furthest.at
        self.at = state.at if state else 0
        self.total = self.furthest.total if is_back else state.total if state else 0

    def total_after(self, at: int, resources: Resources) -> int:
        total = super().total_after(at, resources)
        if at + 1 > self.furthest.at or at == 0:
            self.furthest = State(at=at + 1, total=total)
        return total


class Crowded(Walking):
    """Its answer depends on how many threads it may use."""

    def total_after(self, at: int, resources: Resources) -> int:
        self.total = super().total_after(at, resources) + resources.threads
        return self.total


class Littering(Walking):
    """Keeps its totals in the scratch folder."""

    def run(self, params: Params, state: State | None, resources: Resources) -> Any:
        """Take one step after another."""
        assert resources.scratch, "there is none"
        self.folder = resources.scratch
        return (yield from super().run(params, state, resources))

    def begin(self, state: State | None) -> None:
        self.total = int((self.folder / str(state.at)).read_text()) if state else 0

    def total_after(self, at: int, resources: Resources) -> int:
        total = super().total_after(at, resources)
        (self.folder / str(at + 1)).write_text(str(total))
        return total


class Hesitant(Counting):
    """First yields the state that it resumes from, as a kernel may within a long step."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        yield state or State(at=0, total=0)
        return (yield from super().run(params, state, resources))


class Circling(Counting):
    """Goes from one state to another and back where it is stopped at each."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        at = state.at % 2 if state else 0
        yield State(at=at + 1, total=0)
        yield State(at=3, total=0)
        return Result(total=0)

    def progress(self, params: Params, state: State) -> float:
        return 0.0


class Broken(Walking):
    """Cannot go on from any state."""

    def begin(self, state: State | None) -> None:
        super().begin(state)
        if state is not None:
            raise KeyError("table")


class Totals(BaseModel, frozen=True):
    """A frozen state with a list, which is not."""

    totals: list[int] = [0]

    @property
    def at(self) -> int:
        """How many steps are done."""
        return len(self.totals) - 1


class Piling(Counting):
    """Yields one and the same frozen state again and again, whose list it adds to."""

    State = Totals  # type: ignore[assignment]

    def run(self, params: Params, state: Any, _: Resources) -> Generator[Any, None, Result]:
        """Take one step after another."""
        state = state or Totals()
        while state.at < params.steps:
            state.totals.append(advance(state.at, state.totals[-1]))
            yield state
        return Result(total=state.totals[-1])


class Spoiling(Piling):
    """Changes the last state that it has yielded."""

    def run(self, *arguments: Any) -> Generator[Any, None, Result]:
        """Count in new states, and spoil the last one."""
        steps, last = super().run(*arguments), None
        while True:
            try:
                last = next(steps).model_copy(deep=True)
            except StopIteration as end:
                if last is not None:
                    last.totals.clear()
                return end.value
            yield last


class Reusing(InPlace):
    """Changes the state that it resumes from, but none that it has yielded."""

    def run(self, *arguments: Any) -> Generator[Any, None, Result]:
        """Count, and yield a copy each time."""
        steps = super().run(*arguments)
        while True:
            try:
                state = next(steps)
            except StopIteration as end:
                return end.value
            yield state.model_copy()


def sleepy(number: int) -> None:
    """Take a long step in the middle."""
    time.sleep(0.05 if number == 4 else 0)


@pytest.mark.parametrize("steps", [0, 1, 2, 50, 51, 197])
@pytest.mark.parametrize("interruptions", [1, 10, 200])
def test_a_sound_kernel_passes(steps: int, interruptions: int) -> None:
    """An author would look for a mistake where there is none."""
    result = assert_resumable(Counting(), Params(steps=steps), interruptions=interruptions)
    assert result.model_dump() == expected(steps)


def test_a_state_that_is_yielded_again_is_no_mistake() -> None:
    """A kernel could not be stopped in the middle of what it has to do in one go."""
    assert assert_resumable(Hesitant(), STEPS).model_dump() == expected(12)


@pytest.mark.parametrize("kernel", [Reusing(), InPlace()])
def test_a_state_that_is_not_frozen_may_be_changed(kernel: InPlace) -> None:
    """An author would copy large states for nothing."""
    assert assert_resumable(kernel, STEPS).model_dump() == expected(12)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (
            Forgetful(),
            r"resumed from safe point 1, \{\"at\":1.*, its result is .*: all that it needs must be",
        ),
        (Late(), "resumed from safe point 7, "),
        (Hoarding(), "stopped at each of its 12 safe points, .* keep nothing in the kernel object"),
        (Proud(), "stopped, with each stretch run twice, at each of its 12 safe points"),
        (Crowded(), "safe point 1, .*, with 2 threads its .* must not depend on resources.threads"),
        (
            Littering(),
            r"safe point 1, .*, in an empty scratch folder it raises FileNotFound.*do not outlive",
        ),
        (Circling(), "it does not end"),
        (Broken(), r"resumed from safe point 1, .*, it raises KeyError\('table'\)"),
        (stubborn(), "does not stop when it is closed"),
        (Counting(progress=lambda *_: 1.5), "progress is 1.5 after 0.0"),
        (Counting(progress=lambda *_: float("nan")), "progress is nan"),
        (Counting(progress=Mock(side_effect=[0.5, 0.4])), "progress is 0.4 after 0.5"),
        (scripted(FIRST, {"at": 2}), "the state is dict, not State: {'at': 2}"),
        (careless(state=(1, 2)), r"the state does not survive being stored as JSON: AnyState\("),
        (careless(result={1}), "the result does not survive"),
        (
            careless(result=math.inf, result_model=FloatResult),
            "the result is not finite, .*: value is inf",
        ),
        (
            careless(state={"means": [0.5, math.nan]}),
            r"the state is not finite, .*: value.means\[1\]",
        ),
        (
            Piling(),
            r"it changes a frozen state .*: it was .*\[0,1\]\}, then .*\[0,1,33\]\}",
        ),
        (
            Spoiling(),
            r"it changes a frozen state that it has yielded; .*, then \{\"totals\":\[\]\}",
        ),
        (Plain(), "run must be a generator: it has no yield"),
        (Counting, r"give an instance, Counting\(\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Counting) else "",
)
def test_an_unsound_kernel_fails_with_the_reason(kernel: Counting, message: str) -> None:
    """Its jobs would end in wrong results, but only on days when workers die."""
    with pytest.raises(AssertionError, match=message):
        assert_resumable(kernel, STEPS)


def test_two_safe_points_that_are_too_far_apart() -> None:
    """A worker would be killed at its deadline in the middle of the long step."""
    with pytest.raises(AssertionError, match=r'after \{"at":4.* longer than the 0.04'):
        assert_resumable(Counting(sleepy), STEPS, longest_step_seconds=0.04)
    assert_resumable(Counting(sleepy), Params(steps=5), longest_step_seconds=None)


def test_a_kernel_that_never_advances() -> None:
    """Its jobs would be given up, and its test would run for ever."""
    with pytest.raises(AssertionError, match="there was no other state"):
        assert_resumable(stalling(), STEPS, longest_step_seconds=0.02)


def test_an_error_of_the_kernel_is_shown_as_it_is() -> None:
    """An author would read of resuming where their own code has a plain mistake."""
    with pytest.raises(ZeroDivisionError):
        assert_resumable(raising(ZeroDivisionError("oops"), at=3), STEPS)


def test_parameters_that_json_cannot_carry() -> None:
    """The test would pass, and no such job could ever be submitted."""
    kernel = scripted(Params=AnyState)
    with pytest.raises(AssertionError, match="the value of its parameters does not survive"):
        assert_resumable(kernel, AnyState(value={1}))


@pytest.mark.parametrize("position", [1, 100_000, 1_500_000, 10_000_001])
def test_the_nth_prime(position: int) -> None:
    """Our own kernel would not keep what we ask of others."""
    result = assert_resumable(NthPrime(), NthPrime.Params(position=position), interruptions=10)
    assert result.prime == primecountpy.nth_prime(position)


@pytest.mark.parametrize("x", [10, 10**7, 10**11, 10**13])
def test_the_count_of_primes(x: int) -> None:
    """The same for our other kernel, whose states are tables and whose threads share them."""
    result = assert_resumable(PrimeCount(), PrimeCount.Params(x=x), interruptions=5)
    assert result.count == primecountpy.prime_pi(x)
