"""How far a divided job is, as the records of its parts and groups tell, read from the top."""

from __future__ import annotations

from functools import cached_property, reduce
from typing import TYPE_CHECKING, NamedTuple

from outlast.checkpoint.fleet import Place, Tree
from outlast.checkpoint.record_parts import Usage
from outlast.checkpoint.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.checkpoint.fleet import Fleet
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.nodes import Nodes


class OpenGroup(NamedTuple):
    """A group whose parts may be at work.

    Attributes:
        place: where in the tree it is.
        parts: what is stored of each of its parts, in order; None: nothing yet.
    """

    place: Place
    parts: tuple[Head | None, ...]


class Survey:
    """What is stored of one division of a job. Everything is read once, 16 neighbours at a time.

    Group g is complete when it has a record, or a group above it has, or all its parts have
    succeeded. It is open if g is less than the window, or group g - window is complete. So what is
    open follows from the records, and nothing says it twice. Records of what is not open are not
    read.

    All raise StoreUnavailable and CorruptRecord as `Nodes` does.
    """

    def __init__(self, nodes: Nodes, job_id: str, fleet: Fleet) -> None:
        """Survey the job that is shared so; it is cut into parts."""
        self._nodes = nodes
        self._job_id = job_id
        self._fleet = fleet
        self._known: dict[Place, Head | None] = {}
        self.tree = Tree(fleet.parts)

    @cached_property
    def open(self) -> list[OpenGroup]:
        """The groups of parts that are open and not complete by a record, in order."""
        return list(self.open_groups())

    def open_groups(self) -> Iterator[OpenGroup]:
        """Yield what `open` has, each as soon as it is read."""
        complete: list[bool] = []
        window = self._fleet.window
        for number, place in enumerate(self.tree.groups):
            if number >= window and not complete[number - window]:
                complete.append(False)
                if not any(complete[-window:]):
                    return  # No group from here on is open.
                continue
            if self._is_recorded(place):
                complete.append(True)
                continue
            parts = tuple(self.head(part) for part in self.tree.below(place))
            complete.append(all(map(_has_succeeded, parts)))
            yield OpenGroup(place, parts)

    @property
    def unsummed(self) -> list[Place]:
        """The groups, and the job, that have no record while all that is below them has succeeded.

        Whoever was to add them up died, or the store has lost what it wrote.
        """
        self._read_open()
        return sorted(
            place
            for place in {below.group for below in self._known}
            if not self._is_recorded(place)
            and all(_has_succeeded(self.head(below)) for below in self.tree.below(place))
        )

    @property
    def tops(self) -> dict[Place, Head]:
        """What counts for the job: the highest groups with a record, and parts below none."""
        self._read_open()
        return self._highest()

    def added_up(self, groups: int) -> list[Head]:
        """Return the highest records of groups among the first `groups` groups of parts.

        It reads no parts, and costs a read for each of the last groups.
        """
        for place in self.tree.groups[:groups]:
            self._is_recorded(place)
        return list(self._highest().values())

    def _highest(self) -> dict[Place, Head]:
        """Return what was read and has nothing above it that was."""
        return {
            place: head
            for place, head in self._known.items()
            if head is not None and not self._is_recorded(place.group)
        }

    def _read_open(self) -> None:
        len(self.open)

    def head(self, place: Place) -> Head | None:
        """Return what is stored of a part or group; None: nothing."""
        if place not in self._known:
            self._read(place)
        return self._known[place]

    def _is_recorded(self, place: Place) -> bool:
        """Whether the group has a record, or a group above it has."""
        above = [place, *self.tree.above(place)] if place != self.tree.top else []
        return any(self.head(group) is not None for group in reversed(above))

    def _read(self, place: Place) -> None:
        places = self.tree.below(place.group)
        nodes = [self._fleet.node(place) for place in places]
        self._known |= zip(places, self._nodes.heads(self._job_id, nodes), strict=True)


def _has_succeeded(head: Head | None) -> bool:
    return head is not None and head.status is Status.SUCCEEDED


def sum_of(usage: Usage, heads: Iterable[Head]) -> Usage:
    """Return what a job has taken: `usage` by itself, and its parts and groups with these heads."""
    return reduce(Usage.plus, (head.usage for head in heads), usage)
