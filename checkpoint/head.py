"""What is stored of a job, and what it tells; `record.py` has the moves from one state to the next.

Times are seconds since the epoch, by the clock of the worker or person that made the last move.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from outlast.checkpoint.blobs.contract import Chunk
from outlast.checkpoint.fields import Count, JobId, Moment, Number, Part, Seconds, Tag
from outlast.checkpoint.fleet import Fleet, Node
from outlast.checkpoint.history import History
from outlast.checkpoint.last_lines import Lines
from outlast.checkpoint.local_process import is_gone
from outlast.checkpoint.record_parts import (
    CLOCK_TOLERANCE_SECONDS,
    Checkpoint,
    Dropped,
    Guards,
    Lease,
    Limits,
    Notices,
    Pace,
    Revision,
    Usage,
)
from outlast.checkpoint.status import Status

# The longest waits of a job after an error, and of its notices.
LONGEST_RETRY_SECONDS = 300.0
LONGEST_NOTICE_SECONDS = 6 * 3600.0

GENERATIONS = 2
MAX_TAGS = 16


class Head(Part, defer_build=True):
    """What decides what becomes of a job: its size does not depend on what the job computes.

    A sweep of many jobs reads no more than that.

    Attributes:
        tags: words by which people find the job.
        limits: when to give the job up.
        slice_number: the slice that is running or, if none is, the next one.
        announced: whether the message that starts this slice is known to have been sent.
        not_before: the next slice, or the next notice, waits until then (back-off after an error);
            0 is at once.
        queued_at: nobody sent the message of the next slice before that.
        received_since: a message of the job that was sent then or later has been received; 0: none.
        lease: who runs the slice; None while nobody does.
        checkpoints: newest first, at most two.
        quarantine: the last checkpoints that failed their checksum, kept for inspection.
        guards: what the limits are compared with.
        pace: how long its steps take.
        usage: what the job has taken so far.
        notices: who is notified of its end.
        error: why the job failed, or what has gone wrong since it last advanced; one line.
        fleet: how many workers share the job; None: one at a time has all of it.
        node: which part or group of the job this is a record of; None: of the job itself.
        revision: makes every stored value different from all others.
    """

    job_id: JobId
    kernel: str
    tags: Annotated[tuple[Tag, ...], Field(max_length=MAX_TAGS)] = ()
    limits: Limits = Field(default_factory=Limits)
    created_at: Moment
    updated_at: Moment
    status: Status = Status.QUEUED
    slice_number: Number = 1
    announced: bool = False
    not_before: Seconds = 0.0
    queued_at: Seconds = 0.0
    received_since: Seconds = 0.0
    lease: Lease | None = None
    checkpoints: Annotated[tuple[Checkpoint, ...], Field(max_length=GENERATIONS)] = ()
    quarantine: Annotated[tuple[Checkpoint, ...], Field(max_length=GENERATIONS)] = ()
    guards: Guards = Field(default_factory=Guards)
    pace: Pace = Field(default_factory=Pace)
    usage: Usage = Field(default_factory=Usage)
    notices: Notices = Field(default_factory=Notices)
    error: str | None = None
    fleet: Fleet | None = None
    node: Node | None = None
    revision: Revision = Field(default_factory=Revision)

    @property
    def progress(self) -> float:
        """The share of the work that is done and stored, 0 to 1."""
        if self.status is Status.SUCCEEDED:
            return 1.0
        return self.checkpoints[0].progress if self.checkpoints else 0.0

    def progress_if_known(self, progress: float) -> float | None:
        """Return `progress`; None: it is 0, and of a part or a job in parts, which do not tell."""
        return None if (self.node is not None or self.is_divided) and not progress else progress

    @property
    def metrics(self) -> dict[str, float]:
        """The kernel's own figures of the newest checkpoint.

        A job with arrays has none once it has succeeded: its last state was not stored, and those
        of an earlier one would be taken for those of its end.
        """
        if not self.checkpoints or (
            self.status is Status.SUCCEEDED and self.checkpoints[0].bulk_bytes
        ):
            return {}
        return self.checkpoints[0].metrics

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do: the job has ended, and nobody is to be told of that."""
        return self.status.is_final and not self.notices.owed

    @property
    def is_divided(self) -> bool:
        """Whether the job is worked on part by part, or is to be."""
        return self.fleet is not None and not self.fleet.concluded

    @property
    def era(self) -> int:
        """How often the job was retried; of a part: had been, when it was last claimed."""
        if self.node is not None:
            return self.node.era
        return self.fleet.era if self.fleet else 0

    def needs_parts_of(self, birth: str | None) -> bool:
        """Whether the parts of a division of the job are of any use, or may be once again."""
        if self.fleet is None or not self.fleet.is_cut or self.fleet.birth != birth:
            return False
        return self.status not in {Status.SUCCEEDED, Status.CANCELLED}

    def is_held(self, now: float) -> bool:
        """Whether a worker has the right to advance this job at `now`.

        A worker that is gone from this machine has lost it, unless it was the second in a row to
        end without progress: what kills them, such as a lack of memory, is given time to pass.
        """
        if self.lease is None or not self.lease.is_live(now):
            return False
        return self.guards.stalls > 1 or not is_gone(self.lease.process)

    def held_seconds(self, now: float) -> float:
        """Return how long ago, at `now`, it was claimed by the worker that has it; 0: none has."""
        return max(now - self.lease.claimed_at, 0.0) if self.lease else 0.0

    def wait_seconds(self, now: float) -> float:
        """Return how long the next slice or notice has to wait from `now` on; 0: not at all.

        A wait that is longer than any that is set was set by a clock that is wrong: it is none.
        """
        wait = self.not_before - now
        longest = LONGEST_NOTICE_SECONDS if self.notices.owed else LONGEST_RETRY_SECONDS
        return wait if 0 < wait <= longest + CLOCK_TOLERANCE_SECONDS else 0.0

    def silent_seconds(self, now: float) -> float:
        """Return for how long something is due to happen to the job at `now`, and did not.

        A job that was last written in the future, by a clock that is wrong, may be silent since
        any time.
        """
        if self.is_held(now) or self.wait_seconds(now):
            return 0.0
        due = (self.updated_at, self.not_before, self.lease.expires_at if self.lease else 0.0)
        past = (moment for moment in due if moment <= now + CLOCK_TOLERANCE_SECONDS)
        return max(now - max(past, default=0.0), 0.0)

    def exhausted(self) -> str | None:
        """Return why no further slice may begin, or None if one may."""
        stalls, most = self.guards.stalls, self.limits.max_stalls
        if stalls >= most:
            return (
                f"gave up after {stalls} slices in a row without progress: each was killed, "
                f"or too short for the state to advance (max_stalls={most})"
            )
        return self.at_ceiling()

    def at_ceiling(self, usage: Usage | None = None) -> str | None:
        """Return which ceiling on cost is reached, or None if none is.

        `usage` is what a divided job has taken with its parts; None: what is stored of it.
        """
        usage, ceiling = usage or self.usage, self.slice_ceiling
        if ceiling is not None and usage.slices_begun >= ceiling:
            return f"reached its ceiling of {ceiling} slices (max_slices)"
        return self.overspent(usage.compute_seconds)

    @property
    def slice_ceiling(self) -> int | None:
        """How many slices the job may take, with all its parts; None: as many as it likes.

        The default is for a job that is not shared, and for each part by itself.
        """
        if self.fleet and self.limits.max_slices == Limits().max_slices:
            return None
        return self.limits.max_slices

    def overspent(self, seconds: float | None = None) -> str | None:
        """Return that the ceiling on compute time is reached, or None if it is not.

        `seconds` is the compute time where it is more than what is stored.
        """
        ceiling = self.limits.max_compute_seconds
        spent = self.usage.compute_seconds if seconds is None else seconds
        if ceiling is None or spent < ceiling:
            return None
        return f"reached its ceiling of {ceiling:g} compute seconds (max_compute_seconds)"


