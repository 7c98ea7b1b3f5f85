"""All that is stored of a job, and the moves that lead from one state of it to the next.

A move is pure: it returns a new record and leaves the old one alone. What makes it happen is one
compare-and-set of the whole record, so a move is either entirely stored or not at all.

Times are seconds since the epoch, by the clock of the worker or person that made the move.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar

from pydantic import Field

from outlast.checkpoint.blobs.contract import Chunk
from outlast.checkpoint.errors import WrongStatus
from outlast.checkpoint.fields import JobId, Moment, Number, Part, Seconds, Tag
from outlast.checkpoint.history import (
    ENDING_CHARACTERS,
    WORKER_CHARACTERS,
    History,
    Stretch,
)
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

if TYPE_CHECKING:
    from collections.abc import Collection

P = TypeVar("P", bound=Part)
R = TypeVar("R", bound="Record")

# The longest waits of a job after an error, and of its notices.
LONGEST_RETRY_SECONDS = 300.0
LONGEST_NOTICE_SECONDS = 6 * 3600.0

GENERATIONS = 2
# So long a store may take to lose its newest writes, and go on from the ones before.
RIPE_SECONDS = 30.0
MAX_TAGS = 16
# The command that lets a job go on where the one that was asked for does not fit its status.
COMMAND_INSTEAD = {(Status.FAILED, "resumed"): "retry", (Status.PAUSED, "retried"): "resume"}


class Head(Part):
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
        error: why the job failed, or what last went wrong; one line.
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
    revision: Revision = Field(default_factory=Revision)

    @property
    def progress(self) -> float:
        """The share of the work that is done and stored, 0 to 1."""
        if self.status is Status.SUCCEEDED:
            return 1.0
        return self.checkpoints[0].progress if self.checkpoints else 0.0

    @property
    def metrics(self) -> dict[str, float]:
        """The kernel's own figures of the newest checkpoint."""
        return self.checkpoints[0].metrics if self.checkpoints else {}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do: the job has ended, and nobody is to be told of that."""
        return self.status.is_final and not self.notices.owed

    def is_held(self, now: float) -> bool:
        """Whether a worker has the right to advance this job at `now`."""
        return self.lease is not None and self.lease.is_live(now)

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

    def at_ceiling(self) -> str | None:
        """Return which ceiling on cost is reached, or None if none is."""
        ceiling = self.limits.max_slices
        if ceiling is not None and self.usage.slices_begun >= ceiling:
            return f"reached its ceiling of {ceiling} slices (max_slices)"
        return self.overspent()

    def overspent(self, seconds: float | None = None) -> str | None:
        """Return that the ceiling on compute time is reached, or None if it is not.

        `seconds` is the compute time where it is more than what is stored.
        """
        ceiling = self.limits.max_compute_seconds
        spent = self.usage.compute_seconds if seconds is None else seconds
        if ceiling is None or spent < ceiling:
            return None
        return f"reached its ceiling of {ceiling:g} compute seconds (max_compute_seconds)"


class Body(Part):
    """What only those need of a job who run it or show it in full; it may be long.

    Attributes:
        params: the kernel's parameters, as JSON values.
        params_chunks: where the arrays in the parameters are.
        history: what became of the slices that have ended.
        result: the kernel's result as a JSON value; None until the job succeeded.
        result_chunks: where the arrays in the result are.
        dropped: chunks that are to be deleted, the oldest first.
    """

    params: dict[str, Any]
    params_chunks: tuple[Chunk, ...] = ()
    history: History = Field(default_factory=History)
    result: Any = None
    result_chunks: tuple[Chunk, ...] = ()
    dropped: tuple[Dropped, ...] = ()

    @property
    def question(self) -> tuple[Any, ...]:
        """The parameters and what their arrays hold, wherever these are: equal for equal ones."""
        return self.params, *((chunk.size, chunk.digest) for chunk in self.params_chunks)

    @property
    def params_json(self) -> str:
        """The parameters as the kernel's model reads them: JSON has no tuples or dates."""
        return json.dumps(self.params)


