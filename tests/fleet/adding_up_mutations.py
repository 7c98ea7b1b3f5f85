"""How parts are added up, broken on purpose in one way each."""

from __future__ import annotations

from contextlib import suppress
from functools import reduce
from inspect import isfunction
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record_parts import Usage
from outlast.checkpoint.status import Status
from outlast.worker.slices.fleet import adding_up, part_turn
from outlast.worker.slices.fleet.adding_up import AddingUp
from outlast.worker.slices.fleet.claimed_part import ClaimedPart

if TYPE_CHECKING:
    from pytest import MonkeyPatch  # noqa: PT013 - for its name alone

    from outlast.checkpoint.fleet import Place
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record


def write_the_group_first(patch: MonkeyPatch) -> None:
    """A group's record is written before the messages of the group that it opens are sent."""
    send_next, write = AddingUp._send_next, AddingUp._write

    def write_and_send(self: AddingUp, place: Place, children: list[Record]) -> None:
        write(self, place, children)
        if place.level == 1:
            send_next(self, place.number, children)

    patch.setattr(AddingUp, "_send_next", lambda *_: None)
    patch.setattr(AddingUp, "_write", write_and_send)


def open_no_group(patch: MonkeyPatch) -> None:
    """The parts that a complete group opens are not called."""
    patch.setattr(AddingUp, "_send_next", lambda *_: None)


def open_the_wrong_group(patch: MonkeyPatch) -> None:
    """A complete group opens the one behind it, whatever the window."""

    def send_next(self: AddingUp, group: int, children: list[Record]) -> str | None:
        self._fleet = self._fleet.model_copy(update={"window": 1})
        return original(self, group, children)

    original = AddingUp._send_next
    patch.setattr(AddingUp, "_send_next", send_next)


def read_the_siblings_first(patch: MonkeyPatch) -> None:
    """A part's siblings are read before its own success is stored."""
    end, children_of = ClaimedPart.end, AddingUp._children

    def read_and_end(self: ClaimedPart, ending: Any) -> Record:
        job = self.process.jobs.head_of(self.record.job_id)
        assert job.fleet is not None
        adding = AddingUp(self.process, job)
        places = adding._tree.below(self._node.place.group)
        seen[id(self.process)] = dict(zip(places, adding._heads(places), strict=True))
        return end(self, ending)

    def children(self: AddingUp, place: Place) -> list[Record] | None:
        found = children_of(self, place)
        before = seen.pop(id(self._process), {})
        heads = [before[child] for child in self._tree.below(place) if child in before]
        missing = [head for head in heads if head is None or head.status is not Status.SUCCEEDED]
        return None if len(missing) > 1 else found

    seen: dict[int, dict[Place, Head | None]] = {}
    patch.setattr(ClaimedPart, "end", read_and_end)
    patch.setattr(AddingUp, "_children", children)


def count_what_has_begun(patch: MonkeyPatch) -> None:
    """A child counts as soon as there is a record of it."""

    def children(self: AddingUp, place: Place) -> list[Record] | None:
        nodes = [self._fleet.node(child) for child in self._tree.below(place)]
        records = self._process.jobs.nodes.records(self._job.job_id, nodes)
        return None if None in records else [record for record in records if record is not None]

    patch.setattr(AddingUp, "_children", children)


def look_at_the_last_child_only(patch: MonkeyPatch) -> None:
    """A group is added up when its last child has succeeded, of those that have."""

    def children(self: AddingUp, place: Place) -> list[Record] | None:
        nodes = [self._fleet.node(child) for child in self._tree.below(place)]
        records = self._process.jobs.nodes.records(self._job.job_id, nodes)
        done = [r for r in records if r is not None and r.status is Status.SUCCEEDED]
        return done if done and done[-1] is records[-1] else None

    patch.setattr(AddingUp, "_children", children)


def add_up_backwards(patch: MonkeyPatch) -> None:
    """Two partials change places."""
    combined = AddingUp._combined
    patch.setattr(AddingUp, "_combined", lambda self, children: combined(self, children[::-1]))


def stop_at_a_group_that_is_there(patch: MonkeyPatch) -> None:
    """Whoever finds a group's record does not look at the groups above it."""
    from_part = AddingUp.from_part

    def stopping(self: AddingUp, part: Any) -> Any:
        groups = self._tree.above(part.place)
        return None if any(self._heads(groups[:1])) else from_part(self, part)

    patch.setattr(AddingUp, "from_part", stopping)


def write_a_group_twice(patch: MonkeyPatch) -> None:
    """A group's record is written whether or not there is one."""

    def create(self: JobStore, record: Record) -> Any:
        assert record.node is not None
        stored = self.load_node(record.job_id, record.node)
        return self._write(record, expected=stored.version if stored else None)

    patch.setattr(JobStore, "create", create)


def clear_before_the_end(patch: MonkeyPatch) -> None:
    """The records of the parts are removed before the job's end is stored."""
    concluded = AddingUp._concluded

    def cleared(self: AddingUp, record: Record, children: list[Record]) -> Record:
        after = concluded(self, record, children)
        self._process.jobs.nodes.clear(record.job_id, self._fleet.birth)
        return after

    patch.setattr(AddingUp, "_concluded", cleared)


def leave_the_records(patch: MonkeyPatch) -> None:
    """The records of the parts stay when the job is over."""
    patch.setattr("outlast.checkpoint.nodes.Nodes.clear", lambda *_: 0)


def conclude_what_was_stopped(patch: MonkeyPatch) -> None:
    """A job succeeds although a person has paused or cancelled it."""

    def conclude(self: AddingUp, children: list[Record]) -> Any:
        jobs, job_id = self._process.jobs, self._job.job_id
        while True:
            stored = jobs.load(job_id)
            if stored.record.status is Status.SUCCEEDED:
                return None
            with suppress(VersionConflict):
                return jobs.replace(stored, self._concluded(stored.record, children))

    patch.setattr(AddingUp, "_conclude", conclude)


def forget_what_parts_took(patch: MonkeyPatch) -> None:
    """What the parts have taken is not added up."""
    patch.setattr(adding_up, "sum_of", lambda usage, _: usage)


def count_the_last_child_only(patch: MonkeyPatch) -> None:
    """Of what the parts have taken only the last one's counts."""

    def last_of(usage: Usage, children: Any) -> Usage:
        return reduce(Usage.plus, [child.usage for child in children][-1:], usage)

    patch.setattr(adding_up, "sum_of", last_of)


def let_it_cost_anything(patch: MonkeyPatch) -> None:
    """Groups are opened beyond the ceiling on the time of all parts together."""
    patch.setattr(AddingUp, "_at_ceiling", lambda *_: None)


def leave_the_rest_to_nobody(patch: MonkeyPatch) -> None:
    """Where `run` is to go on after the parts, its message is not sent."""
    patch.setattr(part_turn, "_is_asleep", lambda _: False)


ADDING_UP_MUTATIONS = {
    name: function
    for name, function in list(globals().items())
    if isfunction(function) and function.__module__ == __name__
}
