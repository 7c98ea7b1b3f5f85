"""A small kernel for tests: it counts, and each of its methods and models can be replaced."""

# ruff: noqa: ARG002 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from outlast.kernel import Divisible, Kernel, Resources
from outlast.kernel.contract import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

ROOT = Path(__file__).parents[1]
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


def expected(steps: int, total: int = 0) -> dict[str, int]:
    """Return the result of `Counting` that begins with `total`, worked out in one go."""
    for at in range(steps):
        total = advance(at, total)
    return {"total": total}


def advance(at: int, total: int) -> int:
    """Return the total after step `at`, which shows any step that was repeated or left out."""
    return (31 * total + at + 1) % MODULUS


class Counting(Kernel[Params, State, Result]):
    """Counts up to `steps`, with a checksum of all the steps it has done.

    `step`, called before each step with its number, is where a test makes time pass, or trouble.
    `others` replace the methods and models of these names, by which a test makes a kernel unsound.
    """

    name = "counting"
    Params, State, Result = Params, State, Result

    def __init__(self, step: Callable[[int], None] = lambda _: None, **others: Any) -> None:
        self.step = step
        vars(self).update(others)

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


FIRST = State(at=1, total=advance(0, 0))


class Pieces(Model):
    """How many steps there are to share out."""

    steps: int


class Stretch(Model):
    """What some neighbouring steps make of any total: `factor` times it, and `more`."""

    factor: int = 1
    more: int = 0


class PartState(Stretch):
    """The next step of a part, and what those before it make of a total."""

    at: int


class Dividing(Counting, Divisible[Params, State, Result, Pieces, PartState, Stretch]):
    """Counts as `Counting` does; its parts add up in one order only, and show a missing one."""

    name = "dividing"
    Plan, PartState, Partial = Pieces, PartState, Stretch

    def plan(self, params: Params) -> Pieces:
        """Let each step be a piece."""
        return self.Plan(steps=params.steps)

    def pieces(self, plan: Pieces) -> int:
        """Return the number of steps."""
        return plan.steps

    def share(self, plan: Pieces, first: int) -> float:
        """All steps take equally long."""
        return first / plan.steps

    def part(
        self, plan: Pieces, first: int, last: int, state: PartState | None, resources: Resources
    ) -> Generator[PartState, None, Stretch]:
        """Take one step after another."""
        state = state or self.PartState(at=first)
        while state.at < last:
            self.step(state.at)
            state = self.PartState(
                at=state.at + 1,
                factor=31 * state.factor % MODULUS,
                more=advance(state.at, state.more),
            )
            yield state
        return self.Partial(factor=state.factor, more=state.more)

    def combine(self, plan: Pieces, a: Stretch, b: Stretch) -> Stretch:
        """Return what both make of a total, one after the other."""
        return self.Partial(
            factor=a.factor * b.factor % MODULUS, more=(a.more * b.factor + b.more) % MODULUS
        )

    def conclude(self, params: Params, plan: Pieces, total: Stretch) -> State | Result:
        """Return the result, which begins with a total of 0."""
        return Result(total=total.more)


class Walking(Counting):
    """Counts by `begin`, `total_after` and `end`, each of which a test can get wrong."""

    def run(
        self, params: Params, state: State | None, resources: Resources
    ) -> Generator[State, None, Result]:
        """Take one step after another."""
        self.begin(state)
        at = state.at if state else 0
        while at < params.steps:
            total = self.total_after(at, resources)
            at += 1
            yield State(at=at, total=total)
        return self.end()

    def begin(self, state: State | None) -> None:
        """Go on from the state."""
        self.total = state.total if state else 0

    def total_after(self, at: int, resources: Resources) -> int:
        """Take one step."""
        self.total = advance(at, self.total)
        return self.total

    def end(self) -> Result:
        """Return the result."""
        return Result(total=self.total)


def raising(error: BaseException, at: int) -> Counting:
    """Return a kernel that raises before step `at`, whenever it gets there."""

    def step(number: int) -> None:
        if number == at:
            raise error

    return Counting(step)


