"""Submit jobs and follow them from a Python program; the `outlast` command is made of this.

What only one of the methods needs is imported there: a function or a command that starts for one
job needs few of them.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.errors import CorruptRecord, DeletedJob, JobExists
from outlast.checkpoint.job_heads import log_corrupt
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.names import checked_tags
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Notices
from outlast.checkpoint.registers import open_register
from outlast.worker.jobs.arrays import (
    delete_with_arrays,
    outcome_of,
    result_with_arrays,
)
from outlast.worker.jobs.new_job import NewJob, fleet_for, new_job
from outlast.worker.jobs.submission import store_job, submit_job, submit_jobs, wake_job
from outlast.worker.notify.target import checked_targets
from outlast.worker.queues import open_queue
from outlast.worker.settings import Settings, overridden, read_settings
from outlast.worker.slices.place import open_place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.checkpoint.fleet import Fleet
    from outlast.checkpoint.head import Head
    from outlast.worker.queues.contract import Queue


class Client:
    """A store and a queue, as the settings name them.

    All methods raise the errors of `outlast.checkpoint.errors`. Those that send a message raise
    QueueUnavailable, too.
    """

    def __init__(
        self,
        store: str | None = None,
        queue: str | None = None,
        *,
        settings: Settings | None = None,
        read_only: bool = False,
    ) -> None:
        """Use `store` and `queue`, URLs as in OUTLAST_STORE and OUTLAST_QUEUE; None: the settings.

        Where neither names a queue, it is the store's own.
        Neither is contacted before it is needed. With `read_only`, for looking at jobs only, a
        store in a file is neither created nor changed.
        """
        self.settings = overridden(settings or read_settings(), store=store, queue=queue)
        self.jobs = JobStore(open_register(self.settings.store, read_only=read_only))
        self._read_only = read_only
        self._queue: Queue | None = None

    @property
    def queue(self) -> Queue:
        """The queue that wakes jobs."""
        if self._queue is None:
            self._queue = open_queue(self.settings.queue)
        return self._queue

    @cached_property
    def blobs(self) -> BlobStore | None:
        """Where the arrays of jobs are; None: nowhere."""
        return open_place(self.settings, self.jobs, read_only=self._read_only)

    def submit(  # noqa: PLR0913 - each is an option of its own, given by name
        self,
        kernel: str,
        /,
        *,
        job_id: str | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
        parallel: int | None = None,
        part_seconds: float | None = None,
        **params: Any,
    ) -> str:
        """Store a job, wake it and return its id.

        With `job_id` this is idempotent: the same id with the same parameters is the same job,
        which keeps its tags and targets. A list of jobs can be filtered by `tags`. Each target in
        `notify` is told when the job is over: see `outlast.worker.notify.target`.

        With `parallel` the job is cut into parts for so many workers, if its kernel can be divided;
        a job that is there already stays as it was shared. A part takes about `part_seconds`; None:
        a minute, or less where the job is short.

        Raises:
            UnknownKernel, InvalidParams, InvalidTag, InvalidTarget: nothing was stored.
            NoBlobStore: nor was it here, as there is no place for its arrays.
            JobExists: the id belongs to a job with other parameters.
            QueueUnavailable: the job is stored, but asleep; submit it again, or sweep.
        """
        fleet = fleet_for(kernel, parallel, part_seconds)
        new = self._new(kernel, params, job_id=job_id, tags=tags, notify=notify, fleet=fleet)
        return submit_job(self.jobs, self.queue, new, self._place_for(new)).job_id

    def submit_all(
        self,
        kernel: str,
        params: Iterable[Mapping[str, Any]],
        /,
        *,
        name: str | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
    ) -> list[tuple[Mapping[str, Any], str]]:
        """Submit a job for each of `params`; return each of them with the id of its job.

        With a `name` this is idempotent: the same parameters under the same name are the same job.
        Without one all jobs are new.

        Raises:
            UnknownKernel, InvalidParams, InvalidTag, InvalidTarget, InvalidJobId: nothing was
                stored.
            QueueUnavailable, StoreUnavailable: some jobs are stored; do it again with the same
                `name`, or sweep.
        """
        every = list(params)
        new = partial(self._new, kernel, name=name, tags=tags, notify=notify)
        jobs = [new(each) for each in every]
        place = self._place_for(*jobs)
        submit_jobs(self.jobs, self.queue, jobs, place, may_exist=name is not None)
        return [(each, job.record.job_id) for each, job in zip(every, jobs, strict=True)]

    def create(  # noqa: PLR0913 - each is an option of its own, given by name
        self,
        kernel: str,
        params: Mapping[str, Any],
        *,
        job_id: str | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
        parallel: int | None = None,
        part_seconds: float | None = None,
    ) -> tuple[Record, bool]:
        """Store a job without waking it; return it, and whether it is new."""
        fleet = fleet_for(kernel, parallel, part_seconds)
        new = self._new(kernel, params, job_id=job_id, tags=tags, notify=notify, fleet=fleet)
        return store_job(self.jobs, new, self._place_for(new))

    def _place_for(self, *jobs: NewJob) -> BlobStore | None:
        """Return where arrays are, if a job has some: it may take botocore to open that."""
        return self.blobs if any(job.record.chunks for job in jobs) else None

    def _new(  # noqa: PLR0913 - each is an option of its own, given by name
        self,
        kernel: str,
        params: Mapping[str, Any],
        *,
        job_id: str | None = None,
        name: str | None = None,
        tags: Sequence[str],
        notify: Sequence[str],
        fleet: Fleet | None = None,
    ) -> NewJob:
        limits, now = self.settings.limits, self.jobs.clock()
        new = new_job(kernel, params, job_id=job_id, name=name, limits=limits, now=now)
        notices = Notices(targets=checked_targets(notify, self.settings))
        changes = {"tags": checked_tags(tags), "notices": notices, "fleet": fleet}
        return new._replace(record=new.record.model_copy(update=changes))

    def fork(
        self,
        job_id: str,
        *,
        generation: int | None = None,
        new_id: str | None = None,
        store: str | None = None,
    ) -> str:
        """Store a new job that goes on from a checkpoint of another one; return its id.

        The other job does not change, and the new one has copies of its arrays. `generation` is the
        number of the checkpoint; None: the newest that is intact. Of a divided job the new one has
        all parts that are done, and begins the others anew. With `store`, the URL of another
        store, the new job goes there and is not woken: so a fault can be reproduced out of the
        workers' reach. Its arrays go to the place of that store, or to the one that is set.

        Raises:
            UnknownCheckpoint, CorruptCheckpoint, DamagedChunk: there is nothing to go on from.
            JobExists: `new_id` belongs to a job already.
            QueueUnavailable: the job is stored, but asleep until a sweep.
        """
        from outlast.worker.jobs.forking import forked, with_done_parts

        queue = None if store else self.queue
        jobs, blobs = self.jobs, self.blobs
        if store:
            jobs = JobStore(open_register(store))
            blobs = open_place(overridden(self.settings, store=store), jobs)
        record, parts = with_done_parts(self.jobs, self.status(job_id))
        new = forked(
            record,
            generation=generation,
            job_id=new_id,
            limits=self.settings.limits,
            now=jobs.clock(),
            blobs=self.blobs,
            parts=parts,
        )
        fork, is_new = store_job(jobs, new, blobs)
        if not is_new:
            raise JobExists(f"job {fork.job_id} exists; choose another job id")
        if queue is not None:
            wake_job(queue, fork, "a sweep will do that")
        return fork.job_id

    def status(self, job_id: str) -> Record:
        """Return the job as it is stored."""
        return self.jobs.load(job_id).record

    def result(self, job_id: str) -> Any:
        """Return the result as a JSON value, with arrays of numpy and bytes where it has such.

        Raises:
            JobNotFinished: there is none yet.
            JobFailed: there will be none.
            DamagedChunk: its arrays are not as they were stored, or they are gone.
        """
        return result_with_arrays(self.status(job_id), lambda: self.blobs)

    def wait(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        watch: Callable[[Head], None] = lambda _: None,
    ) -> Any:
        """Wait until the job is over and return its result; `watch` sees its head at every look.

        If the store has answered once and then does not, it is asked again until it does, and the
        log says so.

        Raises:
            JobFailed: the job is over and has no result.
            JobNotFinished: `timeout_seconds` passed first.
            DamagedChunk: as `result`.
            StoreUnavailable: the store did not answer at first, or when the time had passed.
        """
        from outlast.worker.jobs.waiting import end_of, looks

        looking = looks(self.jobs, [({}, job_id)], timeout_seconds=timeout_seconds, watch=watch)
        return result_with_arrays(end_of(looking), lambda: self.blobs)

    def map(  # noqa: PLR0913 - each is an option of its own, given by name
        self,
        kernel: str,
        params: Iterable[Mapping[str, Any]],
        /,
        *,
        name: str | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
        as_completed: bool = False,
        return_exceptions: bool = False,
        timeout_seconds: float | None = None,
    ) -> Iterator[tuple[Mapping[str, Any], Any]]:
        """Submit a job for each of `params`; return an iterator over each of them and its result.

        All jobs are submitted before this returns, as `submit_all` does it: with a `name`, the same
        call goes on after an interruption and pays for nothing twice. How many jobs run at a time
        depends on the workers. Results come in the order of `params`, or `as_completed`.

        A job that failed or was cancelled raises JobFailed in its turn; the same call with the same
        `name` returns the others. With `return_exceptions` the JobFailed is returned in place of
        the result. A failed job stays failed until it is retried.

        Raises:
            JobNotFinished: while iterating: `timeout_seconds` passed first. The jobs go on.
            Exception: those of `submit_all`.
        """
        from outlast.worker.jobs.waiting import ends, looks

        pairs = self.submit_all(kernel, params, name=name, tags=tags, notify=notify)
        looking = looks(
            self.jobs, pairs, in_order=not as_completed, timeout_seconds=timeout_seconds
        )
        return (
            (each, outcome_of(record, lambda: self.blobs, return_exceptions=return_exceptions))
            for each, record in ends(looking)
        )

    def cancel(self, job_id: str) -> Record:
        """Stop the job for good; a running slice finds out at its next save.

        A job with targets to notify is woken, so that a worker tells them.

        Raises:
            WrongStatus: the job is over.
            QueueUnavailable: it is cancelled, but nobody is told before a sweep; cancel it again.
        """
        from outlast.worker.jobs.parts import known_usage_of

        # What its parts have taken is in their records, which nobody keeps from here on.
        record = self.jobs.change(
            job_id, lambda record: record.cancelled(known_usage_of(self.jobs, record))
        ).record
        if record.notices.owed:
            wake_job(self.queue, record, "cancel it again, or sweep")
        return record

    def pause(self, job_id: str) -> Record:
        """Stop the job until it is resumed; a running slice stops at its next save.

        Raises:
            WrongStatus: the job is over.
        """
        return self.jobs.change(job_id, Record.paused).record

    def resume(self, job_id: str, *, free: bool = False) -> Record:
        """Let a paused job go on, and wake it.

        `free` takes the job from the worker that has it, which then writes nothing more: for a
        worker that hangs, or whose lease should have ended.

        Raises:
            WrongStatus: the job is over.
            QueueUnavailable: it may go on, but is asleep; resume it again, or sweep.
        """
        move = (lambda record: record.freed().resumed()) if free else Record.resumed
        return self._change_and_wake(job_id, move)

    def retry(
        self,
        job_id: str,
        *,
        max_slices: int | None = None,
        max_compute_seconds: float | None = None,
    ) -> Record:
        """Let a failed job go on from its last checkpoint, and wake it.

        A ceiling replaces the one that the job has; None leaves it.

        Raises:
            WrongStatus: the job has succeeded, was cancelled or is paused; or it has reached a
                ceiling, and would fail again at once.
            QueueUnavailable: it may go on, but is asleep; retry it again, or sweep.
        """
        from outlast.worker.jobs.parts import usage_of

        return self._change_and_wake(
            job_id,
            lambda record: record.retried(
                max_slices=max_slices,
                max_compute_seconds=max_compute_seconds,
                usage=usage_of(self.jobs, record),
            ),
        )

    def _change_and_wake(self, job_id: str, move: Callable[[Record], Record]) -> Record:
        record = self.jobs.change(job_id, move).record
        wake_job(self.queue, record, "do that again, or sweep")
        return record

    def delete(self, job_id: str, *, force: bool = False) -> None:
        """Remove a job that is over, with all that is stored of it; a second time is no error.

        Should the place of its arrays fail after that, the log says so, and `outlast prune` removes
        them later.

        With `force` the job need not be over, nor its record readable: a running slice finds out at
        its next save, and stops. Messages for it that are still under way are dropped.

        Raises:
            WrongStatus: the job is not over, and nothing was removed.
            CorruptRecord: the record cannot be read, and nothing was removed.
        """
        from outlast.worker.jobs.prune import delete_finished

        delete = self.jobs.discard if force else partial(delete_finished, self.jobs)
        with suppress(DeletedJob):
            delete_with_arrays(self.blobs, job_id, lambda: delete(job_id))

    def records(
        self, *, after: str = "", on_corrupt: Callable[[CorruptRecord], object] = log_corrupt
    ) -> Iterator[Record]:
        """Yield all jobs whose id sorts after `after`, by id; the states are not read.

        A record that cannot be read goes to `on_corrupt`, which by default logs it, and does not
        hide the others. Asking a checkpoint for its state raises ValueError: `status` reads a
        job whole.
        """
        return self.jobs.records(after=after, on_corrupt=on_corrupt)

    def sweep(
        self,
        *,
        after_seconds: float | None = None,
        seconds: float | None = None,
        every_job: bool = False,
    ) -> list[str]:
        """Wake the jobs whose message was lost; return their ids. See `sweep.py`."""
        from outlast.worker.jobs.sweep import sweep

        after = self.settings.sweep_seconds if after_seconds is None else after_seconds
        return sweep(
            self.jobs, self.queue, after_seconds=after, seconds=seconds, every_job=every_job
        )
