"""A job's record, and the moves that lead from one state of it to the next.

A move is pure: it returns a new record and leaves the old one alone. What makes it happen is one
compare-and-set of the whole record, so a move is either entirely stored or not at all.

Times are seconds since the epoch, by the clock of the worker or person that made the move.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Self, TypeVar

from outlast.checkpoint.errors import WrongStatus
from outlast.checkpoint.fields import Part
from outlast.checkpoint.head import GENERATIONS, Body, Head
from outlast.checkpoint.history import (
    ENDING_CHARACTERS,
    WORKER_CHARACTERS,
    Stretch,
)
from outlast.checkpoint.last_lines import with_fresh
from outlast.checkpoint.record_parts import (
    Checkpoint,
    Dropped,
    Lease,
    Limits,
    Pace,
    Usage,
)
from outlast.checkpoint.status import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from outlast.checkpoint.blobs.contract import Chunk
    from outlast.checkpoint.fleet import Fleet
    from outlast.checkpoint.last_lines import Line

P = TypeVar("P", bound=Part)
R = TypeVar("R", bound="Record")

# Of those that are to be deleted, where that is refused: the others are left to `outlast prune`.
MAX_DROPPED = 10_000
# The command that lets a job go on where the one that was asked for does not fit its status.
COMMAND_INSTEAD = {(Status.FAILED, "resumed"): "retry", (Status.PAUSED, "retried"): "resume"}


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

    def ripe(self, now: float, wait_seconds: float) -> list[str]:
        """Return the names of dropped chunks that may be deleted at `now`.

        They have waited for so long, in which a store that has lost its newest writes would have
        gone back to a checkpoint that needs them; and for another save, unless the job is over.
        """
        return [
            name
            for name, at, saves in self.dropped
            if (saves < self.usage.saves or self.status.is_final) and at + wait_seconds <= now
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

    def is_unclaimed_since(self, before: Self) -> bool:
        """Whether nobody has claimed the job since it was `before`, nor ended it."""
        return (
            self.lease is None
            and self.status in {Status.QUEUED, Status.PAUSED}
            and (self.created_at, self.slice_number, self.usage)
            == (before.created_at, before.slice_number, before.usage)
        )

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
            slices=1,
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

    def unclaimed(self, before: Self, obstacle: str | None = None) -> Self:
        """Undo an unused claim of the job `before`, as if it had never happened.

        `obstacle` is why its worker cannot run the job; None: it did not come to that.
        """
        return self._with(
            status=Status.PAUSED if self.status is Status.PAUSED else Status.QUEUED,
            lease=None,
            announced=before.announced,
            received_since=before.received_since,
            usage=_changed(self.usage, slices_begun=before.usage.slices_begun),
            guards=before.guards,
            error=obstacle or self.error,
        )

    def doubted(self, kind: str, worker: str, error: str) -> Self:
        """Note that `worker` takes an error of this kind for a fault of its machine."""
        return self._with(guards=self.guards.doubted(kind, worker), error=error)

    def saved(self, checkpoint: Checkpoint, now: float = 0.0) -> Self:
        """Store a checkpoint and number it; `now` is when, where it has arrays.

        A state that differs from the one before is progress: it clears failures, stalls and the
        last error.
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
            pace=self.pace.moved(newest.progress - self.progress, self.usage.compute_seconds),
            error=None if advanced else self.error,
        )
        return _dropping(saved, self, max(now, newest.saved_at))

    def unreadable(self, checkpoint: Checkpoint, now: float) -> Self:
        """Put a checkpoint whose arrays cannot be read into quarantine; see `Record.claimed`."""
        left = tuple(kept for kept in self.checkpoints if kept.sequence != checkpoint.sequence)
        quarantine = (checkpoint, *self.quarantine)[:GENERATIONS]
        changed = self._with(checkpoints=left, quarantine=quarantine)
        return _dropping(changed, self, now)

    def forgot(self, deleted: Collection[str]) -> Self:
        """Note that these dropped chunks were deleted."""
        if not deleted:
            return self
        return self._with(dropped=tuple(x for x in self.dropped if x.name not in deleted))

    def spent(
        self, *, steps: int, seconds: float, redone: float = 0.0, pace: Pace | None = None
    ) -> Self:
        """Account for the work done on the job so far, and for what was thrown away of it.

        `steps` and `seconds` are totals, `redone` is added; of a `pace` it takes over how long the
        steps are.
        """
        usage = _changed(
            self.usage,
            steps=steps,
            compute_seconds=seconds,
            redone_seconds=self.usage.redone_seconds + redone,
        )
        fresh_seconds = seconds - self.usage.compute_seconds - redone
        return self._with(usage=usage, pace=self.pace.spent(fresh_seconds, steps=pace))

    def printed(self, lines: Sequence[Line]) -> Self:
        """Keep the last lines of the kernel; `lines` are those of the slice so far."""
        return self._with(lines=with_fresh(self.lines, lines)) if lines else self

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

    def postponed(self, error: str, not_before: float, *, queued_at: float) -> Self:
        """End a slice that could not be stored, through no fault of the job's, as if uncounted."""
        guards = _changed(self.guards, stalls=max(self.guards.stalls - 1, 0))
        after = self.released(queued_at=queued_at, not_before=not_before)
        return _changed(after, guards=guards, error=error)

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

    # What many workers do.

    def cut(
        self,
        birth: str,
        plan: Any,
        lengths: tuple[int, ...],
        weights: tuple[int, ...],
        *,
        version: int,
    ) -> Self:
        """Store how the job is cut into parts of so many pieces and so much work.

        `version` is that of the kernel that made the plan.
        """
        fleet = self._fleet(birth=birth, parts=len(lengths))
        changes = {"plan": plan, "plan_version": version, "lengths": lengths, "weights": weights}
        return self._with(fleet=fleet, **changes)

    def answered(self, calls: int) -> Self:
        """Note that the messages of the open parts were sent, for so many calls; see `Fleet`.

        The slice ends, and the job is theirs from here on.
        """
        return self._with(
            status=Status.PAUSED if self.status is Status.PAUSED else Status.RUNNING,
            slice_number=self.slice_number + 1,
            announced=True,
            lease=None,
            guards=self.guards.cleared(),
            fleet=self._fleet(answered=calls),
            error=None,
        )

    def called(self) -> Self:
        """Call for the messages of all open parts, if the job is divided."""
        return self._with(fleet=self.fleet.called()) if self.fleet and self.is_divided else self

    def concluded(self, usage: Usage) -> Self:
        """Note that the parts are added up, and what the job has taken with them."""
        fleet = self._fleet(concluded=True)
        undivided = {"plan": None, "plan_version": 0, "lengths": (), "weights": ()}
        return self._with(fleet=fleet, usage=usage, **undivided)

    def erred(self, error: str, *, not_before: float) -> Self:
        """Note an error in adding up the parts, which is not tried again before that moment.

        The job fails if it had enough.
        """
        failures = self.guards.failures + 1
        counted = self._with(
            guards=_changed(self.guards, failures=failures), error=error, not_before=not_before
        )
        if failures < self.limits.max_failures:
            return counted
        return counted.failed(f"{error} (error {failures} in a row)")

    def recovered(self) -> Self:
        """Note that parts were added up since the last error."""
        return self._with(guards=self.guards.cleared(), error=None, not_before=0.0)

    def begun_again(self, era: int) -> Self:
        """Let a part that has failed go on in another era of its job.

        With the same slice: whoever begins it again has a message for that, and may die with it.
        """
        return _changed(self.retried().in_era(era), slice_number=self.slice_number)

    def in_era(self, era: int) -> Self:
        """Note in which era of its job a part is claimed."""
        node = self.node and _changed(self.node, era=era)
        return self._with(node=node)

    def _fleet(self, **changes: Any) -> Fleet:
        if self.fleet is None:
            raise ValueError(f"job {self.job_id} is not shared by several workers")
        return _changed(self.fleet, **changes)

    # What a person does. Each is idempotent: a job that is already there stays as it is.

    def cancelled(self, usage: Usage | None = None) -> Self:
        """Stop the job for good; a running slice finds out at its next write.

        `usage` is what a divided job has taken with its parts; None: it is not divided.
        """
        if self.status is Status.CANCELLED:
            return self
        self._require(not self.status.is_final, "cancelled")
        changes: dict[str, Any] = {"usage": usage} if usage and self.is_divided else {}
        # The holder has yet to find out; what it did since its last write is not known here.
        over = self._over(Status.CANCELLED, error=None, **changes)
        return over.after_slice(self, "cancelled", self.updated_at)

    def paused(self) -> Self:
        """Stop the job until it is resumed; a running slice saves, releases and stops."""
        if self.status is Status.PAUSED:
            return self
        self._require(not self.status.is_final, "paused")
        return self._with(status=Status.PAUSED)

    def resumed(self) -> Self:
        """Let a paused job go on; one that was not paused only calls for its parts again."""
        if self.status in {Status.QUEUED, Status.RUNNING}:
            return self.called()
        self._require(self.status is Status.PAUSED, "resumed")
        status = Status.RUNNING if self.lease else Status.QUEUED
        return self._with(status=status, announced=False).called()

    def freed(self) -> Self:
        """Take the job from its worker, which then writes nothing more; another may go on."""
        if self.lease is None:
            return self
        # What the worker did since its last write is not known here.
        return self.lost(self.updated_at).released()

    def require_room(self, usage: Usage | None = None) -> None:
        """Do nothing if another slice may begin; `usage` is as in `at_ceiling`.

        Raises:
            WrongStatus: a ceiling would fail the job at once.
        """
        if reason := self.at_ceiling(usage):
            raise WrongStatus(f"job {self.job_id} {reason}: retry it with a higher one")

    def retried(
        self,
        *,
        max_slices: int | None = None,
        max_compute_seconds: float | None = None,
        usage: Usage | None = None,
    ) -> Self:
        """Let a failed job go on from its last checkpoint, with its guards set back.

        A ceiling that is given replaces the job's own, also while it has not failed; None keeps it.
        `usage` is as in `at_ceiling`.

        Raises:
            WrongStatus: the job has not failed, or a ceiling would fail it again at once.
        """
        asked = {"max_slices": max_slices, "max_compute_seconds": max_compute_seconds}
        changes = {name: value for name, value in asked.items() if value is not None}
        limits = Limits(**self.limits.model_dump() | changes)
        if self.status in {Status.QUEUED, Status.RUNNING}:
            bounded = self._with(limits=limits) if changes else self
            if self.status is Status.QUEUED:
                bounded.require_room()  # What its parts take counts as they are added up.
            return bounded.called()
        self._require(self.status is Status.FAILED, "retried")
        free = self._with(
            status=Status.QUEUED,
            limits=limits,
            guards=self.guards.cleared(),
            notices=self.notices.withdrawn(),
            error=None,
        ).released()
        free.require_room(usage)
        if self.fleet is None:
            return free
        return _changed(free, fleet=self._fleet(era=self.fleet.era + 1)).called()

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
    return _changed(record, dropped=(*record.dropped, *dropped)[-MAX_DROPPED:])


def _changed(part: P, **changes: Any) -> P:
    return part.model_copy(update=changes)
