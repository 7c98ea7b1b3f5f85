"""A person who submits jobs, changes their mind, and repeats each request until it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from outlast.checkpoint.blobs.contract import DamagedChunk
from outlast.checkpoint.blobs.orphans import orphans
from outlast.checkpoint.errors import StoreUnavailable, UnknownJob, WrongStatus
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Limits, Notices
from outlast.checkpoint.status import Status
from outlast.worker.jobs.forking import forked
from outlast.worker.jobs.new_job import NewJob, new_job
from outlast.worker.jobs.submission import store_job, submit_job
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from tests.simulation.ledger import Job, is_whole, position
from tests.simulation.platforms import SimulatedClient
from tests.simulation.process import EPOCH, Process
from tests.simulation.store import LATE_SECONDS
from tests.simulation.violation import Violation, require

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.clockwork import Actor
    from tests.simulation.world import World

T = TypeVar("T")

PAUSE_SECONDS = (0.5, 40.0)
LOOK_SECONDS = 30.0
STALLS = (3, Limits().max_stalls)
PATIENCE_SECONDS = 2.0
MOST_RETRIES = 3
MOST_FORKS = 2
PRUNE_SHARE = 0.1
# Within the time for which a FIFO queue knows the messages of the job before.
ANEW_SECONDS = (0.0, 100.0)


class Person:
    """Uses the client as the `outlast` command does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._is_busy = world.rng.random() < 0.6
        self._retries = 0
        self._forks = 0

    def start(self) -> None:
        """Begin."""
        self._world.clockwork.start("person", self._live)

    def is_content(self, job: Job) -> bool:
        """Whether the job is where this person wants it to be in the end."""
        if job.is_deleted:
            return True
        if job.record is None or job.in_hand or job.record.notices.owed:
            return False
        match job.record.status:
            case Status.PAUSED:
                return job.keep_paused
            case Status.FAILED:
                return job.kind != "sound" or job.is_damaged
            case status:
                return status.is_final

    def _live(self, actor: Actor) -> None:
        world = self._world
        process = Process(world, actor, is_person=True)
        self._client = SimulatedClient(world, process)
        self._process = process
        self._rng = process.rng
        for job in world.jobs.values():
            self._submit(job)
        while not world.is_quiet:
            process.sleep(self._rng.uniform(*PAUSE_SECONDS))
            world.clockwork.wait(actor)
            jobs = [job for job in world.jobs.values() if not job.is_deleted]
            if self._is_busy and jobs and not world.is_quiet:
                self._meddle(self._rng.choice(jobs))
                if world.place is not None and self._rng.random() < PRUNE_SHARE:
                    self._prune()
        while True:
            for job in world.jobs.values():
                if not self.is_content(job):
                    self._mend(job)
            process.sleep(LOOK_SECONDS)
            world.clockwork.wait(actor)

    def _submit(self, job: Job) -> None:
        limits = Limits(max_stalls=self._rng.choice(STALLS))
        notices, now = Notices(targets=job.notify), self._process.wall_clock()
        record = Record(
            job_id=job.job_id,
            kernel=job.job_id,
            params={"steps": job.steps},
            notices=notices,
            limits=limits,
            created_at=now,
            updated_at=EPOCH,
        )

        def make() -> NewJob:
            if job.paint is None:
                return NewJob(record)
            params = dict(job.paint.params(job.steps))
            new = new_job(job.job_id, params, job_id=job.job_id, limits=limits, now=now)
            return new._replace(record=new.record.model_copy(update={"notices": notices}))

        self._store(job, make)

    def _fork(self, job: Job) -> None:
        """Start another job from a checkpoint of this one."""
        other = self._patiently(lambda: self._client.status(job.job_id))
        self._forks += 1
        new_id = f"{job}-fork-{self._forks}"

        def make() -> NewJob:
            made = forked(
                other,
                generation=None,
                job_id=new_id,
                limits=other.limits,
                now=EPOCH,
                blobs=self._client.blobs,
            )
            return made._replace(record=made.record.model_copy(update={"kernel": new_id}))

        fork = make().record
        if not all(map(is_whole, fork.checkpoints)):
            raise Violation(f"{new_id} is to go on from a damaged checkpoint")
        begun_at = position(fork.checkpoints[0])[0] if fork.checkpoints else 0
        new = Job(new_id, job.kind, job.steps, begun_at, paint=job.paint)
        self._world.jobs[new_id] = new
        try:
            self._store(new, make)
        except DamagedChunk:  # The job has gone on, and its checkpoint is gone.
            new.in_hand = False
            self._process.sleep(LATE_SECONDS[1])
            self._world.clockwork.wait(self._process.actor)
            if new.record is None:
                del self._world.jobs[new_id]
            else:  # An attempt before that was stored after all.
                new.is_lossy = True

    def _store(self, job: Job, make: Callable[[], NewJob]) -> None:
        """Store a job, which is made anew for each attempt: so is each call of a client."""
        jobs, queue, blobs = self._client.jobs, self._client.queue, self._client.blobs
        if self._world.faults.may_lose and self._rng.random() < 0.2:
            job.is_lossy = True  # The person's machine dies between store and queue.
            self._patiently(lambda: store_job(jobs, make(), blobs))
        else:
            self._steer(job, lambda: submit_job(jobs, queue, make(), blobs))

    def _meddle(self, job: Job) -> None:
        """Do something that a person may do at any moment."""
        match self._rng.randrange(10):
            case 0:
                self._cancel(job)
            case 1 | 2:
                record = self._steer(job, lambda: self._client.pause(job.job_id))
                require(record is None or record.status is Status.PAUSED, "it was not paused")
                job.keep_paused = self._rng.random() < 0.3
            case 3 | 4:
                self._steer(job, lambda: self._client.resume(job.job_id))
            case 5:
                failed = next((j for j in self._world.jobs.values() if _has_failed(j)), job)
                self._steer(failed, lambda: self._client.retry(failed.job_id))
            case 6:
                self._kick(job)
            case 7:
                self._submit(job)
            case 8 if self._forks < MOST_FORKS:
                self._fork(job)
            case 9:
                self._delete(job)

    def _mend(self, job: Job) -> None:
        """Get the job going again once nothing goes wrong."""
        status = job.record and job.record.status
        if (job.record and job.record.notices.owed) or (job.is_lossy and not self._world.sweeps):
            self._kick(job)  # as a sweep would
        if status is Status.PAUSED and not job.keep_paused:
            self._steer(job, lambda: self._client.resume(job.job_id))
        elif status is Status.FAILED:
            self._retries += 1
            if self._retries > MOST_RETRIES * len(self._world.jobs):
                raise Violation(f"{job} fails again and again: {job.record}")
            self._steer(job, lambda: self._client.retry(job.job_id))

    def _kick(self, job: Job) -> None:
        """Send a message by hand."""
        self._patiently(lambda: self._client.queue.send(Message(job_id=job.job_id)))

    def _steer(self, job: Job, act: Callable[[], Record]) -> Record | None:
        """Do something with the job; None if its status does not allow it."""
        job.in_hand = True
        try:
            record = self._patiently(act)
        except WrongStatus:
            record = None
        job.in_hand = False
        self._world.rules.queue_changed(job.job_id)
        return record

    def _cancel(self, job: Job) -> None:
        """Stop the job for good."""
        jobs, job_id = self._client.jobs, job.job_id
        if self._rng.random() < 0.5:
            record = self._steer(job, lambda: self._client.cancel(job_id))
        else:  # Their machine dies before it wakes the job, whose own message is still there.
            record = self._steer(job, lambda: jobs.change(job_id, Record.cancelled).record)
        require(record is None or record.status is Status.CANCELLED, "it was not cancelled")

    def _delete(self, job: Job) -> None:
        """Remove the job, and perhaps submit another one with its id."""
        self._process.sleep(LATE_SECONDS[1])  # A submission that lands late would bring it back.
        is_forced = self._rng.random() < 0.7
        try:
            self._patiently(lambda: self._client.delete(job.job_id, force=is_forced))
        except WrongStatus:
            return
        except UnknownJob as error:
            raise Violation(f"{job} was deleted, and left no mark") from error
        if self._rng.random() < 0.5:
            self._process.sleep(self._rng.uniform(*ANEW_SECONDS))
            successor = self._world.jobs[job.job_id] = job.successor()
            self._submit(successor)

    def _prune(self) -> None:
        """Delete the chunks that no job needs, while nobody submits any."""
        jobs, blobs = self._client.jobs, self._client.blobs
        assert blobs is not None
        self._patiently(lambda: blobs.delete(list(orphans(blobs, jobs, grace_seconds=0.0))))

    def _patiently(self, act: Callable[[], T]) -> T:
        """Do it until the store and the queue answer."""
        while True:
            try:
                return act()
            except (StoreUnavailable, QueueUnavailable):
                self._process.sleep(PATIENCE_SECONDS)


def _has_failed(job: Job) -> bool:
    return job.record is not None and job.record.status is Status.FAILED
