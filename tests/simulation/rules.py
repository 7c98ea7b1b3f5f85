"""What must hold after every event, whatever goes wrong. See docs/protocol.md."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.status import Status
from outlast.worker.notify.notice import notice_of
from tests.simulation.chunks import Chunks
from tests.simulation.moves import judge_claim, judge_move
from tests.simulation.timing import judge_hide, longest_send
from tests.simulation.violation import Violation, require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.record import Record
    from outlast.worker.notify.notice import Notice
    from outlast.worker.queues.message import Message
    from tests.simulation.ledger import Job
    from tests.simulation.message_queue import Entry
    from tests.simulation.process import Process
    from tests.simulation.world import World

# A notice that did not arrive so often is the sweep's to try again.
MOST_NOTICES_OF_A_MESSAGE = 4
# Ever, of one end to one target: it is sent again each time that the note of it is lost.
MOST_NOTICES = 40
# Ever, for one slice: by workers that end a slice or find that its message is missing.
MOST_SENDS = 6
# A duplicate that meets a slice between its save and its message is passed on to the next slice,
# which by chance may happen to it once more.
MOST_PASSES = 2
# After one claim: each sweep waits twice as long as the one before. Stalls bound the claims.
MOST_SWEEPS = 8


class Rules:
    """Looks at every write and every message.

    Attributes:
        chunks: the rules of arrays.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.chunks = Chunks(world)
        self._is_midway = False

    def wrote(self, process: Process, new: Record, claimed: Record | None = None) -> None:
        """Judge a write that has just been stored, for the job as it was `claimed`."""
        job = self._world.jobs[new.job_id]
        require(not job.is_deleted, f"{job} is there again after it was deleted")
        old, job.record = job.record, new
        self._world.note(process, "put {}", new)
        process.is_hindered = False
        if new.status.is_final:
            job.was_paused = job.was_paused or (old is not None and old.status is Status.PAUSED)
            self._judge_the_end(job, old, new)
        if job.is_second and job.in_hand and new.lease is not None:
            # A message of the job before passes for its own, which is then not sent.
            job.is_lossy = True
        if old is not None:
            judge_move(process, job, _claimed(process, job, old, claimed), new)
        if job.paint is not None:
            self.chunks.wrote(process, job, new)
        self.queue_changed(job.job_id)

    @contextmanager
    def one_step(self, job_id: str) -> Iterator[None]:
        """Judge what is on the queue only when the block, which is one step, is done."""
        self._is_midway = True
        try:
            yield
        finally:
            self._is_midway = False
        self.queue_changed(job_id)

    def deleted(self, process: Process, job_id: str) -> None:
        """Note that a job is gone."""
        self._world.note(process, "deletes {}", job_id)
        job = self._world.jobs[job_id]
        job.is_deleted, job.record = True, None

    def sent(
        self,
        process: Process,
        message: Message,
        *,
        may_repeat: bool,
        is_dropped: bool,
        is_lost: bool,
    ) -> None:
        """Judge a message that is about to be on the queue.

        One that `may_repeat` others is a person's or a sweep's; the queue knows and drops no
        repetition of it. `is_dropped`: the queue takes it for a repetition; `is_lost`: it fails.
        """
        self._world.note(process, "send {}", message)
        job = self._world.jobs[message.job_id]
        job.is_lossy = job.is_lossy or is_lost
        is_own = process.is_person or job.job_id in process.swept
        require(not (is_dropped and is_own), f"{process} wakes {job}, and its message is dropped")
        if process.is_person or job.record is None:
            job.spares += 1
            return
        require(message.slice, f"{process} sends {job} on, and not to which slice")
        assert message.slice is not None
        require(
            message.slice <= job.record.slice_number or job.is_lossy or job.is_second,
            f"message {message.slice} of {job} is ahead of slice {job.record.slice_number}",
        )
        if may_repeat:
            self._judge_sweep(process, job, message.slice)
        else:
            require(
                not is_dropped or job.sends[message.slice] or process.job is not job,
                f"the first message for slice {message.slice} of {job} is dropped",
            )
            self._judge_send(job, message.slice)

    def _judge_sweep(self, process: Process, job: Job, slice_: int) -> None:
        require(
            job.job_id in process.swept,
            f"{process} sends slice {slice_} of {job} again, without a note",
        )
        process.swept.discard(job.job_id)
        job.spares += 1
        job.sweeps[slice_] += 1
        require(
            job.sweeps[slice_] <= MOST_SWEEPS,
            f"slice {slice_} of {job} was swept too often after one claim",
        )

    def _judge_send(self, job: Job, slice_: int) -> None:
        job.sends[slice_] += 1
        require(
            job.sends[slice_] <= MOST_SENDS,
            f"slice {slice_} of {job} was sent too often",
        )
        if job.settled_slice is not None and slice_ > job.settled_slice:
            job.extras += job.sends[slice_] > 1
            # Where a write takes as long as a lease, each pass meets the end of one.
            require(
                job.extras <= MOST_PASSES * job.spares or self._world.save_seconds > 0,
                f"duplicates of {job} do not die out: slice {slice_} was sent again",
            )

    def died(self, entry: Entry) -> None:
        """Judge a message that the queue gives up."""
        require(
            not entry.job_id
            or (self._world.sweeps and not self._world.faults.is_calm)
            # A duplicate that meets the end of a lease in every slice.
            or self._world.save_seconds > 0,
            f"{entry.body} ended in the dead-letter queue, and nobody makes up for that",
        )
        if entry.job_id:
            self._world.jobs[entry.job_id].is_lossy = True

    def crashed(self, process: Process) -> None:
        """Judge what a killed worker takes with it."""
        if self._world.faults.spares_the_store:
            most = self._world.checkpoint_seconds + process.longest_step_seconds
            most += longest_send(process)
            require(
                process.unsaved_seconds <= most + 1e-6,
                f"{process} lost {process.unsaved_seconds:.2f} s, promised {most:.2f} s",
            )

    def queue_changed(self, job_id: str) -> None:
        """Judge whether what is on the queue leads the job on."""
        if not job_id or self._is_midway:
            return
        job = self._world.jobs[job_id]
        record = job.record
        if (
            record is None
            or record.status is Status.PAUSED
            or (record.status.is_final and not record.notices.owed)
            or record.notices.rounds > MOST_NOTICES_OF_A_MESSAGE
            or job.was_paused  # A sweep may have to send one.
            or job.is_lossy
            or job.in_hand
        ):
            return
        for entry in self._world.broker.entries:
            if entry.job_id == job_id and (
                entry.slice is None or entry.slice >= record.slice_number or not record.announced
            ):
                return
        raise Violation(f"no message leads {job_id} on from slice {record.slice_number}")

    def notified(self, process: Process, target: str, event: Notice) -> None:
        """Judge a notice that a target receives."""
        job = self._world.jobs[event.job_id]
        self._world.note(process, f"tells {target}: {event.id}")
        notice = json.loads(event.body)
        require(
            notice["type"] == f"job.{notice['data']['status']}"
            and (job.is_lossy or event.id in job.ends),
            f"{target} was notified of {notice['type']}, which {job} never was",
        )
        require(target in job.notify, f"{target} was notified of {job}, and never asked")
        job.notices[target, event.id] += 1
        require(
            job.notices[target, event.id] <= MOST_NOTICES + job.spares,
            f"{target} was notified too often of {job}",
        )

    def judge_notices(self, job: Job) -> None:
        """Judge, at the very end, whether every target was notified."""
        record = job.record
        if record is None or not record.status.is_final:
            return
        for target in job.notify:
            require(
                job.notices[target, notice_of(record).id]
                or target in job.gone
                or (record.notices.rounds >= 10 and target in record.notices.given_up),
                f"{target} was never notified that {job} {record.status}",
            )

    def acknowledged(self, entry: Entry) -> None:
        """Judge a message that is done with."""
        require(entry.job_id, f"{entry.body}, which is nobody's here, was acknowledged")

    def hidden(self, process: Process, entry: Entry, seconds: float) -> None:
        """Judge a message that is put off."""
        if entry.job_id:
            judge_hide(process, self._world.jobs[entry.job_id], seconds)

    def idle(self, process: Process) -> None:
        """Judge what a worker leaves behind that looks for other work."""
        process.swept.clear()
        if process.sweep_began_at is not None:
            process.sweep_ended_at = process.clock()
            process.sweep_took_seconds = process.sweep_ended_at - process.sweep_began_at
            process.sweep_began_at = None
        job = process.job
        if job is None or job.is_lossy:
            return
        lease = job.record and job.record.lease
        is_ours = lease is not None and lease.token in process.tokens
        require(
            not (is_ours and process.is_plain and process.unsaved_seconds),
            f"{process} gives up {process.unsaved_seconds:.2f} s of work on {job}",
        )
        require(
            not (is_ours and self._world.faults.tells_what_was_stored),
            f"{process} looks for other work and keeps its lease of {job}",
        )

    def _judge_the_end(self, job: Job, old: Record | None, new: Record) -> None:
        if old is None or not old.status.is_final:
            event_id = notice_of(new).id
            require(event_id not in job.ends or job.is_lossy, f"{job} has an end that it had")
            job.ends.add(event_id)


def _claimed(process: Process, job: Job, old: Record, claimed: Record | None) -> Record:
    """Return what a write replaces: a claim that is stored with it is judged on its own."""
    if claimed is None or claimed.lease is None:
        return old
    if old.lease is not None and old.lease.token == claimed.lease.token:
        return old
    judge_claim(process, job, old, claimed)
    return claimed
