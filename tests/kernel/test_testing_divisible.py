"""`assert_divisible` passes what many can share, and names what they cannot."""

# ruff: noqa: ARG002, D102 - a kernel's methods have the parameters of the contract
from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from outlast import Divisible, Resources
from outlast.testing import assert_divisible
from tests.dividing import EXACT, LESS, STEPS, SUM, Dividing, Rest
from tests.kernels import (
    Counting,
    Params,
    PartState,
    Pieces,
    Result,
    State,
    Stretch,
    advance,
    expected,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


COMBINED = "what combine makes of their partials must be what part comes to for all pieces at once"


class Narrow(Dividing):
    """Gets wrong what is one piece, and only that, as `fault` says."""

    def part(self, plan: Pieces, first: int, last: int, state: Any, resources: Resources) -> Any:
        partial = yield from super().part(plan, first, last, state, resources)
        wrong = last - first == 1 and self.fault(first, state, resources)
        return partial.model_copy(update={"more": partial.more + bool(wrong)})

    def fault(self, first: int, state: PartState | None, resources: Resources) -> bool:
        raise NotImplementedError


class Threaded(Narrow):
    """Depends on how many threads there are."""

    def fault(self, first: int, state: PartState | None, resources: Resources) -> bool:
        return resources.threads > 1


class Stopped(Narrow):
    """Forgets something where it stops."""

    def fault(self, first: int, state: PartState | None, resources: Resources) -> bool:
        return state is not None


class Hoarding(Narrow):
    """Remembers in the object which part it has computed before."""

    before = -1

    def fault(self, first: int, state: PartState | None, resources: Resources) -> bool:
        before, self.before = self.before, first
        return before not in {-1, first}


class Keeping(Narrow):
    """Keeps in the object what it needs to go on."""

    begun = -1

    def part(self, plan: Pieces, first: int, last: int, state: Any, resources: Resources) -> Any:
        self.begun = first if state is None else self.begun
        return super().part(plan, first, last, state, resources)

    def fault(self, first: int, state: PartState | None, resources: Resources) -> bool:
        return self.begun != first


class Forgetful(Dividing):
    """Keeps a part of its progress in a local variable."""

    def part(self, plan: Pieces, first: int, last: int, state: Any, resources: Resources) -> Any:
        if state is not None:
            state = state.model_copy(update={"more": 0})
        return (yield from super().part(plan, first, last, state, resources))


class Deaf(Dividing):
    """Computes the pieces of each part as if it were the first one."""

    def part(self, plan: Pieces, first: int, last: int, *rest: Any) -> Any:
        return super().part(plan, 0, last - first, *rest)


class Lopsided(Dividing):
    """Combines only from left to right."""

    def combine(self, plan: Pieces, a: Stretch, b: Stretch) -> Stretch:
        return super().combine(plan, a, b).model_copy(update={"factor": b.factor})


class Off(Dividing):
    """Does not conclude what its run returns."""

    def conclude(self, *arguments: Any) -> Any:
        return Result(total=7)


class Planner(Dividing):
    """Keeps what it has planned in the object."""

    def plan(self, params: Params) -> Pieces:
        self.steps = params.steps
        return super().plan(params)

    def part(self, plan: Pieces, *rest: Any) -> Any:
        return super().part(Pieces(steps=self.steps), *rest)


class Silent(Planner):
    """The same, and computes nothing where it has not planned."""

    steps = 0


BEGUN: set[int] = set()


class Trusting(Dividing):
    """Keeps in its module which parts it has begun."""

    def part(self, plan: Pieces, first: int, last: int, state: Any, resources: Resources) -> Any:
        if state is None:
            BEGUN.add(first)
        assert first in BEGUN
        return super().part(plan, first, last, state, resources)


class Unrun(Dividing):
    """Cannot be stopped where it runs alone."""

    def run(self, params: Params, state: State | None, resources: Resources) -> Any:
        return super().run(params, state and state.model_copy(update={"total": 0}), resources)


class Lost(Rest):
    """Leaves to its run a state in which something is missing."""

    def conclude(self, *arguments: Any) -> Any:
        return super().conclude(*arguments).model_copy(update={"total": 0})


class Stumbling(Rest):
    """Does its rest in states of another kind, and cannot go on from the second of them."""

    def run(self, params: Params, state: State | None, resources: Resources) -> Any:
        if state is None or state.at < 100:
            return (yield from super().run(params, state, resources))
        total = state.total if state.at == 100 else 0
        for at in range(state.at - 100, 5):
            total = advance(params.steps - 5 + at, total)
            yield State(at=101 + at, total=total)
        return Result(total=total)

    def conclude(self, *arguments: Any) -> Any:
        return super().conclude(*arguments).model_copy(update={"at": 100})


class Loose(BaseModel):
    """A model that may be changed, or have anything in it."""

    factor: Any = 1
    more: Any = 0


class Spoiling(Dividing):
    """Changes one of the partials that it combines."""

    Partial = Loose

    def __init__(self, which: int) -> None:
        self.which = which

    def combine(self, plan: Pieces, *partials: Any) -> Any:
        both = super().combine(plan, *partials)
        partials[self.which].more = 0
        return both


class LoosePlan(BaseModel):
    """A plan that may be changed."""

    steps: int
    changes: int = 0


class LooseParams(LoosePlan):
    """The same of parameters."""


class Replanning(Dividing):
    """Changes its plan, or the parameters, in one of its methods."""

    Plan, Params = LoosePlan, LooseParams

    def __init__(self, method: str, model: type[LoosePlan] = LoosePlan) -> None:
        def change(*arguments: Any) -> Any:
            result = getattr(Dividing, method)(self, *arguments)
            next(a for a in arguments if type(a) is model).changes += 1
            return result

        setattr(self, method, change)


class Odd(Dividing):
    """Has methods and models that a test replaces."""

    def __init__(self, **others: Any) -> None:
        vars(self).update(others)


def sloped(share: Callable[[int], float]) -> Odd:
    """Return a kernel with this share."""
    return Odd(share=lambda _, first: share(first))


def untyped(*_: Any) -> Generator[Any, None, None]:
    """Yield what is no state."""
    yield {"at": 1}


def as_asked(kernel: Any, params: Params) -> BaseModel:
    """Return the parameters as the kernel's own model."""
    model: type[BaseModel] = kernel.Params
    return model.model_validate(params.model_dump())


@pytest.mark.parametrize("steps", [0, 3, 4, 20, 300])
@pytest.mark.parametrize("kernel", [Dividing(), Rest()])
def test_a_sound_kernel_passes(kernel: Dividing, steps: int) -> None:
    """An author would look for a mistake where there is none."""
    assert assert_divisible(kernel, Params(steps=steps), **LESS).model_dump() == expected(steps)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (Threaded(), rf"^piece \d, with 2 threads: {SUM}.*: it must not depend on resources.thr"),
        (Stopped(), rf"^piece \d, stopped and resumed: {SUM}.*: all that it needs must be in its"),
        (Hoarding(), rf"^piece \d, as one of several in an object: {SUM}.*: keep nothing in the k"),
        (Keeping(), rf"^piece \d, stopped and resumed: {SUM}.*: all that it needs must be in its"),
        (
            Forgetful(),
            rf"^pieces 0 to 4: resumed from safe point \d, .*{SUM}.*: all that it needs must be in",
        ),
        (Deaf(), rf"^7 pieces, cut at \d: {SUM}.*: {COMBINED}, {EXACT}"),
        (
            Odd(combine=lambda *_: Stretch(more=5)),
            rf"^7 pieces, cut at \d: its result is Result\(total=5\) .*: {COMBINED}, {EXACT}",
        ),
        (
            Lopsided(),
            (
                rf"^7 pieces, cut at 4, 5, 6, combined from right to left: {SUM}.*, and from left "
                rf"to right it is right: combine must come to the same in any grouping, {EXACT}"
            ),
        ),
        (
            Off(),
            (
                rf"^all pieces, of which there are 7, in one part: {SUM}.*: part and conclude must "
                rf"come to what run does, {EXACT}"
            ),
        ),
        (
            Planner(),
            (
                "^pieces 0 to 4: it raises AttributeError.*'steps'.*, and not in the object that "
                "has made the plan: all that a part needs must be in the plan"
            ),
        ),
        (Lost(), f"^all pieces, of which there are 5, in one part: {SUM}"),
        (Stumbling(), f"^all pieces, of which there are 5, in one part: {SUM}"),
        (Silent(), "in one part: .* all that they need must be in the plan"),
        (Unrun(), "^resumed from safe point 8, "),
        (Spoiling(0), "combine changes its first partial, from .* to .*: work on a copy"),
        (Spoiling(1), "combine changes its second partial, from "),
        (
            Replanning("pieces"),
            "pieces or share changes the plan, from .*0} to .*9}: work on a copy",
        ),
        (Replanning("share"), "pieces or share changes the plan"),
        (Replanning("part"), "^pieces 0 to 4: it changes its parameters"),
        (Replanning("combine"), "combine changes the plan"),
        (Replanning("conclude"), "conclude changes the plan"),
        (Replanning("plan", LooseParams), "plan changes the parameters, from "),
        (Replanning("conclude", LooseParams), "conclude changes the parameters"),
        (Odd(plan=lambda params: params), "the plan is Params, not Pieces: Params"),
        (Odd(pieces=lambda _: 0), "pieces returned 0: a whole number from 1 on is asked for"),
        (Odd(pieces=lambda _: 7.0), "pieces returned 7.0: a whole number"),
        (sloped(lambda first: 0.1 + first), "its share before piece 0 of 7 is 0.1 after 0.0"),
        (
            sloped(lambda first: first / 8),
            "its share before piece 7 of 7 is 0.875 after 0.75: it m",
        ),
        (
            sloped(lambda first: [0, 0.5, 0.4, 0.6, 0.6, 0.6, 0.6, 1][first]),
            "its share before piece 2 of 7 is 0.4 after 0.5: it must go from 0 .* and never fall",
        ),
        (sloped(lambda first: float("nan") if first else 0), "before piece 1 of 7 is nan"),
        (sloped(lambda first: 2 * first / 7), "before piece 4 of 7 is 1.1"),
        (Odd(combine=lambda *_: 3), "what combine returns is int, not Stretch: 3"),
        (
            Odd(combine=lambda *_: PartState(at=1)),
            'what combine returns cannot be read back as Stretch from JSON, {"factor":1,.*"at":1}',
        ),
        (
            Odd(Partial=Loose, combine=lambda *_: Loose(more={1})),
            "what combine returns does not survive being stored",
        ),
        (Odd(conclude=lambda *_: 3), "conclude returns int, neither Result nor State: 3"),
        (Odd(part=lambda *_: Stretch()), "^pieces 0 to 4: part must be a generator: it has no y"),
        (Odd(part=untyped), "^pieces 0 to 4: the state is dict, not PartState: {'at': 1}"),
        (Counting(), "^Counting is not divisible: derive it from outlast.Divisible"),
        (Dividing, r"give an instance, Dividing\(\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Divisible) else "",
)
@pytest.mark.usefixtures("_no_interpreter")
def test_an_unsound_kernel_fails_with_the_reason(kernel: Any, message: str) -> None:
    """Its jobs would have other results when they are shared, depending on how many workers."""
    with pytest.raises(AssertionError, match=message) as failure:
        assert_divisible(kernel, as_asked(kernel, STEPS), **LESS)
    assert "\n" not in str(failure.value)


def test_a_part_that_relies_on_its_process_is_found() -> None:
    """The part of a worker that is gone could not go on elsewhere."""
    message = r"^pieces 0 to 4: .*, in another process it raises AssertionError"
    with pytest.raises(AssertionError, match=message):
        assert_divisible(Trusting(), STEPS, interruptions=4)


class Unordered(Dividing):
    """The partial of a part is the order of a set."""

    def part(self, plan: Pieces, first: int, last: int, state: Any, resources: Resources) -> Any:
        partial = yield from super().part(plan, first, last, state, resources)
        order = {f"word{number}" for number in range(50)}
        places = sum(at * int(word[4:]) for at, word in enumerate(order))
        return partial.model_copy(update={"more": places})


def test_a_part_that_depends_on_hashes_is_found() -> None:
    """Each worker would come to a partial of its own."""
    message = r"^pieces 0 to 4: .*, in an interpreter with another hash seed its result is .* hash"
    with pytest.raises(AssertionError, match=message):
        assert_divisible(Unordered(), STEPS, **LESS)


@pytest.mark.usefixtures("_no_interpreter")
def test_combining_takes_no_longer_than_a_step() -> None:
    """Nothing stops a worker that combines: its platform would kill it, again and again."""

    class Slow(Dividing):
        def combine(self, plan: Pieces, a: Stretch, b: Stretch) -> Stretch:
            time.sleep(0.3)
            return super().combine(plan, a, b)

    with pytest.raises(AssertionError, match=r"combine takes 0\.\d+ s, longer than the 0.25 s"):
        assert_divisible(Slow(), STEPS, **LESS, longest_step_seconds=0.25)


@pytest.mark.usefixtures("_no_interpreter")
def test_the_run_alone_is_asked_the_same_as_a_part() -> None:
    """An author could not say how long a step may take, or that nothing may be forked."""

    class Slow(Dividing):
        def run(self, *arguments: Any) -> Any:
            time.sleep(0.05)
            return (yield from super().run(*arguments))

    with pytest.raises(AssertionError, match=r"^0.\d+ s after its start there was no other state"):
        assert_divisible(Slow(), STEPS, **LESS, longest_step_seconds=0.02)


@pytest.mark.usefixtures("_no_interpreter")
def test_an_error_of_a_part_is_shown_as_it_is() -> None:
    """An author would read of plans where their own code has a plain mistake."""

    class Failing(Dividing):
        def part(self, *arguments: Any) -> Any:
            yield next(super().part(*arguments))
            raise ZeroDivisionError("oops")

    with pytest.raises(ZeroDivisionError):
        assert_divisible(Failing(), STEPS, **LESS)
