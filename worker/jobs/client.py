"""Submit jobs and follow them from a Python program; the `outlast` command is made of this."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from outlast.checkpoint.errors import (
    CorruptRecord,
    DeletedJob,
    JobExists,
    VersionConflict,
    WrongStatus,
)
from outlast.checkpoint.heads import log_corrupt
from outlast.checkpoint.jobs import JobStore
from outlast.checkpoint.names import checked_tags
from outlast.checkpoint.parts import Notices
from outlast.checkpoint.record import Record
from outlast.checkpoint.registers import open_register
from outlast.worker.jobs.new_job import forked, new_record
from outlast.worker.jobs.sweep import sweep
from outlast.worker.jobs.waiting import JobFailed, JobNotFinished, ends, result_of
from outlast.worker.notify.target import checked_targets
from outlast.worker.queues import open_queue
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.settings import Settings, read_settings
from outlast.worker.telemetry.events import JOB_SUBMITTED, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from outlast.worker.queues.contract import Queue

__all__ = ["Client", "JobFailed", "JobNotFinished"]

T = TypeVar("T")

log = logging.getLogger("outlast.client")


class Client:
    """A store and a queue, as the settings name them.

    All methods raise the errors of `outlast.checkpoint.errors`; those that send QueueUnavailable,
    too.
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

        Neither is contacted before it is needed. With `read_only`, for who only looks at jobs, a
        store in a file is neither created nor changed.
        """
        self.settings = settings or read_settings()
        self.jobs = JobStore(open_register(store or self.settings.store, read_only=read_only))
        self._queue_url = queue or self.settings.queue
        self._queue: Queue | None = None

    @property
    def queue(self) -> Queue:
        """The queue that wakes jobs."""
        if self._queue is None:
            self._queue = open_queue(self._queue_url)
        return self._queue

    def submit(
        self,
        kernel: str,
        /,
        *,
        job_id: str | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
        **params: Any,
    ) -> str:
        """Store a job, wake it and return its id.

        With `job_id` this is idempotent: the same id with the same parameters is the same job,
        which keeps the tags and targets that it has. By its `tags` a job is found in a list; those
        in `notify` are told when it is over: see `outlast.worker.notify.target`.

        Raises:
            UnknownKernel, InvalidParams, InvalidTag, InvalidTarget: nothing was stored.
            JobExists: the id belongs to a job with other parameters.
            QueueUnavailable: the job is stored, but asleep; submit it again, or sweep.
        """
        return self.put(self.new(kernel, params, job_id=job_id, tags=tags, notify=notify)).job_id

    def put(self, record: Record) -> Record:
        """Store a new job and wake it; return it as it is stored. Else see `submit`."""
        queue = self.queue  # A queue that cannot be is found out before anything is stored.
        record, created = self._store(record)
        # A job that never ran may be one whose first submission died before the send.
        if created or record.usage.slices_begun == 0:
            _wake(queue, record, "submit it again with this id", again=not created)
        return record

    def fork(
        self,
        job_id: str,
        *,
        generation: int | None = None,
        new_id: str | None = None,
        store: str | None = None,
    ) -> str:
        """Store a new job that goes on from a checkpoint of another one; return its id.

        Nothing changes for the other one. `generation` is the number of the checkpoint; None: the
        newest that is intact. With `store`, the URL of another store, the new job is put there and
        nobody is woken: so a fault can be reproduced out of the workers' reach.

        Raises:
            UnknownCheckpoint, CorruptCheckpoint: there is nothing to go on from.
            JobExists: `new_id` belongs to a job already.
            QueueUnavailable: the job is stored, but asleep until a sweep.
        """
        queue = None if store else self.queue
        jobs = JobStore(open_register(store)) if store else self.jobs
        fork = forked(
            self.status(job_id),
            generation=generation,
            job_id=new_id,
            limits=self.settings.limits,
            now=jobs.clock(),
        )
        _, created = jobs.submit(fork)
        if not created:
            raise JobExists(f"job {fork.job_id} exists; choose another job id")
        tell(log, JOB_SUBMITTED, job_id=fork.job_id, kernel=fork.kernel)
        if queue is not None:
            _wake(queue, fork, "a sweep will do that")
        return fork.job_id

    def create(
        self,
        kernel: str,
        params: Mapping[str, Any],
        *,
        job_id: str | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
    ) -> tuple[Record, bool]:
        """Store a job without waking it; return it, and whether it is new."""
        return self._store(self.new(kernel, params, job_id=job_id, tags=tags, notify=notify))

    def new(
        self,
        kernel: str,
        params: Mapping[str, Any],
        *,
        job_id: str | None,
        tags: Sequence[str],
        notify: Sequence[str],
    ) -> Record:
        """Return a new job, which is not stored yet."""
        limits, now = self.settings.limits, self.jobs.clock()
        record = new_record(kernel, params, job_id=job_id, limits=limits, now=now)
        targets = checked_targets(notify, self.settings)
        return record.model_copy(
            update={"tags": checked_tags(tags), "notices": Notices(targets=targets)}
        )

    def _store(self, record: Record) -> tuple[Record, bool]:
        held, created = self.jobs.submit(record)
        if created:
            tell(log, JOB_SUBMITTED, job_id=record.job_id, kernel=record.kernel)
        return held.record, created

    def status(self, job_id: str) -> Record:
        """Return the job as it is stored."""
        return self.jobs.load(job_id).record

    def result(self, job_id: str) -> Any:
        """Return the result as a JSON value.

        Raises:
            JobNotFinished: there is none yet.
            JobFailed: there will be none.
        """
        return result_of(self.status(job_id))

    def wait(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        watch: Callable[[Record], None] = lambda _: None,
    ) -> Any:
        """Wait until the job is over and return its result; `watch` sees it at every look.

        A store that has answered once and then does not is asked again until it does; the log
        tells.

        Raises:
            JobFailed: it is over and has no result.
            JobNotFinished: `timeout_seconds` passed first.
            StoreUnavailable: the store did not answer at first, or when the time had passed.
        """
        for item in ends(self.jobs, [job_id], timeout_seconds=timeout_seconds, watch=watch):
            if not isinstance(item, float):
                return result_of(item)
            time.sleep(item)
        raise AssertionError  # a wait ends in a job or an error

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

        All are handed to the workers before this returns; how many run at a time is up to the
        workers. They come in their order, or `as_completed`. With a `name` this is idempotent: the
        same parameters under the same name are the same job, so whoever is interrupted does it
        again and pays for nothing twice. Without one, all jobs are new.

        A job that failed or was cancelled raises JobFailed in its turn, after which the others are
        had by doing it again with the same `name`; with `return_exceptions` the JobFailed stands in
        the place of its result. One that failed stays so until it is retried.

        Raises:
            UnknownKernel, InvalidParams, InvalidTag, InvalidTarget, InvalidJobId: nothing was
                stored.
            QueueUnavailable, StoreUnavailable: some jobs are stored; do it again with the same
                `name`, or sweep.
            JobNotFinished: while iterating: `timeout_seconds` passed first. The jobs go on.
        """
        from outlast.worker.jobs.mapping import (  # here, as a command does without
            results,
            submit_all,
        )

        new = partial(self.new, kernel, job_id=None, tags=tags, notify=notify)
        pairs = submit_all(self, params, new, name=name)
        return _slept(
            results(
                self,
                pairs,
                as_completed=as_completed,
                return_exceptions=return_exceptions,
                timeout_seconds=timeout_seconds,
            )
        )

    def cancel(self, job_id: str) -> Record:
        """Stop the job for good; a slice that runs finds out at its next save.

        A job that is to notify others is woken, so that a worker does.

        Raises:
            WrongStatus: the job is over.
            QueueUnavailable: it is cancelled, but nobody is told before a sweep; cancel it again.
        """
        record = self.jobs.change(job_id, Record.cancelled).record
        if record.notices.owed:
            _wake(self.queue, record, "cancel it again, or sweep", again=True)
        return record

    def pause(self, job_id: str) -> Record:
        """Stop the job until it is resumed; a slice that runs saves, and stops, at its next save.

        Raises:
            WrongStatus: the job is over.
        """
        return self.jobs.change(job_id, Record.paused).record

    def delete(self, job_id: str, *, force: bool = False) -> None:
        """Remove a job that is over, with all that is stored of it; one that is deleted stays so.

        With `force` the job need not be over, nor its record readable: a slice that runs finds out
        at its next save, and stops. Messages for it that are still under way are dropped.

        Raises:
            WrongStatus: the job is not over, and nothing was removed.
            CorruptRecord: what is stored cannot be read, and nothing was removed.
        """
        with suppress(DeletedJob):
            if force:
                self.jobs.discard(job_id)
                return
            try:
                while not self._delete_over(job_id):
                    pass  # Someone else has changed it since it was read.
            except CorruptRecord as error:
                raise CorruptRecord(f"{error}; --force deletes it as it is") from None

    def _delete_over(self, job_id: str) -> bool:
        held = self.jobs.load(job_id)
        if not held.record.status.is_final:
            raise WrongStatus(
                f"job {job_id} is {held.record.status}: cancel it first, or delete it with --force"
            )
        try:
            self.jobs.delete(held)
        except VersionConflict:
            return False
        return True

    def resume(self, job_id: str) -> Record:
        """Let a paused job go on, and wake it.

        Raises:
            WrongStatus: the job is over.
            QueueUnavailable: it may go on, but is asleep; resume it again, or sweep.
        """
        return self._let_go_on(job_id, Record.resumed)

    def retry(
        self,
        job_id: str,
        *,
        max_slices: int | None = None,
        max_compute_seconds: float | None = None,
    ) -> Record:
        """Let a failed job go on from its last checkpoint, and wake it.

        A ceiling that is given replaces the one that the job has; None leaves it.

        Raises:
            WrongStatus: the job has succeeded, was cancelled or is paused; or it has reached a
                ceiling, and would fail again at once.
            QueueUnavailable: it may go on, but is asleep; retry it again, or sweep.
        """

        def retried(record: Record) -> Record:
            return record.retried(max_slices=max_slices, max_compute_seconds=max_compute_seconds)

        return self._let_go_on(job_id, retried)

    def _let_go_on(self, job_id: str, move: Callable[[Record], Record]) -> Record:
        record = self.jobs.change(job_id, move).record
        _wake(self.queue, record, "do that again, or sweep", again=True)
        return record

    def records(
        self, *, after: str = "", on_corrupt: Callable[[CorruptRecord], object] = log_corrupt
    ) -> Iterator[Record]:
        """Yield all jobs whose id sorts after `after`, by id; the states are left empty.

        A record that cannot be read goes to `on_corrupt`, which by default logs it, and does not
        hide the others. Thousands of jobs are cheap: their states are not read.
        """
        return self.jobs.heads(after=after, on_corrupt=on_corrupt)

    def sweep(self, *, after_seconds: float | None = None) -> list[str]:
        """Wake the jobs whose message was lost; return their ids. See `sweep` in `sweep.py`."""
        after = self.settings.sweep_seconds if after_seconds is None else after_seconds
        return sweep(self.jobs, self.queue, after_seconds=after)


def _slept(items: Iterator[T | float]) -> Iterator[T]:
    """Yield the items that are no seconds to wait, and wait those."""
    for item in items:
        if isinstance(item, float):
            time.sleep(item)
        else:
            yield item


def _wake(queue: Queue, record: Record, way_out: str, *, again: bool = False) -> None:
    try:
        queue.send(Message(job_id=record.job_id, slice=record.slice_number), again=again)
    except QueueUnavailable as error:
        raise QueueUnavailable(
            f"job {record.job_id} is stored but was not woken, {way_out}: {error}"
        ) from error
