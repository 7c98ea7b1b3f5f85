"""The tree of a job's parts, and what its records tell of it."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.fleet import GROUP, OPEN_PER_WORKER, Fleet, Node, Place, Tree
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record_parts import Limits, Usage
from outlast.checkpoint.status import Status
from outlast.checkpoint.survey import Survey
from tests.fakes import MemoryRegister
from tests.records import job

BIRTH = "0123456789abcdef"


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20_000))
def test_every_part_is_below_the_job_once(parts: int) -> None:
    """A part would be missing in the total, or be in it twice."""
    tree = Tree(parts)
    row = [tree.top]
    while row[0].level:
        assert all(1 <= len(tree.below(place)) <= GROUP for place in row)
        assert [tree.last_part(place) for place in row][-1] == parts - 1
        row = list(chain.from_iterable(map(tree.below, row)))
    assert row == [Place(0, number) for number in range(parts)]


@settings(deadline=None)
@given(st.integers(1, 70_000), st.data())
def test_what_is_above_a_part_has_it_below(parts: int, data: st.DataObject) -> None:
    """Whoever ends a part would add up another group."""
    tree, number = Tree(parts), data.draw(st.integers(0, parts - 1))
    place = Place(0, number)
    for above in [*tree.above(place), tree.top]:
        assert place in tree.below(above)
        assert number <= tree.last_part(above)
        place = above


@pytest.mark.parametrize(("parts", "groups"), [(1, 1), (16, 1), (17, 2), (256, 16), (257, 17)])
def test_groups_of_parts(parts: int, groups: int) -> None:
    """A group would never be opened."""
    found = Tree(parts).groups
    assert len(found) == groups
    assert [part.number for place in found for part in Tree(parts).below(place)] == [*range(parts)]


class Division:
    """A job that is cut into so many parts, and what is stored of them."""

    def __init__(self, parts: int, window: int) -> None:
        self.fleet = Fleet(parallel=1, birth=BIRTH, parts=parts, window=window)
        self.jobs = JobStore(MemoryRegister())

    def store(self, *places: tuple[int, int], status: Status = Status.SUCCEEDED) -> None:
        """Store the record of each place."""
        for level, number in places:
            node = self.fleet.node(Place(level, number))
            self.jobs.create(job(node=node, status=status))

    @property
    def survey(self) -> Survey:
        """What the records tell."""
        return Survey(self.jobs.nodes, "a", self.fleet)

    def open(self) -> list[int]:
        """The numbers of the groups that are open and have no record."""
        return [group.place.number for group in self.survey.open]


def parts_of(*groups: int) -> list[tuple[int, int]]:
    """Return the places of all parts of these groups."""
    return [(0, 16 * group + number) for group in groups for number in range(16)]


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 16, 17, 1_000])
def test_there_is_a_part_for_each_worker_while_a_group_has_one_left(workers: int) -> None:
    """All workers but one would wait at the end of each group."""
    left = GROUP * Fleet.of(workers).window - (GROUP - 1)
    assert left >= OPEN_PER_WORKER * workers


def test_a_window_of_groups_is_open() -> None:
    """All of a job's parts would be sent at once, or none."""
    division = Division(parts=100, window=2)
    assert division.open() == [0, 1]
    division.store(*parts_of(1))
    assert division.open() == [0, 1, 3], "all parts of 1 have succeeded"
    division.store((1, 1))
    assert division.open() == [0, 3]
    division.store((1, 3))
    assert division.open() == [0, 5]
    division.store((1, 0))
    assert division.open() == [2, 5]


def test_a_group_above_makes_all_below_it_complete() -> None:
    """What has been added up would be computed again."""
    division = Division(parts=16 * 20, window=1)
    division.store((2, 0))
    assert division.open() == [16]


def test_only_what_is_open_is_read() -> None:
    """A look at a job of ten thousand parts would take as many reads."""
    division = Division(parts=16 * 16 * 16, window=1)
    reads: list[str] = []
    register: Any = division.jobs._register
    peek = register.peek
    register.peek = lambda keys, limit: reads.extend(keys) or peek(keys, limit)
    assert division.open() == [0]
    assert len(reads) == 3 * 16


def test_what_could_be_added_up_is_found() -> None:
    """A worker that died just before it wrote a group's record would end the job there."""
    division = Division(parts=16 * 20, window=40)
    assert division.survey.unsummed == []
    division.store(*parts_of(3))
    assert division.survey.unsummed == [Place(1, 3)]
    division.store(*((1, number) for number in range(16)))
    assert division.survey.unsummed == [Place(2, 0)]
    division.store((2, 0), *((1, number) for number in range(16, 20)))
    assert division.survey.unsummed == [Place(2, 1)]
    division.store((2, 1))
    assert division.survey.unsummed == [division.survey.tree.top]


def test_what_counts_is_found_once() -> None:
    """The bill of a job would have some of its parts twice."""
    division = Division(parts=16 * 20, window=40)
    division.store((1, 0), *parts_of(0), (0, 16), *parts_of(2))
    assert sorted(division.survey.tops) == sorted([(1, 0), (0, 16), *parts_of(2)])


def test_a_record_of_another_part_is_refused() -> None:
    """A part would be added up in the place of another one."""
    division = Division(parts=4, window=1)
    division.store((0, 1))
    register: Any = division.jobs._register
    value = register.read(f"parts/a/{BIRTH}/0/1").value
    register.write(f"parts/a/{BIRTH}/0/2", value, expected=None)
    with pytest.raises(CorruptRecord, match="job a: the record found there is of 'parts/a/"):
        division.jobs.load_node("a", Node(birth=BIRTH, number=2))
    with pytest.raises(CorruptRecord):
        division.jobs.nodes.heads("a", [Node(birth=BIRTH, number=2)])


def test_only_the_parts_of_one_division_are_cleared() -> None:
    """A new job of an old id would lose its parts to whoever tidies up after the old one."""
    division = Division(parts=4, window=1)
    division.store((0, 0), (0, 1))
    other = "f" * 16
    division.jobs.create(job(node=Node(birth=other, number=0)))
    division.jobs.create(job(job_id="a-b", node=Node(birth=BIRTH, number=0)))
    nodes = division.jobs.nodes
    assert sorted(nodes.job_ids()) == ["a", "a-b"]
    assert nodes.clear_others("a", lambda: BIRTH) == 1
    assert nodes.clear("a", BIRTH) == 2
    assert list(nodes.job_ids()) == ["a-b"]


def test_the_default_ceiling_on_slices_is_one_of_each_part() -> None:
    """A job of 2,000 CPU hours would fail at its very end."""
    many = Usage(slices_begun=10 * (Limits().max_slices or 0))
    shared = job(fleet=Fleet.of(2).model_copy(update={"concluded": True}), usage=many)
    assert shared.at_ceiling() is None
    limited = shared.model_copy(update={"limits": Limits(max_slices=99)})
    assert limited.at_ceiling() == "reached its ceiling of 99 slices (max_slices)"
    assert job(usage=many).at_ceiling() is not None
