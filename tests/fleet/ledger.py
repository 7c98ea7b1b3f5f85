"""What has happened in a world, and whether that keeps every promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from outlast.checkpoint.codec import decode
from outlast.checkpoint.fleet import Place
from outlast.checkpoint.status import Status
from outlast.kernel import NonRetryable
from tests.fleet.scene import JOB
from tests.fleet.stage import HERE
from tests.kernels import MODULUS, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record
    from tests.fleet.stage import Actor
    from tests.fleet.world import World


OVER = {Status.SUCCEEDED, Status.CANCELLED}
# So many steps a worker takes at most before it learns that its job was stopped.
MOST_UNWANTED = 2
# Whoever adds up the same group at the same time sends the next one's messages twice.
SPARE_SENDS = 2


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
        self.unwanted: Counter[Actor] = Counter()
        self._claims: dict[str, int] = {}
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
        if before is not None and after.slice_number > before.slice_number and fleet.concluded:
            self.figures["continuations"] += 1
        if before is not None and after.guards.sweeps > before.guards.sweeps:
            self._judge_sweep()
        if after.status is old:
            return
        is_at_tail = before is not None and before.fleet is not None and before.fleet.concluded
        if not is_at_tail:
            self._judge_status(old, after.status)
        self.figures[f"job {after.status}"] += 1
        if after.status is Status.SUCCEEDED:
            self.require(
                after.result == expected(after.params["steps"]), f"a wrong result: {after.result}"
            )
            self._judge_ceiling()
        if after.status is Status.FAILED:
            self._failed(after)

    def _judge_status(self, before: Status | None, after: Status) -> None:
        """Judge whether what a person or the end has stopped stays so."""
        is_person = HERE.actor is not None and HERE.actor.name == "person"
        self.require(before not in OVER, f"the job was {before} and is {after}")
        if before is Status.PAUSED:
            self.require(
                is_person or after is Status.FAILED, f"a paused job became {after} by itself"
            )

    def _judge_sweep(self) -> None:
        """Judge whether nobody was at work on the job that is swept."""
        at_work = [
            part.node
            for part in self._parts()
            if part.lease is not None
            and part.lease.is_live(self._world.now)
            and self._claims.get(part.lease.token, 0) < self._world.sweep_began
        ]
        self.require(not at_work, f"the job was swept while {at_work} were at work")

    def _parts(self) -> Iterator[Record]:
        """Yield the parts that the job has now."""
        birth = self.job and self.job.fleet and self.job.fleet.birth
        prefix = f"parts/{JOB}/{birth}/0/"
        for key, stored in self._world.shelf.values.items():
            if key.startswith(prefix):
                yield decode(stored.value)

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
        if self.figures["forgot"]:
            return
        open_parts = sorted(division.lengths)[-2 * division.window :]
        spent = sum(division.steps.values())
        self.require(spent <= ceiling + sum(open_parts), f"{spent} s were spent of {ceiling:.1f} s")

    def _wrote_node(self, before: Record | None, after: Record) -> None:
        node = after.node
        assert node is not None
        division = self.divisions[node.birth]
        if node.level:
            self._wrote_group(division, node.place, before, after)
            return
        self._judge_claim(before, after)
        self._took_lease(after)
        if before is None:
            self._judge_window(division, node.number)
        if before is not None and after.slice_number > before.slice_number:
            self.figures["continuations"] += 1
        if after.status is Status.SUCCEEDED:
            self._judge_value(division, node.place, after)
            division.succeeded.add(node.number)

    def _judge_claim(self, before: Record | None, after: Record) -> None:
        """Judge whether a part is taken only from one whose lease has ended."""
        old, new = before and before.lease, after.lease
        if not (old and new) or old.token == new.token:
            return
        self.figures["overtaken"] += 1
        self.require(not old.is_live(self._world.now), "a part was taken from who holds it")
        self.excused.add(old.token)

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
        self.require(earlier <= division.succeeded, f"part {part} began before its group was open")

    @property
    def _bits(self) -> int:
        return self._world.bits

    def _took_lease(self, record: Head) -> None:
        if record.lease and record.lease.token not in self.holders and HERE.actor:
            self.holders[record.lease.token] = HERE.actor
            self._claims[record.lease.token] = len(self._world.trace)
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
        self._judge_wanted(actor)
        token = self._world.tokens.get(actor, "")
        for key, stored in self._world.shelf.values.items():
            if not (key.startswith(f"parts/{JOB}/") and "/0/" in key):
                continue
            record = decode(stored.value)
            if record.lease is None or record.lease.token != token:
                continue
            assert record.node is not None
            # What has begun late, after the end, stops at its first save: see `_judge_wanted`.
            if self.job is not None and self.job.needs_parts_of(record.node.birth):
                self.divisions[record.node.birth].steps[piece] += 1
            return
        if self.job and self.job.lease and self.job.lease.token == token:
            return  # After the parts.
        self.figures["steps without a lease"] += 1
        is_excused = token in self.excused or self.figures["stopped"]
        self.require(is_excused, f"{actor} computes piece {piece}, which it does not hold")

    def _judge_wanted(self, actor: Actor) -> None:
        """Judge whether a worker finds out that a person, or a failure, has stopped the job."""
        is_wanted = self.job is not None and self.job.status in {Status.RUNNING, Status.QUEUED}
        self.unwanted[actor] = 0 if is_wanted else self.unwanted[actor] + 1
        most = MOST_UNWANTED + self._hindrances
        self.require(
            self.unwanted[actor] <= most, f"{actor} works on, although the job was stopped"
        )

    @property
    def _hindrances(self) -> int:
        """How often something went wrong for which work may be done again."""
        kinds = ("crash", "freeze", "slow", "refused", "unanswered")
        faults = sum(self._world.faults[kind] for kind in kinds)
        return faults + self.figures["stumbles"] + self.figures["overtaken"]

    def judge_end(self) -> None:
        """Judge what is left when all is quiet."""
        self.judge_redone()
        self.judge_sends()
        job = self.job
        if (
            job is not None
            and job.status is Status.SUCCEEDED
            and not (self._hindrances or self.figures["forgot"])
        ):
            self.require(
                job.usage.steps == job.params["steps"], f"{job.usage.steps} steps are counted"
            )

    def judge_redone(self) -> None:
        """Judge how much was computed again."""
        if self.figures["forgot"]:
            return
        # Who has read a part before it went with its job may begin it once more.
        causes = self._hindrances + self.figures["delete"]
        for division in self.divisions.values():
            self.require(
                division.redone <= causes * max(division.lengths),
                f"{division.redone} s were computed again, after {causes} faults and deletions",
            )

    def judge_sends(self) -> None:
        """Judge how many messages were sent: each call may send all, and nothing multiplies."""
        world = self._world
        parts = sum(len(division.lengths) for division in self.divisions.values())
        acts = sum(self.figures[act] for act in ("resume", "free", "retry", "submit"))
        disturbances = sum(world.faults.values()) + acts + world.swept + self.figures["stumbles"]
        most = 2 * self.figures["continuations"] + (SPARE_SENDS + disturbances) * (parts + 1)
        self.require(
            world.mailbox.sent <= most, f"{world.mailbox.sent} messages were sent, {most} at most"
        )

    def judge_rubbish(self, keys: list[str]) -> None:
        """Judge whether whoever has ended the job has cleaned up."""
        is_over = self.job is not None and self.job.status is Status.SUCCEEDED
        if is_over and not (self._hindrances or self.figures["forgot"] or self.figures["delete"]):
            self.require(not [key for key in keys if "/0/" in key], f"these are left: {keys}")


def stretch(first: int, last: int) -> dict[str, int]:
    """Return what these pieces come to, worked out in one go."""
    factor, more = 1, 0
    for at in range(first, last):
        factor, more = factor * 31 % MODULUS, (more * 31 + at + 1) % MODULUS
    return {"factor": factor, "more": more}
