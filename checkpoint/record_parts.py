"""The parts of a job's record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from outlast.checkpoint.blobs.contract import Chunk, Name
from outlast.checkpoint.fields import Count, Metrics, Moment, Part, Platform, Seconds, Share, Target
from outlast.checkpoint.packed import Packed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MAX_PLATFORMS = 16
OTHER_PLATFORMS = "other"
# How far the clocks of a fleet may be apart; see `JobStore.clock`.
CLOCK_TOLERANCE_SECONDS = 10.0
# On so many machines workers must fail to begin a job before it is the job's fault.
WORKERS_IN_DOUBT = 3
MAX_TARGETS = 4
CHUNKS: TypeAdapter[tuple[Chunk, ...]] = TypeAdapter(
    tuple[Chunk, ...], config=ConfigDict(defer_build=True)
)
DOUBT_CHARACTERS = 80
# Long enough to even out steps of different length, short enough to follow a change of machine.
PACE_SECONDS = 60.0


class Checkpoint(Part):
    """A kernel's state at a safe point, with the checksum that it must still have when read.

    Attributes:
        stored: the state as it is stored, and on a second line the chunks of its arrays; None where
            it was not read. The codec keeps it beside the rest, which is why it has no part in the
            record's own JSON.
        digest: checksum of the state and the digests of its chunks, taken when the checkpoint was
            made.
        bulk_bytes: the size of its arrays, which are in chunks.
        version: the format of the state, by the kernel's own count.
        sequence: 1 for the job's first checkpoint, then ascending; `Record.saved` gives it.
        slice: the slice that made it.
        progress: the share of the work done, 0 to 1.
        saved_at: when it was made.
        metrics: the kernel's own figures of the state.
    """

    digest: str
    version: int
    sequence: Count = 0
    slice: Count
    progress: Share
    saved_at: Moment
    bulk_bytes: Count = 0
    metrics: Metrics = Field(default_factory=dict)

    stored: Packed | None = Field(default=None, exclude=True, repr=False)

    @classmethod
    def of(cls, state: bytes, *, chunks: Sequence[Chunk] = (), **fields: Any) -> Self:
        """Return the checkpoint of a state, which is JSON text, and of the chunks of its arrays.

        `fields` are all but the digest and the size of the chunks.
        """
        kept = state + b"\n" + CHUNKS.dump_json(tuple(chunks)) if chunks else state
        size = sum(chunk.size for chunk in chunks)
        checkpoint = cls(digest=digest_of(kept), bulk_bytes=size, **fields)
        return checkpoint.with_state(Packed.of(kept))

    def with_state(self, packed: Packed) -> Self:
        """Return this checkpoint with a state as it is stored, which may be damaged."""
        return self.model_copy(update={"stored": packed})

    def with_chunks(self, chunks: Sequence[Chunk]) -> Self:
        """Return this checkpoint with its arrays in other chunks."""
        fields = self.model_dump(exclude={"digest", "bulk_bytes"})
        return self.of(self.state, chunks=chunks, **fields)

    @property
    def packed(self) -> Packed:
        """The state as it is stored, by those who need it.

        Raises:
            ValueError: it was not read, as that of a job in a list.
        """
        if self.stored is None:
            raise ValueError(f"the state of checkpoint {self.sequence} was not read: load the job")
        return self.stored

    @property
    def state(self) -> bytes:
        """The state as JSON text, unpacked anew each time; as it was found where it is damaged.

        Raises:
            ValueError: it was not read.
        """
        return self.packed.unpacked().partition(b"\n")[0]

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """Where its arrays are, in order; none where they cannot be read.

        Raises:
            ValueError: the state was not read.
        """
        if not self.bulk_bytes:
            return ()
        try:
            return CHUNKS.validate_json(self.packed.unpacked().partition(b"\n")[2])
        except ValidationError:
            return ()  # It does not have its checksum either.

    @property
    def is_intact(self) -> bool:
        """Whether the state still has the checksum that it was saved with; see also `chunks`.

        Raises:
            ValueError: it was not read.
        """
        return digest_of(self.packed.unpacked()) == self.digest


class Dropped(NamedTuple):
    """A chunk that no checkpoint needs any more, and that is to be deleted some time later.

    Attributes:
        name: its name.
        at: when it was dropped.
        saves: how many saves there were then.
    """

    name: Name
    at: Moment
    saves: Count


class Lease(Part):
    """A time-bounded right to advance a job.

    Attributes:
        worker: who holds it, for people to read.
        platform: where that is, for example "lambda/arm64/1769" or "local".
        token: unique for each claim, so that a worker knows its own.
        claimed_at: when the slice began.
        expires_at: when others may take the job.
        seconds: how long it runs from its last renewal; for records from before it was kept, as
            long as any lease but those of the slowest stores.
        at_risk_seconds: the most work that a crash of the holder can lose.
        process: the holder, for others on its machine; "": they cannot know whether it is gone.
    """

    worker: str
    platform: Platform = "local"
    token: str
    claimed_at: Moment
    expires_at: Seconds
    seconds: Seconds = 120.0
    at_risk_seconds: Seconds
    process: str = ""

    def is_live(self, now: float) -> bool:
        """Whether it has not ended at `now`.

        One that ends later than its length allows was taken by a clock that is wrong: it is none.
        """
        return now < self.expires_at <= now + self.seconds + CLOCK_TOLERANCE_SECONDS


class Limits(Part):
    """When to give a job up; a job that advances meets none but the two ceilings on cost.

    Attributes:
        max_failures: errors in a row without progress between them.
        max_stalls: slices in a row that ended with no progress, crashes included.
        max_slices: all slices; None sets no ceiling.
        max_compute_seconds: all time spent in the kernel; None sets no ceiling.
    """

    max_failures: Annotated[int, Field(ge=1)] = 5
    # So many are bad luck only where a worker is killed every other second. A queue must allow some
    # receives for each, or it gives the message up before the job has failed.
    max_stalls: Annotated[int, Field(ge=1)] = 10
    max_slices: Annotated[int, Field(ge=1)] | None = 100_000
    max_compute_seconds: Annotated[float, Field(gt=0)] | None = None


class Guards(Part):
    """What the limits of a job are compared with.

    Attributes:
        failures: errors since the job last advanced.
        stalls: slices begun since the job last advanced.
        sweeps: messages that sweeps sent since the last claim.
        doubt: the kind of error for which workers gave the job back since it last advanced, each
            taking it for a fault of its own machine; "": none did.
        doubters: those workers.
    """

    failures: Count = 0
    stalls: Count = 0
    sweeps: Count = 0
    doubt: Annotated[str, Field(max_length=DOUBT_CHARACTERS)] = ""
    doubters: Annotated[tuple[str, ...], Field(max_length=WORKERS_IN_DOUBT)] = ()

    def doubted(self, kind: str, worker: str) -> Self:
        """Return the guards after `worker` gave the job back for an error of this kind."""
        kind = kind[:DOUBT_CHARACTERS]
        others = self.doubters if self.doubt == kind else ()
        doubters = (*(name for name in others if name != worker), worker)[-WORKERS_IN_DOUBT:]
        return self.model_copy(update={"doubt": kind, "doubters": doubters})

    def cleared(self) -> Self:
        """Return the guards of a job that has just advanced."""
        changes = {"failures": 0, "stalls": 0, "doubt": "", "doubters": ()}
        return self.model_copy(update=changes)


class Pace(Part):
    """How long the steps of a job take and how fast it gets on, as its workers have learned.

    It stands in the record, as most workers live for a few slices of a job only.

    Attributes:
        step_seconds: the longest step lately, by a measure that forgets; 0: none is known.
        first_step_seconds: the same of the first steps of slices, which also rebuild tables.
        per_second: progress in a second in the kernel lately, 0 to 1; 0: it is not known.
        still_seconds: time in the kernel since progress last grew, without what was thrown away.
    """

    step_seconds: Seconds = 0.0
    first_step_seconds: Seconds = 0.0
    per_second: Seconds = 0.0
    still_seconds: Seconds = 0.0

    def spent(self, seconds: float, steps: Pace | None = None) -> Pace:
        """Return the pace after so many more seconds in the kernel.

        `steps` has how long steps take by now; None: as before.
        """
        still_seconds = self.still_seconds + max(seconds, 0.0)
        changes = {"per_second": self.per_second, "still_seconds": still_seconds}
        return (steps or self).model_copy(update=changes)

    def moved(self, share: float, seconds: float) -> Self:
        """Return the pace once progress has grown by `share`, after `seconds` in the kernel in all.

        In the first minute this is the mean speed; from then on a speed counts less, the longer
        ago it was.
        """
        if share <= 0 or not self.still_seconds:
            return self
        known_seconds = max(min(seconds, PACE_SECONDS), self.still_seconds)
        weight = self.still_seconds / known_seconds if self.per_second else 1.0
        change = share / self.still_seconds - self.per_second
        changes = {"per_second": self.per_second + weight * change, "still_seconds": 0.0}
        return self.model_copy(update=changes)


class PlatformUsage(Part):
    """What the slices on one platform took.

    Attributes:
        slices: how many ended there.
        seconds: how long workers were occupied with them, from the claim to the release.
    """

    slices: Count = 0
    seconds: Seconds = 0.0


class Usage(Part):
    """What a job has taken so far, over all workers.

    Attributes:
        slices_begun: slices that were claimed.
        steps: steps of the kernel.
        saves: checkpoints that were stored.
        saved_bytes: the size of all their states, before they were deflated, with all arrays.
        compute_seconds: wall time in the kernel, over all slices that could report it.
        redone_seconds: at most so much was done again: lost to crashes, which is not among the
            `compute_seconds`; or thrown away, cut off at a deadline or without a state that could
            be stored, which is.
        platforms: what the slices took, by platform.
    """

    slices_begun: Count = 0
    steps: Count = 0
    saves: Count = 0
    saved_bytes: Count = 0
    compute_seconds: Seconds = 0.0
    redone_seconds: Seconds = 0.0
    platforms: Annotated[dict[Platform, PlatformUsage], Field(max_length=MAX_PLATFORMS + 1)] = (
        Field(default_factory=dict)
    )

    @property
    def occupied_seconds(self) -> float:
        """How long workers were occupied with the slices that have ended, on all platforms."""
        return sum(usage.seconds for usage in self.platforms.values())

    def plus(self, other: Usage) -> Usage:
        """Return what both took."""
        both: dict[str, Any] = {
            name: getattr(self, name) + getattr(other, name)
            for name in type(self).model_fields
            if name != "platforms"
        }
        sum_ = self.model_copy(update=both)
        for platform, usage in other.platforms.items():
            sum_ = sum_.with_slice(platform, usage.seconds, slices=usage.slices)
        return sum_

    def with_slice(self, platform: str, seconds: float, *, slices: int = 1) -> Self:
        """Count slices that have ended; beyond so many platforms the rest counts as one."""
        known = platform in self.platforms or len(self.platforms) < MAX_PLATFORMS
        name = platform if known else OTHER_PLATFORMS
        before = self.platforms.get(name) or PlatformUsage()
        more = {"slices": before.slices + slices, "seconds": before.seconds + seconds}
        platforms = self.platforms | {name: before.model_copy(update=more)}
        return self.model_copy(update={"platforms": platforms})


class Notices(Part):
    """Who is notified when the job is over.

    Attributes:
        targets: all who are.
        owed: those who are yet to be told; none before the job is over.
        given_up: those who could not be reached.
        rounds: how often it was tried to reach those that are owed, since the job is over.
        ends: how often the job went on after it had been over.
    """

    targets: Annotated[tuple[Target, ...], Field(max_length=MAX_TARGETS)] = ()
    owed: Annotated[tuple[Target, ...], Field(max_length=MAX_TARGETS)] = ()
    given_up: Annotated[tuple[Target, ...], Field(max_length=MAX_TARGETS)] = ()
    rounds: Count = 0
    ends: Count = 0

    def due(self) -> Self:
        """Return the notices of a job that has just ended: each target is owed one."""
        return self.model_copy(update={"owed": self.targets, "given_up": (), "rounds": 0})

    def withdrawn(self) -> Self:
        """Return the notices of a job that goes on after all: nobody is owed one."""
        changes = {"owed": (), "given_up": (), "rounds": 0, "ends": self.ends + 1}
        return self.model_copy(update=changes)

    def after_round(
        self, reached: Collection[str], gone: Collection[str], *, max_rounds: int
    ) -> Self:
        """Return what is left to do after one more round.

        `reached` were told, `gone` want no notices. After `max_rounds` the rest is given up.
        """
        rounds = self.rounds + 1
        left = tuple(target for target in self.owed if target not in reached)
        lost = tuple(target for target in left if rounds >= max_rounds or target in gone)
        owed = tuple(target for target in left if target not in lost)
        changes = {"owed": owed, "given_up": self.given_up + lost, "rounds": rounds}
        return self.model_copy(update=changes)


class Revision(Part):
    """What makes every stored value of a job different from all others.

    Attributes:
        writes: how often the job was written.
        writer: who wrote it last, and as which of its writes.
    """

    writes: Count = 0
    writer: str = ""


def digest_of(data: bytes) -> str:
    """Return the checksum of `data`: 128 bits of BLAKE2b as hexadecimal digits."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
