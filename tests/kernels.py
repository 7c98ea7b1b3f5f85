"""Small kernels for tests: one that counts, and many that misbehave in one way each."""

# ruff: noqa: ARG002 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from outlast.kernel import Kernel, Resources
from outlast.kernel.contract import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

MODULUS = 1_000_003


class Params(Model):
    """How many steps the job has."""

    steps: int


class State(Model):
    """The steps done, and what they add up to."""

    at: int
    total: int


class Result(Model):
    """What all steps add up to."""

    total: int


def expected(steps: int) -> dict[str, int]:
    """Return the result of `Counting`, worked out in one go."""
    total = 0
    for at in range(steps):
        total = advance(at, total)
    return {"total": total}


def advance(at: int, total: int) -> int:
    """Return the total after step `at`; no step done twice, or left out, would go unnoticed."""
    return (31 * total + at + 1) % MODULUS


class Counting(Kernel[Params, State, Result]):
    """Counts up to `steps`, with a checksum of all the steps it has done.

    `step`, called before each step with its number, is where a test makes time pass, or trouble.
    """

    name = "counting"
    Params, State, Result = Params, State, Result

    def __init__(self, step: Callable[[int], None] = lambda _: None) -> None:
        self.step = step

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Take one step after another."""
        state = state or State(at=0, total=0)
        while state.at < params.steps:
            self.step(state.at)
            state = State(at=state.at + 1, total=advance(state.at, state.total))
            yield state
        return Result(total=state.total)

    def progress(self, params: Params, state: State) -> float:
        """Return the share of the steps done."""
        return state.at / params.steps


def raising(error: BaseException, at: int) -> Counting:
    """Return a kernel that raises before step `at`, whenever it gets there."""

    def step(number: int) -> None:
        if number == at:
            raise error

    return Counting(step)


class Stalling(Counting):
    """Works for ever and never gets anywhere."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Yield the first state again and again."""
        while True:
            self.step(0)
            yield State(at=0, total=0)


class Yielding(Counting):
    """Yields `value` after its first step, whatever its models say."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[Any, None, Any]:
        """Take one step, then yield the value for ever."""
        yield State(at=1, total=advance(0, 0))
        while True:
            yield self.value


class Returning(Counting):
    """Returns `value`, whatever its models say."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[Any, None, Any]:
        """Take one step, then return the value."""
        yield State(at=1, total=advance(0, 0))
        return self.value


class Plain(Counting):
    """Its run has no yield."""

    def run(self, params: Params, state: State | None, resources: Resources) -> Any:
        """Return the result at once."""
        return Result(**expected(params.steps))


class AnyState(BaseModel):
    """A state or a result that may hold anything at all, as a careless author's may."""

    value: Any


class Careless(Counting):
    """Its models take anything; it yields, or returns, one such value."""

    State = Result = AnyState  # type: ignore[assignment]

    def __init__(self, *, state: Any = 0, result: Any = 0) -> None:
        super().__init__()
        self.state, self.result = state, result

    def run(self, params: Params, state: Any, resources: Resources) -> Generator[Any, None, Any]:
        """Yield one state and return one result."""
        yield AnyState(value=self.state)
        return AnyState(value=self.result)

    def progress(self, params: Params, state: Any) -> float:
        """Return a half."""
        return 0.5


class Changing(BaseModel):
    """A state that is not frozen."""

    at: int = 0
    total: int = 0


class InPlace(Counting):
    """Yields one and the same state again and again, which it changes in between."""

    State = Changing  # type: ignore[assignment]

    def run(self, params: Params, state: Any, resources: Resources) -> Generator[Any, None, Result]:
        """Take one step after another."""
        state = state or Changing()
        while state.at < params.steps:
            state.at += 1
            self.step(state.at - 1)
            state.total = advance(state.at - 1, state.total)
            yield state
        return Result(total=state.total)


class Measured(BaseModel):
    """A result that is a measurement."""

    value: float


class Measuring(Careless):
    """Its result is a float, which may be none that JSON knows."""

    Result = Measured  # type: ignore[assignment]

    def run(self, params: Params, state: Any, resources: Resources) -> Generator[Any, None, Any]:
        """Return the measurement."""
        yield AnyState(value=self.state)
        return Measured(value=self.result)


class Unsure(Counting):
    """Tells its progress by the function that it is given."""

    def __init__(self, tell: Callable[[], Any]) -> None:
        super().__init__()
        self.tell = tell

    def progress(self, params: Params, state: State) -> float:
        """Return what the test wants."""
        value: float = self.tell()
        return value


class Unprepared(Counting):
    """Ends the process when it is prepared."""

    def prepare(self, params: Params | None) -> None:
        """Call sys.exit."""
        sys.exit("no accelerator here")


class Stubborn(Counting):
    """Goes on when it is closed."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Swallow what asks it to stop, once."""
        try:
            yield State(at=1, total=advance(0, 0))
        except GeneratorExit:
            yield State(at=2, total=advance(1, advance(0, 0)))
        return Result(total=0)


class Renamed(Model):
    """The state of `NewerCounting`."""

    done: int
    total: int


class NewerCounting(Counting):
    """`Counting` after its author renamed a field of the state, with a migration."""

    version = 2
    State = Renamed  # type: ignore[assignment]

    def run(self, params: Params, state: Any, resources: Resources) -> Generator[Any, None, Result]:
        """Count as before, under the new name."""
        old = None if state is None else State(at=state.done, total=state.total)
        steps = super().run(params, old, resources)
        while True:
            try:
                old = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            yield Renamed(done=old.at, total=old.total)

    def progress(self, params: Params, state: Any) -> float:
        """Return the share of the steps done."""
        share: float = state.done / params.steps
        return share

    def migrate(self, state: dict[str, Any], version: int) -> dict[str, Any]:
        """Rename the field."""
        if version != 1:
            return super().migrate(state, version)
        return {"done": state["at"], "total": state["total"]}