class Record(Head, Body):
    """All that is stored of one job, and its moves."""

    @property
    def chunks(self) -> dict[str, Chunk]:
        """The chunks that the job needs, by name.

        Raises:
            ValueError: the states were not read.
        """
        kept = (checkpoint.chunks for checkpoint in self.checkpoints + self.quarantine)
        every = chain(self.params_chunks, self.result_chunks, *kept)
        return {chunk.name: chunk for chunk in every}

    def ripe(self, now: float) -> list[str]:
        """Return the names of dropped chunks that may be deleted at `now`.

        By then no store that has lost its newest writes goes back to a checkpoint that needs them.
        A job that is over is not saved again: of it only the time counts.
        """
        return [
            name
            for name, at, saves in self.dropped
            if (saves < self.usage.saves or self.status.is_final) and at + RIPE_SECONDS <= now
        ]

    # What a worker does.

    def claimed(self, lease: Lease, *, announced: bool = True, queued: bool = True) -> Self:
        """Give the job to a worker for the slice `self.slice_number`.

        `announced`: that the worker has a message for this slice, and so one was sent.
        `queued`: that this message waited in the queue of all workers, and was received.
        The slice counts as a stall until it advances, so one that is killed has been counted.
        Checkpoints that do not verify go to quarantine. Where a limit is reached, or there are
        checkpoints and none verifies, the job fails instead.
        """
        intact: list[Checkpoint] = []
        broken: list[Checkpoint] = []
        for checkpoint in self.checkpoints:
            (intact if checkpoint.is_intact else broken).append(checkpoint)
        free = self.lost(lease.claimed_at)
        if reason := self.exhausted():
            return free.failed(reason)
        if broken and not intact:
            return free.failed(
                f"job {self.job_id}: none of its {len(broken)} checkpoints has its checksum; "
                "they are kept for inspection"
            )
        sent_since = max(self.queued_at, self.created_at)
        claimed = _changed(
            free,
            status=Status.RUNNING,
            lease=lease,
            announced=self.announced or announced,
            received_since=sent_since if queued else self.received_since,
            checkpoints=tuple(intact),
            quarantine=(*broken, *self.quarantine)[:GENERATIONS],
            usage=_changed(free.usage, slices_begun=self.usage.slices_begun + 1),
            guards=_changed(self.guards, stalls=self.guards.stalls + 1, sweeps=0),
        )
        return _dropping(claimed, self, lease.claimed_at) if broken else claimed

    def lost(self, now: float) -> Self:
        """Account for a worker that died with the job; a record without a lease stays as it is."""
        if self.lease is None:
            return self
        saved_at = self.checkpoints[0].saved_at if self.checkpoints else 0.0
        since = max(self.lease.claimed_at, saved_at)
        lost = min(max(now - since, 0.0), self.lease.at_risk_seconds)
        usage = _changed(self.usage, redone_seconds=self.usage.redone_seconds + lost)
        return self._with(lease=None, usage=usage).after_slice(self, "lost", since + lost)

    def after_slice(self, running: Self, ending: str, ended_at: float) -> Self:
        """Enter in the history the slice that ran in the record `running`, and why it ended."""
        lease = running.lease
        if lease is None:
            return self
        seconds = max(ended_at - lease.claimed_at, 0.0)
        stretch = Stretch(
            first=running.slice_number,
            platform=lease.platform,
            worker=lease.worker[:WORKER_CHARACTERS],
            began_at=lease.claimed_at,
            ended_at=lease.claimed_at + seconds,
            seconds=seconds,
            progress=self.progress,
            ending=ending[:ENDING_CHARACTERS],
        )
        history = self.history.extended(stretch)
        if self.checkpoints:
            newest = self.checkpoints[0]
            history = history.measured(newest.saved_at, newest.metrics)
        return self._with(
            history=history,
            usage=self.usage.with_slice(lease.platform, seconds),
        )

    def unclaimed(self, before: Self) -> Self:
        """Undo an unused claim of the job `before`, as if it had never happened."""
        return self._with(
            status=Status.PAUSED if self.status is Status.PAUSED else Status.QUEUED,
            lease=None,
            announced=before.announced,
            received_since=before.received_since,
            usage=_changed(self.usage, slices_begun=before.usage.slices_begun),
            guards=before.guards,
        )

    def doubted(self, kind: str, worker: str, error: str) -> Self:
        """Note that `worker` takes an error of this kind for a fault of its machine."""
        return self._with(guards=self.guards.doubted(kind, worker), error=error)

    def saved(self, checkpoint: Checkpoint) -> Self:
        """Store a checkpoint and number it.

        A state that differs from the one before is progress: it clears failures and stalls.
        """
        previous = self.checkpoints[0] if self.checkpoints else None
        advanced = previous is None or previous.digest != checkpoint.digest
        saves = self.usage.saves + 1
        newest = checkpoint.model_copy(update={"sequence": saves})
        saved_bytes = self.usage.saved_bytes + newest.packed.size + newest.bulk_bytes
        saved = self._with(
            checkpoints=(newest, *self.checkpoints)[:GENERATIONS],
            usage=_changed(self.usage, saves=saves, saved_bytes=saved_bytes),
            guards=self.guards.cleared() if advanced else self.guards,
        )
        return _dropping(saved, self, newest.saved_at)

    def unreadable(self, checkpoint: Checkpoint) -> Self:
        """Put a checkpoint whose arrays cannot be read into quarantine; see `Record.claimed`."""
        left = tuple(kept for kept in self.checkpoints if kept.sequence != checkpoint.sequence)
        quarantine = (checkpoint, *self.quarantine)[:GENERATIONS]
        changed = self._with(checkpoints=left, quarantine=quarantine)
        return _dropping(changed, self, self.updated_at)

    def forgot(self, deleted: Collection[str]) -> Self:
        """Note that these dropped chunks were deleted."""
        if not deleted:
            return self
        return self._with(dropped=tuple(x for x in self.dropped if x.name not in deleted))

    def spent(
        self, *, steps: int, seconds: float, redone: float = 0.0, pace: Pace | None = None
    ) -> Self:
        """Account for the work done on the job so far, and for what was thrown away of it.

        `steps` and `seconds` are totals, `redone` is added; without a `pace` it stays as it is.
        """
        usage = _changed(
            self.usage,
            steps=steps,
            compute_seconds=seconds,
            redone_seconds=self.usage.redone_seconds + redone,
        )
        return self._with(usage=usage, pace=pace or self.pace)

    def renewed(self, now: float, seconds: float, *, at_risk_seconds: float) -> Self:
        """Let the holder's lease run for `seconds` from `now`; without one nothing changes."""
        if self.lease is None:
            return self
        changes = {
            "expires_at": now + seconds,
            "seconds": seconds,
            "at_risk_seconds": at_risk_seconds,
        }
        return self._with(lease=self.lease.model_copy(update=changes))

    def released(self, *, queued_at: float = 0.0, not_before: float = 0.0) -> Self:
        """End the slice: the next one may be claimed from `not_before` on. A pause stays.

        Nobody sends its message before `queued_at`; 0: it is not known when.
        """
        return self._with(
            status=Status.PAUSED if self.status is Status.PAUSED else Status.QUEUED,
            slice_number=self.slice_number + 1,
            announced=False,
            lease=None,
            queued_at=queued_at or self.queued_at,
            not_before=not_before,
        )

    def errored(self, error: str, *, not_before: float, queued_at: float = 0.0) -> Self:
        """End the slice after an error: the job waits for a retry, or fails if it had enough."""
        failures = self.guards.failures + 1
        counted = self._with(guards=_changed(self.guards, failures=failures))
        if failures >= self.limits.max_failures:
            return counted.failed(f"{error} (error {failures} in a row without progress)")
        return _changed(counted, error=error).released(queued_at=queued_at, not_before=not_before)

    def marked_announced(self) -> Self:
        """Note that the message that starts the slice has been sent."""
        return self._with(announced=True)

    def succeeded(self, result: Any, chunks: tuple[Chunk, ...] = ()) -> Self:
        """Store the result, and where its arrays are; the job is over."""
        changes = {"result": result, "result_chunks": chunks, "guards": self.guards.cleared()}
        return self._over(Status.SUCCEEDED, error=None, **changes)

    def failed(self, error: str) -> Self:
        """Give the job up for a reason; its checkpoints stay."""
        return self._over(Status.FAILED, error=error)

    def notified(
        self,
        reached: Collection[str],
        gone: Collection[str],
        *,
        not_before: float,
        max_rounds: int,
    ) -> Self:
        """Note who was told that the job is over; see `Notices.after_round`.

        Those that are still owed a notice wait until `not_before`.
        """
        notices = self.notices.after_round(reached, gone, max_rounds=max_rounds)
        return self._with(notices=notices, not_before=not_before if notices.owed else 0.0)

    def swept(self) -> Self:
        """Note that a sweep sends the message for the slice again."""
        return self._with(guards=_changed(self.guards, sweeps=self.guards.sweeps + 1))

    # What a person does. Each is idempotent: a job that is already there stays as it is.

    def cancelled(self) -> Self:
        """Stop the job for good; a running slice finds out at its next write."""
        if self.status is Status.CANCELLED:
            return self
        self._require(not self.status.is_final, "cancelled")
        # The holder has yet to find out; what it did since its last write is not known here.
        return self._over(Status.CANCELLED).after_slice(self, "cancelled", self.updated_at)

    def paused(self) -> Self:
        """Stop the job until it is resumed; a running slice saves, releases and stops."""
        if self.status is Status.PAUSED:
            return self
        self._require(not self.status.is_final, "paused")
        return self._with(status=Status.PAUSED)

    def resumed(self) -> Self:
        """Let a paused job go on."""
        if self.status in {Status.QUEUED, Status.RUNNING}:
            return self
        self._require(self.status is Status.PAUSED, "resumed")
        return self._with(status=Status.RUNNING if self.lease else Status.QUEUED, announced=False)

    def freed(self) -> Self:
        """Take the job from its worker, which then writes nothing more; another may go on."""
        if self.lease is None:
            return self
        # What the worker did since its last write is not known here.
        return self.lost(self.updated_at).released()

    def retried(
        self, *, max_slices: int | None = None, max_compute_seconds: float | None = None
    ) -> Self:
        """Let a failed job go on from its last checkpoint, with its guards set back.

        A ceiling that is given replaces the job's own, also while it has not failed; None keeps it.

        Raises:
            WrongStatus: the job has not failed, or a ceiling would fail it again at once.
        """
        asked = {"max_slices": max_slices, "max_compute_seconds": max_compute_seconds}
        changes = {name: value for name, value in asked.items() if value is not None}
        limits = Limits(**self.limits.model_dump() | changes)
        if self.status in {Status.QUEUED, Status.RUNNING}:
            return self._with(limits=limits) if changes else self
        self._require(self.status is Status.FAILED, "retried")
        free = self._with(
            status=Status.QUEUED,
            limits=limits,
            guards=self.guards.cleared(),
            notices=self.notices.withdrawn(),
            error=None,
        ).released()
        if reason := free.at_ceiling():
            raise WrongStatus(f"job {self.job_id} {reason}: retry it with a higher one")
        return free

    def _over(self, status: Status, **changes: Any) -> Self:
        """End the job; each target is now owed a notice."""
        return self._with(
            status=status, lease=None, not_before=0.0, notices=self.notices.due(), **changes
        )

    def _require(self, condition: bool, verb: str) -> None:  # noqa: FBT001 - read as an assertion
        if not condition:
            command = COMMAND_INSTEAD.get((self.status, verb))
            advice = f"; outlast {command} {self.job_id} lets it go on" if command else ""
            raise WrongStatus(
                f"job {self.job_id} {self.status.phrase}: it cannot be {verb}{advice}"
            )

    def _with(self, **changes: Any) -> Self:
        return self.model_copy(update=changes)


def _dropping(record: R, before: R, now: float) -> R:
    """List in the record the chunks that the one before it needed, and that it does not."""
    if not any(kept.bulk_bytes for kept in before.checkpoints + before.quarantine):
        return record
    needed, saves = record.chunks, record.usage.saves
    dropped = (Dropped(name, now, saves) for name in before.chunks if name not in needed)
    return _changed(record, dropped=(*record.dropped, *dropped))


def _changed(part: P, **changes: Any) -> P:
    return part.model_copy(update=changes)
