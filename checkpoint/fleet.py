"""A job that many workers share: what is stored of its division, and the tree of its parts.

A *part* is a range of the job's pieces and has a record of its own, with the whole protocol. 16
neighbouring parts are a *group*, and so are 16 neighbouring groups of one level; the job itself is
above the last 16 or fewer. A group's record is written once, by whoever has added up what is below.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, NamedTuple, Self

from pydantic import Field

from outlast.checkpoint.fields import Count, Number, Part, Seconds

GROUP_BITS = 4
GROUP = 1 << GROUP_BITS
MAX_PARTS = 1_000_000
# So many parts are open for each worker that a job is meant for: none is to wait for another.
OPEN_PER_WORKER = 4

Birth = Annotated[str, Field(pattern=r"\A[0-9a-f]{16}\z")]


class Place(NamedTuple):
    """Where in the tree: level 0 are the parts, level 1 groups of parts, and so on."""

    level: int
    number: int

    @property
    def group(self) -> Place:
        """What it belongs to."""
        return Place(self.level + 1, self.number // GROUP)


class Node(Part):
    """Which part or group of a job a record is of.

    Attributes:
        birth: that of the division; see `Fleet`.
        level: 0: a part; else a group.
        number: its number in the level, from 0.
        era: that of the job when the part was last claimed; 0 for a group.
    """

    birth: Birth
    level: Annotated[int, Field(ge=0, lt=16)] = 0
    number: Annotated[int, Field(ge=0, lt=MAX_PARTS)]
    era: Count = 0

    @property
    def place(self) -> Place:
        """Where in the tree it is."""
        return Place(self.level, self.number)

    @property
    def path(self) -> str:
        """What its key has after the job's."""
        return f"{self.birth}/{self.level}/{self.number}"

    def is_same(self, other: Node | None) -> bool:
        """Whether both are the same part or group."""
        return other is not None and self.path == other.path

    def at(self, place: Place) -> Self:
        """Return the node of the same division that is at `place`."""
        return self.model_copy(update={"level": place.level, "number": place.number, "era": 0})


class Fleet(Part):
    """How a job is shared by many workers.

    Attributes:
        parallel: for how many workers it is meant.
        part_seconds: how long a part is meant to take; None: it follows from the job.
        birth: random digits, drawn when the job is cut into parts; None: it has not been yet. All
            records and messages of parts carry it: those of another division, or of another job
            that had the id before, count for nothing.
        parts: how many there are.
        window: how many groups of parts are open at a time.
        era: how often the job was retried. A failure of a part counts in the era of its claim.
        calls: how often it was called for the messages of all open parts: at the start, by a
            resume, a retry, a sweep.
        answered: up to which of these calls they were sent.
        concluded: whether all parts are added up, so that the job goes on as any other one.
    """

    parallel: Number
    part_seconds: Seconds | None = None
    birth: Birth | None = None
    parts: Annotated[int, Field(ge=0, le=MAX_PARTS)] = 0
    window: Number = 1
    era: Count = 0
    calls: Count = 1
    answered: Count = 0
    concluded: bool = False

    @classmethod
    def of(cls, parallel: int, part_seconds: float | None = None) -> Self:
        """Return how a new job is shared by so many workers."""
        # One group more than these fill: while the last part of one runs, others need work, too.
        window = 1 - (-OPEN_PER_WORKER * parallel // GROUP)
        return cls(parallel=parallel, part_seconds=part_seconds, window=window)

    @property
    def is_cut(self) -> bool:
        """Whether the job is being worked on part by part."""
        return self.birth is not None and not self.concluded

    @property
    def is_owed(self) -> bool:
        """Whether the messages of the open parts are to be sent."""
        return self.answered < self.calls and not self.concluded

    def called(self) -> Self:
        """Call for the messages of all open parts."""
        return self.model_copy(update={"calls": self.calls + 1})

    def node(self, place: Place) -> Node:
        """Return the node at `place`.

        Raises:
            ValueError: the job is not cut.
        """
        if self.birth is None:
            raise ValueError("the job is not cut into parts")
        return Node(birth=self.birth, level=place.level, number=place.number)


@dataclass(frozen=True)
class Tree:
    """The groups of so many parts. Nothing of this is stored: it follows from the number."""

    parts: int

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """How many nodes each level has, the parts first; the job is above the last level."""
        sizes = [self.parts]
        while sizes[-1] > GROUP:
            sizes.append(-(-sizes[-1] // GROUP))
        return tuple(sizes)

    @property
    def top(self) -> Place:
        """The job itself."""
        return Place(len(self.sizes), 0)

    def above(self, place: Place) -> list[Place]:
        """Return what has `place` below it, the closest first, without the job itself."""
        found = []
        while (place := place.group).level < len(self.sizes):
            found.append(place)
        return found

    def below(self, place: Place) -> list[Place]:
        """Return the nodes that a group, or the job, consists of, in order; a part has none."""
        level = place.level - 1
        if level < 0:
            return []
        begin = place.number * GROUP
        return [Place(level, n) for n in range(begin, min(begin + GROUP, self.sizes[level]))]

    def last_part(self, place: Place) -> int:
        """Return the number of the last part that belongs to `place`."""
        return min((place.number + 1) << GROUP_BITS * place.level, self.parts) - 1

    @property
    def groups(self) -> list[Place]:
        """The groups of parts, in order; the job itself, where it has no more than one."""
        if len(self.sizes) == 1:
            return [self.top]
        return [Place(1, number) for number in range(self.sizes[1])]