def scripted(*states: Any, result: Any = None, **others: Any) -> Counting:
    """Return a kernel that yields these states and returns this result, whatever its models say."""

    def run(*_: object) -> Generator[Any, None, Any]:
        yield from states
        return result

    return Counting(run=run, **others)


class AnyState(BaseModel):
    """A state or a result without a type, as a careless author may declare it."""

    value: Any


class FloatResult(BaseModel):
    """A result that may be infinite or not a number, which JSON cannot express."""

    value: float


def careless(state: Any = 0, result: Any = 0, result_model: type[BaseModel] = AnyState) -> Counting:
    """Return a kernel with models that accept anything, and one state and a result of them."""
    return scripted(
        AnyState(value=state),
        result=result_model(value=result),
        State=AnyState,
        Result=result_model,
        progress=lambda *_: 0.5,
    )


def stalling(step: Callable[[int], None] = lambda _: None) -> Counting:
    """Return a kernel that yields its first state again and again."""

    def run(*_: object) -> Generator[State, None, Result]:
        while True:
            step(0)
            yield State(at=0, total=0)

    return Counting(run=run)


def stubborn() -> Counting:
    """Return a kernel that goes on when it is closed."""

    def run(*_: object) -> Generator[State, None, Result]:
        try:
            yield FIRST
        except GeneratorExit:
            yield State(at=2, total=advance(1, FIRST.total))
        return Result(total=0)

    return Counting(run=run)


def unprepared(step: Callable[[int], None] = lambda _: None) -> Counting:
    """Return a kernel that calls sys.exit when it is prepared."""
    return Counting(step, prepare=lambda _: sys.exit("no accelerator here"))


class Plain(Counting):
    """Its run has no yield. A class, as a child process makes it anew."""

    def run(self, params: Params, state: State | None, resources: Resources) -> Any:
        """Return the result at once."""
        return Result(**expected(params.steps))


class MutableState(BaseModel):
    """A state that is not frozen."""

    at: int = 0
    total: int = 0


class InPlace(Counting):
    """Yields one and the same state again and again, which it changes in between."""

    State = MutableState  # type: ignore[assignment]

    def run(self, params: Params, state: Any, resources: Resources) -> Generator[Any, None, Result]:
        """Take one step after another."""
        state = state or MutableState()
        while state.at < params.steps:
            state.at += 1
            self.step(state.at - 1)
            state.total = advance(state.at - 1, state.total)
            yield state
        return Result(total=state.total)


class RenamedState(Model):
    """The state of `NewerCounting`."""

    done: int
    total: int


class NewerCounting(Counting):
    """`Counting` after its author renamed a field of the state, with a migration."""

    version = 2
    State = RenamedState  # type: ignore[assignment]

    def run(self, params: Params, state: Any, resources: Resources) -> Generator[Any, None, Result]:
        """Count as before, under the new name."""
        done, total = (state.done, state.total) if state else (0, 0)
        while done < params.steps:
            self.step(done)
            done, total = done + 1, advance(done, total)
            yield RenamedState(done=done, total=total)
        return Result(total=total)

    def progress(self, params: Params, state: Any) -> float:
        """Return the share of the steps done."""
        share: float = state.done / params.steps
        return share

    def migrate(self, state: dict[str, Any], version: int) -> dict[str, Any]:
        """Rename the field."""
        if version != 1:
            return super().migrate(state, version)
        return {"done": state["at"], "total": state["total"]}


def install(folder: Path, kernel: type[Kernel[Any, Any, Any]]) -> str:
    """Register the kernel in `folder` as a package does; return the PYTHONPATH that finds it."""
    package = folder / f"{kernel.name}-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {kernel.name}\nVersion: 1.0\n")
    entry = f"{kernel.name} = {kernel.__module__}:{kernel.__name__}"
    (package / "entry_points.txt").write_text(f"[outlast.kernels]\n{entry}\n")
    return f"{ROOT}:{folder}"
