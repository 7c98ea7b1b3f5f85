"""What must hold after every event, whatever goes wrong. See docs/protocol.md."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from checkpoint.status import Status
from tests.simulation.ledger import TOTALS, is_whole, place
from tests.simulation.timing import (
    LONGEST_BACKOFF_SECONDS,
    judge_hide,
    judge_lease,
    judge_sweep,
)
from tests.simulation.violation import Violation, require
from worker.notify.event import event_of

if TYPE_CHECKING:
    from checkpoint.record import Record
    from tests.simulation.ledger import Job
    from tests.simulation.process import Process
    from tests.simulation.queue import Letter
    from tests.simulation.world import World
    from worker.message import Message
    from worker.notify.event import Event

Q, R, P = Status.QUEUED, Status.RUNNING, Status.PAUSED
S, F, C = Status.SUCCEEDED, Status.FAILED, Status.CANCELLED

# What a worker may make of a job: what a person has stopped stays so.
WORKERS_MOVES = {Q: {Q, R, F}, R: {R, Q, S, F}, P: {P, S, F}, S: set(), F: set(), C: set()}
PERSONS_MOVES = {Q: {P, C}, R: {P, C}, P: {Q, R, C}, S: set(), F: {Q}, C: set()}

# What a worker may write without a lease: that a message was sent.
BOOKKEEPING = ("announced", "sweeps", "updated_at", "writes", "writer")
# What a worker may write of a job that is over, without a lease: who was told of that.
NOTICES = ("owed", "unheard", "notices", "not_before", *BOOKKEEPING)
# What a person changes who pauses a job or lets it go on.
PAUSING = ("status", *BOOKKEEPING)
# A notice that did not arrive so often is the sweep's to try again.
MOST_NOTICES_OF_A_MESSAGE = 4
# Ever, of one end to one target: each time that the note of it was lost it is given again.
MOST_NOTICES = 40

# Ever, for one slice: by workers that end a slice or find that its message is missing.
MOST_SENDS = 6
# A duplicate that meets a slice between its save and its message is passed on to the next slice,
# which by chance may happen to it once more.
MOST_PASSES = 2
# After one claim: each sweep waits twice as long as the one before. Stalls bound the claims.
MOST_SWEEPS = 8


class Rules:
    """Looks at every write and every message."""

    def __init__(self, world: World) -> None:
        self._world = world

    def wrote(self, process: Process, new: Record) -> None:
        """Judge a write that has just been stored."""
        job = self._world.jobs[new.job_id]
        require(not job.is_deleted, f"{job.job_id} is there again after it was deleted")
        old, job.record = job.record, new
        self._world.note(process, "put {}", new)
        if new.status.is_final:
            job.was_paused = job.was_paused or (old is not None and old.status is P)
            self._judge_the_end(job, old, new)
        if old is not None:
            self._judge(process, job, old, new)
        self.queue_changed(job.job_id)

    def deleted(self, process: Process, job_id: str) -> None:
        """Note that a job is gone."""
        self._world.note(process, "deletes {}", job_id)
        job = self._world.jobs[job_id]
        job.is_deleted, job.record = True, None

    def sent(self, process: Process, message: Message, *, again: bool, is_lost: bool) -> None:
        """Judge a message that is about to be on the queue; a worker's `again` is a sweep's."""
        self._world.note(process, "send {}", message)
        job = self._world.jobs[message.job_id]
        job.is_lossy = job.is_lossy or is_lost
        if process.is_person or job.record is None:
            job.spares += 1
            return
        require(message.slice, f"{process.name} sends {job.job_id} on, and not to which slice")
        assert message.slice is not None
        require(
            message.slice <= job.record.slice or job.is_lossy,
            f"message {message.slice} of {job.job_id} runs ahead of slice {job.record.slice}",
        )
        if again:
            require(
                job.job_id in process.swept or job.is_rolled_back,
                f"{process.name} sends slice {message.slice} of {job.job_id} again, without a note",
            )
            process.swept.discard(job.job_id)
            job.spares += 1
            job.sweeps[message.slice] += 1
            require(
                job.sweeps[message.slice] <= MOST_SWEEPS,
                f"slice {message.slice} of {job.job_id} was swept too often after one claim",
            )
            return
        job.sends[message.slice] += 1
        require(
            job.sends[message.slice] <= MOST_SENDS,
            f"slice {message.slice} of {job.job_id} was sent too often",
        )
        if job.settled_slice is not None and message.slice > job.settled_slice:
            job.extras += job.sends[message.slice] > 1
            require(
                job.extras <= MOST_PASSES * job.spares,
                f"duplicates of {job.job_id} do not die out: slice {message.slice} was sent again",
            )

    def died(self, letter: Letter) -> None:
        """Judge a message that the queue has laid aside."""
        require(
            not letter.job_id or (self._world.sweeps and not self._world.faults.is_calm),
            f"{letter.body} ended in the dead-letter queue, and nobody makes up for that",
        )
        if letter.job_id:
            self._world.jobs[letter.job_id].is_lossy = True

    def crashed(self, process: Process) -> None:
        """Judge what a killed worker takes with it."""
        if self._world.faults.spares_the_store:
            most = self._world.checkpoint_seconds + process.longest_step_seconds
            require(
                process.unsaved_seconds <= most + 1e-6,
                f"{process.name} lost {process.unsaved_seconds:.2f} s, promised {most:.2f} s",
            )

    def queue_changed(self, job_id: str) -> None:
        """Judge whether what is on the queue leads the job on."""
        if not job_id:
            return
        job = self._world.jobs[job_id]
        record = job.record
        if record is None or record.status is P or (record.status.is_final and not record.owed):
            return
        if record.notices > MOST_NOTICES_OF_A_MESSAGE or job.was_paused:
            return  # A sweep may have to send one.
        if job.is_lossy or job.in_hand:
            return
        for letter in self._world.post.letters:
            if letter.job_id == job_id and (
                letter.slice is None or letter.slice >= record.slice or not record.announced
            ):
                return
        raise Violation(f"no message leads {job_id} on from slice {record.slice}")

    def _judge(self, process: Process, job: Job, old: Record, new: Record) -> None:
        require(new.writes == old.writes + 1, f"writes went from {old.writes} to {new.writes}")
        if old.owed and (_is_bookkeeping(process, job, old, new) or self._is_note(job, old, new)):
            return
        moves = PERSONS_MOVES if process.is_person else WORKERS_MOVES
        require(
            new.status in moves[old.status],
            f"{job.job_id} went from {old.status} to {new.status}",
        )
        require(
            (new.lease is not None) == (new.status is R)
            or (new.status is P and new.lease is not None),
            f"{job.job_id} is {new.status}, which its lease does not fit",
        )
        require(0 <= new.slice - old.slice <= 1, f"slice went from {old.slice} to {new.slice}")
        for name in ("steps", "saves", "compute_seconds", "redone_seconds"):
            require(getattr(new, name) >= getattr(old, name), f"{name} of {job.job_id} sank")
        if new.slices < old.slices:
            self._judge_return(process, job, old, new)
            return
        is_claim = new.lease is not None and (
            old.lease is None or old.lease.token != new.lease.token
        )
        if is_claim:
            self._judge_claim(process, job, old, new)
        elif process.is_person:
            if old.status is F:
                require(
                    (new.failures, new.stalls, new.slice) == (0, 0, old.slice + 1),
                    f"the guards of {job.job_id} were not set back",
                )
                job.stalled = job.raised = 0
            elif new.status is not C:
                require(_differ_in(PAUSING, job, old, new), f"{process.name} pauses more than that")
        elif not _is_bookkeeping(process, job, old, new):
            self._judge_work(process, job, old, new)

    def notified(self, process: Process, target: str, event: Event) -> None:
        """Judge a notice that a target receives."""
        job = self._world.jobs[event.job_id]
        self._world.note(process, f"tells {target}: {event.id}")
        told = json.loads(event.body)
        require(
            told["type"] == f"job.{told['data']['status']}"
            and (job.is_lossy or event.id in job.ends),
            f"{target} was told of {told['type']}, which {job.job_id} never was",
        )
        require(target in job.notify, f"{target} was told of {job.job_id}, and never asked")
        job.notices[target, event.id] += 1
        require(
            job.notices[target, event.id] <= MOST_NOTICES + job.spares,
            f"{target} was told too often of {job.job_id}",
        )

    def judge_notices(self, job: Job) -> None:
        """Judge, at the very end, whether all who were to be told were."""
        record = job.record
        if record is None or not record.status.is_final:
            return
        for target in job.notify:
            require(
                job.notices[target, event_of(record).id]
                or target in job.gone
                or (record.notices >= 10 and target in record.unheard),
                f"{target} was never told that {job.job_id} {record.status}",
            )

    def acknowledged(self, letter: Letter) -> None:
        """Judge a message that is done with."""
        require(letter.job_id, f"{letter.body}, which is nobody's here, was acknowledged")

    def hidden(self, process: Process, letter: Letter, seconds: float) -> None:
        """Judge a message that is put off."""
        if letter.job_id:
            judge_hide(process, self._world.jobs[letter.job_id], seconds)

    def idle(self, process: Process) -> None:
        """Judge what a worker leaves behind that looks for other work."""
        job = process.job
        if job is None or job.is_lossy or not self._world.faults.tells_what_was_stored:
            return
        lease = job.record and job.record.lease
        require(
            not lease or lease.token not in process.tokens,
            f"{process.name} looks for other work and keeps its lease of {job.job_id}",
        )

    def _judge_the_end(self, job: Job, old: Record | None, new: Record) -> None:
        if old is None or not old.status.is_final:
            event_id = event_of(new).id
            require(
                event_id not in job.ends or job.is_lossy, f"{job.job_id} has an end that it had"
            )
            job.ends.add(event_id)

    def _is_note(self, job: Job, old: Record, new: Record) -> bool:
        """Whether a worker noted who was told of the job's end, as far as that is true."""
        if not _differ_in(NOTICES, job, old, new):
            return False
        event_id = event_of(old).id
        for target in set(old.owed) - set(new.owed) - set(new.unheard):
            require(job.notices[target, event_id], f"{target} was not told of {job.job_id}")
        return set(new.owed) <= set(old.owed) and new.notices == old.notices + 1

    def _judge_claim(self, process: Process, job: Job, old: Record, new: Record) -> None:
        assert new.lease is not None
        now = new.lease.claimed_at
        require(old.status in {Q, R}, f"{job.job_id} was claimed while {old.status}")
        require(
            old.lease is None or old.lease.expires_at <= now,
            f"{process.name} claimed {job.job_id}, which another worker has",
        )
        require(old.not_before <= now, f"{job.job_id} was to wait for {old.not_before - now:.1f} s")
        broken = {c.digest for c in old.checkpoints if not is_whole(c)}
        kept = {c.digest for c in new.checkpoints + new.quarantine}
        require(broken <= kept, f"a damaged checkpoint of {job.job_id} was not kept")
        require(new.slices == old.slices + 1, f"a slice of {job.job_id} was not counted")
        require(job.stalled < new.limits.max_stalls, f"{job.job_id} goes on without ever advancing")
        job.stalled += 1
        job.sweeps.clear()
        process.took(job, new.lease.token)
        self._judge_lease(process, job, new)

    def _judge_return(self, process: Process, job: Job, old: Record, new: Record) -> None:
        """Judge a claim that is taken back, because the worker cannot run the job."""
        require(
            old.lease is not None and old.lease.token in process.tokens and new.lease is None,
            f"{process.name} gave {job.job_id} back without its lease",
        )
        require(
            (new.slices, new.stalls, new.slice) == (old.slices - 1, old.stalls - 1, old.slice),
            f"{job.job_id} was not given back as it was",
        )
        job.stalled -= 1

    def _judge_work(self, process: Process, job: Job, old: Record, new: Record) -> None:
        if new.status is F and (old.exhausted() or job.is_damaged):
            self._judge_failure(job, new)
            return
        require(
            old.lease is not None and old.lease.token in process.tokens,
            f"{process.name} wrote to {job.job_id} without its lease",
        )
        process.unsaved_seconds = 0.0
        self._judge_errors(
            process, old, new, advanced=self._judge_checkpoint(process, job, old, new)
        )
        self._judge_accounts(job, new)
        if new.lease is not None:
            self._judge_lease(process, job, new)
        if new.status is S:
            require(new.result == job.expected, f"{job.job_id} has a wrong result: {new.result}")
            done = job.begun_at + new.steps
            require(done >= job.steps, f"{job.job_id} ended after {done} steps")
        else:
            require(new.result is None, f"{job.job_id} is {new.status} with a result")
        if new.status is F:
            self._judge_failure(job, new)

    def _judge_lease(self, process: Process, job: Job, new: Record) -> None:
        assert new.lease is not None
        judge_lease(process, new)
        job.longest_lease = max(job.longest_lease, new.lease.expires_at - new.updated_at)

    def _judge_errors(self, process: Process, old: Record, new: Record, *, advanced: bool) -> None:
        """Judge whether a slice that ends counts its error, and nothing but an error."""
        if new.lease is not None or new.status.is_final:
            return
        has_raised = new.job_id in process.raised
        failures = has_raised + (0 if advanced else old.failures)
        require(
            new.failures == failures < new.limits.max_failures,
            f"{new.job_id} has {new.failures} failures, should have {failures}",
        )
        wait = new.not_before - new.updated_at
        require(
            bool(new.not_before) == has_raised and wait <= LONGEST_BACKOFF_SECONDS,
            f"{new.job_id} waits for {wait:.1f} s after {failures} failures",
        )

    def _judge_checkpoint(self, process: Process, job: Job, old: Record, new: Record) -> bool:
        """Judge the state that is stored; return whether it is progress."""
        if not new.checkpoints or new.checkpoints[:1] == old.checkpoints[:1]:
            return False
        newest = new.checkpoints[0]
        require(is_whole(newest), f"a checkpoint of {job.job_id} was stored damaged")
        require(newest.sequence == new.saves, f"checkpoint {newest.sequence} is save {new.saves}")
        require(
            new.saves == old.saves
            or [c.sequence for c in new.checkpoints[1:]]
            == [c.sequence for c in old.checkpoints[:1]],
            f"the checkpoint of {job.job_id} before the newest is gone",
        )
        at, total = place(newest)
        require(total == TOTALS[at], f"{job.job_id} has a wrong state: {total} after {at} steps")
        before = next((c for c in old.checkpoints if is_whole(c)), None)
        if before is None or before.digest != newest.digest:
            require(before is None or at > place(before)[0], f"{job.job_id} went back to {at}")
            job.stalled, job.raised = 0, int(job.job_id in process.raised)
            return True
        return False

    def _judge_accounts(self, job: Job, new: Record) -> None:
        require(
            new.compute_seconds <= job.kernel_seconds + 1e-6,
            f"{job.job_id} is billed {new.compute_seconds:.3f} s of {job.kernel_seconds:.3f} s",
        )
        newest = next((c for c in new.checkpoints if is_whole(c)), None)
        if newest is not None and job.kind != "stalling":
            at, _ = place(newest)
            done = job.begun_at + new.steps
            require(
                done == at or (job.is_damaged and done > at),
                f"{job.job_id} counts {done} steps at step {at}",
            )

    def _judge_failure(self, job: Job, new: Record) -> None:
        error, limits = str(new.error), new.limits
        is_due = (
            ("without progress: each was killed" in error and job.stalled >= limits.max_stalls)
            or ("in a row without progress" in error and job.raised >= limits.max_failures)
            or ("checksum" in error and job.is_damaged)
        )
        require(is_due, f"{job.job_id} failed without need: {error}")


def _is_bookkeeping(process: Process, job: Job, old: Record, new: Record) -> bool:
    if not _differ_in(BOOKKEEPING, job, old, new):
        return False
    if new.sweeps > old.sweeps:
        judge_sweep(job.job_id, old, new)
        process.swept.add(job.job_id)
    return True


def _differ_in(names: tuple[str, ...], job: Job, old: Record, new: Record) -> bool:
    """Whether these fields are all in which the two records differ."""
    # Whoever has read a record before it was damaged mends it by writing it back.
    names = (*names, "checkpoints") if job.is_damaged else names
    return new == old.model_copy(update={name: getattr(new, name) for name in names})
