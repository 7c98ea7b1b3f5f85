"""A part of a divided job is a kernel like any other."""

from __future__ import annotations

import pickle
from copy import deepcopy

import pytest
from pydantic import ValidationError

from outlast.kernel import NonRetryable, Resources
from outlast.kernel.contract import start
from outlast.kernel.parts import PartKernel, class_of, made_anew
from tests.dividing import Dividing, Telling
from tests.kernels import Counting, PartState, Pieces, Stretch

PLAN = Pieces(steps=12)


class Preparing(Dividing):
    """Notes what it is prepared for, and has something to say against old states."""

    version = 3

    def __init__(self) -> None:
        self.prepared: list[object] = []

    def prepare(self, params: object) -> None:
        """Note it."""
        self.prepared.append(params)

    def migrate(self, state: dict[str, object], version: int) -> dict[str, object]:
        """Convert states of `run`, which are none of a part."""
        return state | {"version": version}


class Plain(Dividing):
    """Its part has no yield."""

    def part(self, *_: object) -> Stretch:  # type: ignore[override]
        """Return at once."""
        return Stretch()


def test_it_stands_for_the_whole() -> None:
    """A worker would run it as another kernel, or not apart from its own process."""
    part = PartKernel(Telling())
    assert (part.name, part.version, part.may_not_return) == ("dividing", 1, True)
    assert (part.State, part.Result) == (PartState, Stretch)
    assert PartKernel(Preparing()).version == 3
    assert not PartKernel(Dividing()).may_not_return


@pytest.mark.parametrize(
    "wrong", [{"first": -1}, {"last": 0}, {"last": 2.0}, {"more": 1}, {"plan": None}]
)
def test_its_parameters_are_strict(wrong: dict[str, object]) -> None:
    """A damaged record would make a worker compute other pieces than it should."""
    model = PartKernel(Dividing()).Params
    right = {"plan": PLAN, "first": 0, "last": 2}
    params = model(**right)
    assert model.model_validate_json(params.model_dump_json()) == params
    with pytest.raises(ValidationError):
        model(**right | wrong)
    with pytest.raises(ValidationError, match="frozen"):
        params.first = 1  # type: ignore[attr-defined]


def test_equal_parameters_of_two_objects_are_equal() -> None:
    """What one worker has stored would look like another part to the next one."""
    one, other = (PartKernel(Dividing()).Params(plan=PLAN, first=0, last=2) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("copy", [deepcopy, lambda part: pickle.loads(pickle.dumps(part))])
def test_a_copy_is_the_same(copy) -> None:
    """It could not be tried as a copy, or in another process."""
    part = PartKernel(Preparing())
    part.whole.prepared.append("here")  # type: ignore[attr-defined]
    again = copy(part)
    assert again is not part
    assert again.whole is not part.whole
    assert again.whole.prepared == ["here"]
    assert again.Params is part.Params


def test_it_is_prepared_for_any_job() -> None:
    """The whole would be asked with parameters that are not its own, or its first step compile."""
    part = PartKernel(Preparing())
    part.prepare(part.Params(plan=PLAN, first=0, last=1))
    assert part.whole.prepared == [None]  # type: ignore[attr-defined]


def test_it_does_not_go_on_from_a_state_of_another_version() -> None:
    """What converts states of `run` would be given those of a part."""
    with pytest.raises(ValueError, match="'dividing' cannot go on from a state of version 2"):
        PartKernel(Preparing()).migrate({}, 2)


def test_it_tells_its_progress_by_the_shares_of_its_own_pieces() -> None:
    """People would see every part at 0% until it is done, or all of them at that of the job."""

    class Telling(Dividing):
        def next_piece(self, plan: Pieces, state: PartState) -> int:  # noqa: ARG002
            return state.at

        def share(self, plan: Pieces, first: int) -> float:
            return (first / plan.steps) ** 2

    part = PartKernel(Telling())
    params = part.Params(plan=Pieces(steps=10), first=2, last=6)
    shares = [part.progress(params, PartState(at=at)) for at in (0, 2, 4, 6)]
    assert shares == pytest.approx([0, 0, (16 - 4) / (36 - 4), 1])


def test_a_part_without_a_yield_is_named() -> None:
    """It would compute without a safe point, and the error speak of `run`."""
    part = PartKernel(Plain())
    params = part.Params(plan=PLAN, first=0, last=1)
    with pytest.raises(NonRetryable, match=r"^part must be a generator"):
        start(part, params, None, Resources())


def test_it_is_made_anew_from_the_class_of_the_whole() -> None:
    """A child process could not make it."""
    assert class_of(PartKernel(Dividing())) is class_of(Dividing()) is Dividing
    made = made_anew(Dividing, is_part=True)
    assert isinstance(made, PartKernel)
    assert type(made.whole) is Dividing
    assert type(made_anew(Dividing, is_part=False)) is Dividing
    assert type(made_anew(Counting, is_part=False)) is Counting
