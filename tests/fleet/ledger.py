"""What has happened in a world, and whether that keeps every promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from outlast.checkpoint.codec import decode
from outlast.checkpoint.fleet import GROUP_BITS, Place, Tree
from outlast.checkpoint.status import Status
from outlast.kernel import NonRetryable
from tests.fleet.scene import JOB, TAIL
from tests.fleet.stage import HERE
from tests.kernels import MODULUS, expected

if TYPE_CHECKING:
    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record
    from tests.fleet.stage import Actor
    from tests.fleet.world import World


@dataclass
class Division:
    """One cut of a job into parts.

    Attributes:
        lengths: how many pieces each part has.
        window: how many groups are open at a time.
        succeeded: the parts that have ever succeeded.
        groups: what was written of each group.
        steps: how often each piece was computed.
    """

    lengths: tuple[int, ...]
    window: int
    succeeded: set[int] = field(default_factory=set)
    groups: dict[Place, object] = field(default_factory=dict)
    steps: Counter[int] = field(default_factory=Counter)

    @property
    def edges(self) -> list[int]:
        """Where the parts begin, and the end."""
        return list(accumulate(self.lengths, initial=0))

    def parts_of(self, place: Place, bits: int) -> range:
        """Return the numbers of the parts that belong to a place."""
        first = place.number << bits * place.level
        return range(first, min((place.number + 1) << bits * place.level, len(self.lengths)))

    @property
    def redone(self) -> int:
        """How many steps were taken more than once."""
        return sum(number - 1 for number in self.steps.values())


class Ledger:
    """What has happened.

    Attributes:
        complaint: the first promise that was broken; "": none was.
        job: the job as it is stored; None: it is not.
        figures: how often each thing happened.
        holders: who has drawn which lease.
        excused: the leases of which the world has kept the holder from knowing that they are lost.
    """

    def __init__(self, world: World) -> None:
        self.complaint = ""
        self.job: Record | None = None
        self.figures: Counter[str] = Counter()
        self.holders: dict[str, Actor] = {}
        self.excused: set[str] = set()
        self.divisions: dict[str, Division] = {}
        self._world = world
        self._fails = list(world.scene.fails)
        self._stumbles = list(world.scene.stumbles)

    def require(self, condition: object, complaint: str) -> None:
        """Note the complaint unless the condition holds."""
        if not condition and not self.complaint:
            self.complaint = complaint

    def wrote(self, key: str, before: bytes | None, after: bytes) -> None:
        """Judge a write."""
        if key == f"jobs/{JOB}":
            self._wrote_job(decode(before) if before else None, decode(after))
        elif key.startswith("parts/"):
            self._wrote_node(decode(before) if before else None, decode(after))

    def forgot(self) -> None:
        """Note that the store has gone back."""
        stored = self._world.shelf.values.get(f"jobs/{JOB}")
        self.job = decode(stored.value) if stored else None
        self.excused |= self.holders.keys()
        self.figures["forgot"] += 1

    def _wrote_job(self, before: Record | None, after: Record) -> None:
        self.job = after
        fleet = after.fleet
        assert fleet is not None
        if fleet.birth and not fleet.concluded and fleet.birth not in self.divisions:
            self.divisions[fleet.birth] = Division(after.lengths, fleet.window)
        self._took_lease(after)
        old = before.status if before else None
        if after.status is old:
            return
        self.figures[f"job {after.status}"] += 1
        if after.status is Status.SUCCEEDED:
            self.require(
                after.result == expected(after.params["steps"]), f"a wrong result: {after.result}"
            )
        if after.status is Status.FAILED:
            self._failed(after)

    def _failed(self, job: Record) -> None:
        """Judge the failure of the job: each is for an error of its own."""
        error = job.error or ""
        if "compute" in error:
            self.figures["ceilings"] += 1
            self._judge_ceiling()
            return
        self.require("injected" in error, f"the job failed: {error}")
        self.figures["failures"] += 1
        self.require(
            self.figures["failures"] <= self.figures["errors"] or self.figures["forgot"],
            f"the job failed again for an error from before its retry: {error}",
        )

    def _judge_ceiling(self) -> None:
        """Judge by how much the job has taken more than it may: what is open, no more."""
        ceiling = self._world.scene.ceiling
        division = self._current
        if ceiling is None or division is None or self._world.retries or self._hindrances:
            return
        open_parts = sorted(division.lengths)[-2 * division.window :]
        spent = sum(division.steps.values())
        self.require(
            spent <= ceiling + sum(open_parts), f"{spent} s were spent of {ceiling:.1f} s"
        )

    def _wrote_node(self, before: Record | None, after: Record) -> None:
        node = after.node
        assert node is not None
        division = self.divisions[node.birth]
        if node.level:
            self._wrote_group(division, node.place, before, after)
            return
        if before is None or before.lease != after.lease:
            self._took_lease(after)
        if before is None:
            self._judge_window(division, node.number)
        if after.status is Status.SUCCEEDED:
            self._judge_value(division, node.place, after)
            division.succeeded.add(node.number)

    def _wrote_group(
        self, division: Division, place: Place, before: Record | None, after: Record
    ) -> None:
        self.figures["groups"] += 1
        missing = set(division.parts_of(place, self._bits)) - division.succeeded
        self.require(not missing, f"{place} was added up without the parts {missing}")
        self._judge_value(division, place, after)
        self.require(before is None, f"{place} was written over")
        known = division.groups.setdefault(place, after.result)
        self.require(known == after.result, f"{place} had another value before")

    def _judge_value(self, division: Division, place: Place, record: Record) -> None:
        parts = division.parts_of(place, self._bits)
        edges = division.edges
        true = stretch(edges[parts.start], edges[parts.stop])
        self.require(record.result == true, f"a wrong value of {place}: {record.result}")

    def _judge_window(self, division: Division, part: int) -> None:
        """Judge whether a part may begin."""
        group = part >> self._bits
        if group < division.window:
            return
        earlier = set(division.parts_of(Place(1, group - division.window), self._bits))
        self.require(
            earlier <= division.succeeded, f"part {part} began before its group was open"
        )

    @property
    def _bits(self) -> int:
        return self._world.bits

    def _took_lease(self, record: Head) -> None:
        if record.lease and record.lease.token not in self.holders and HERE.actor:
            self.holders[record.lease.token] = HERE.actor
            self._world.tokens[HERE.actor] = record.lease.token

    @property
    def _current(self) -> Division | None:
        birth = self.job and self.job.fleet and self.job.fleet.birth
        return self.divisions.get(birth) if birth else None

    def stepped(self, actor: Actor, piece: int) -> None:
        """Judge that a worker computes a piece, and let that be an error where the scene says so.

        Raises:
            NonRetryable, ValueError: that error.
        """
        if piece in self._fails:
            self._fails.remove(piece)
            self.figures["errors"] += 1
            raise NonRetryable("injected")
        if piece in self._stumbles:
            self._stumbles.remove(piece)
            self.figures["stumbles"] += 1
            raise ValueError("injected")
        token = self._world.tokens.get(actor, "")
        for key, stored in self._world.shelf.values.items():
            if not (key.startswith(f"parts/{JOB}/") and "/0/" in key):
                continue
            record = decode(stored.value)
            if record.lease is None or record.lease.token != token:
                continue
            assert record.node is not None
            self.divisions[record.node.birth].steps[piece] += 1
            return
        if self.job and self.job.lease and self.job.lease.token == token:
            return  # After the parts.
        self.figures["steps without a lease"] += 1
        is_excused = token in self.excused or self.figures["stopped"]
        self.require(is_excused, f"{actor} computes piece {piece}, which it does not hold")
        self._count_elsewhere(piece)

    def _count_elsewhere(self, piece: int) -> None:
        if self._current is not None:
            self._current.steps[piece] += 1

    @property
    def _hindrances(self) -> int:
        """How often something went wrong for which work may be done again."""
        kinds = ("crash", "freeze", "slow", "refused", "unanswered", "thawed")
        return sum(self._world.faults[kind] for kind in kinds) + self.figures["stumbles"]

    def judge_end(self) -> None:
        """Judge what is left when all is quiet."""
        self.judge_redone()
        self.judge_sends()
        job = self.job
        if job is None:
            return
        if job.status is Status.SUCCEEDED and not (self._hindrances or self.figures["forgot"]):
            self.require(
                job.usage.steps == job.params["steps"], f"{job.usage.steps} steps are counted"
            )

    def judge_redone(self) -> None:
        """Judge how much was computed again."""
        if self.figures["forgot"]:
            return
        for division in self.divisions.values():
            most = self._hindrances * max(division.lengths)
            self.require(
                division.redone <= most,
                f"{division.redone} s were computed again, after {self._hindrances} faults",
            )

    def judge_sends(self) -> None:
        """Judge how many messages were sent."""


def stretch(first: int, last: int) -> dict[str, int]:
    """Return what these pieces come to, worked out in one go."""
    factor, more = 1, 0
    for at in range(first, last):
        factor, more = factor * 31 % MODULUS, (more * 31 + at + 1) % MODULUS
    return {"factor": factor, "more": more}