class Body(Part, defer_build=True):
    """What only those need of a job who run it or show it in full; it may be long.

    Attributes:
        params: the kernel's parameters, as JSON values.
        params_chunks: where the arrays in the parameters are.
        history: what became of the slices that have ended.
        result: the kernel's result as a JSON value; None until the job succeeded.
        result_chunks: where the arrays in the result are.
        dropped: chunks that are to be deleted, the oldest first.
        plan: what fixes the pieces of a job that is cut into parts, as a JSON value.
        plan_version: the version of the kernel that made it; 0: it was stored without.
        lengths: how many pieces each part has, in order.
        weights: the share of the work that each part has, in billionths; none in a record that was
            written without them.
        lines: the last that the kernel printed and logged, by the last write of a slice.
    """

    params: dict[str, Any]
    params_chunks: tuple[Chunk, ...] = ()
    history: History = Field(default_factory=History)
    result: Any = None
    result_chunks: tuple[Chunk, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    plan: Any = None
    plan_version: Count = 0
    lengths: tuple[Count, ...] = ()
    weights: tuple[Count, ...] = ()
    lines: Lines = ()

    @property
    def question(self) -> tuple[Any, ...]:
        """The parameters and what their arrays hold, wherever these are: equal for equal ones."""
        return self.params, *((chunk.size, chunk.digest) for chunk in self.params_chunks)

    @property
    def params_json(self) -> str:
        """The parameters as the kernel's model reads them: JSON has no tuples or dates."""
        return json.dumps(self.params)
