"""What a slice needs from the process that it runs in, made once by each entry point."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from outlast.kernel import Kernel, Resources
from outlast.kernel.registry import load
from outlast.worker.notify.notifier import Notifier, tell_nobody
from outlast.worker.slices.brevity import Brevity
from outlast.worker.slices.fleet.last_cut import LastCut
from outlast.worker.slices.health import Health
from outlast.worker.slices.heartbeat import observe, repeat
from outlast.worker.slices.last_params import LastParams
from outlast.worker.slices.outages import Outages
from outlast.worker.slices.place import open_place
from outlast.worker.slices.platforms import LOCAL, platform_of
from outlast.worker.slices.timing import Timing

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.checkpoint.job_store import JobStore
    from outlast.checkpoint.record import Record
    from outlast.worker.notify.notice import Notice
    from outlast.worker.queues.contract import Delivery, Queue
    from outlast.worker.queues.database import Database
    from outlast.worker.settings import Settings
    from outlast.worker.slices.heartbeat import Repeat

LOG_STREAM = "AWS_LAMBDA_LOG_STREAM_NAME"

AnyKernel = Kernel[Any, Any, Any]


class RunningJob(Protocol):
    """A job while its slice runs, as a display sees it."""

    @property
    def record(self) -> Record:
        """The job as last stored."""

    @property
    def progress(self) -> float:
        """The share of the work that is done, stored or not, 0 to 1."""

    def per_second(self, progress: float) -> float:
        """Return the speed lately, now that the job has this progress; 0: it is not known."""


@dataclass(frozen=True)
class WorkerProcess:
    """One worker process.

    Attributes:
        jobs: where progress is kept; its clock is the wall clock for leases.
        queue: where continuations are sent.
        worker: this worker's name, for people to read.
        platform: where it runs, as far as that bears on what it costs; see `platforms.py`.
        resources: what is granted to kernels.
        timing: what the process has learned about time.
        brevity: which slices were brief here.
        max_state_bytes: a state whose JSON is larger fails its job.
        blobs: where arrays are kept; None: nowhere.
        max_blob_bytes: a state or result with more bytes of arrays fails its job.
        last_params: the parameters of the last job.
        last_cut: how the last job was cut whose parts were worked on here.
        isolate: whether every kernel runs in a child process, not only those that ask for it.
        kernels: finds a kernel by its name.
        health: what it has seen of faults of its own.
        is_alone: whether no other worker can take a job from it: then all faults are the job's.
        notify: tells one target of a job's end, in so many seconds; raises NotDelivered or Gone.
        watch: called after every step with the job as it stands, for a display; None: nobody does.
        clock: monotonic seconds.
        sleep: waits that many seconds.
        repeat: does something once a second while a block lasts; see `heartbeat.py`.
        observe: the same, for what may block, such as a line of the log.
    """

    jobs: JobStore
    queue: Queue
    worker: str
    platform: str = LOCAL
    resources: Resources = field(default_factory=Resources)
    timing: Timing = field(default_factory=Timing)
    brevity: Brevity = field(default_factory=Brevity)
    max_state_bytes: int = 64 << 20
    blobs: BlobStore | None = None
    max_blob_bytes: int = 64 << 30
    last_params: LastParams = field(default_factory=LastParams)
    last_cut: LastCut = field(default_factory=LastCut)
    isolate: bool = False
    kernels: Callable[[str], AnyKernel] = load
    notify: Callable[[str, Notice, float], None] = tell_nobody
    health: Health = field(default_factory=Health)
    is_alone: bool = False
    watch: Callable[[RunningJob], None] | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    repeat: Repeat = repeat
    observe: Repeat = observe

    @cached_property
    def database(self) -> Database | None:
        """The database that is both store and queue; None: they are separate."""
        return self.queue.database_with(self.jobs.register)

    @cached_property
    def outages(self) -> Outages:
        """Whether store and queue answer."""
        return Outages(self.clock, are_one=self.database is not None)

    def receive_batch(
        self, most: int, *, visibility_seconds: float, wait_seconds: float
    ) -> list[Delivery]:
        """Return the next messages; see `Queue.receive_batch`."""
        source = self.database or self.queue
        batch = source.receive_batch(
            most, visibility_seconds=visibility_seconds, wait_seconds=wait_seconds
        )
        self.outages.queue_answered()
        return batch

    def isolates(self, kernel: AnyKernel) -> bool:
        """Whether the kernel runs in a child process, because it or the worker wants that."""
        return self.isolate or kernel.may_not_return

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for `seconds` from now, if one was received.

        Raises:
            QueueUnavailable: it may come again at any time.
        """
        if delivery.receipt:
            self.queue.hide(delivery, seconds)
            self.outages.queue_answered()

    def keep(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for `seconds` from now, if one was received: this process works on it.

        Raises:
            QueueUnavailable: it may come again at any time.
        """
        if delivery.receipt:
            self.queue.keep(delivery, seconds)
            self.outages.queue_answered()


def make_process(
    settings: Settings,
    jobs: JobStore,
    queue: Queue,
    *,
    watch: Callable[[RunningJob], None] | None = None,
) -> WorkerProcess:
    """Return this process, as `settings` want it."""
    return WorkerProcess(
        jobs=jobs,
        queue=queue,
        # On Lambda all sandboxes may have one host's name, but each has a log of its own.
        worker=os.environ.get(LOG_STREAM) or f"{socket.gethostname()}:{os.getpid()}",
        platform=settings.platform or platform_of(os.environ),
        resources=Resources(threads=settings.threads, memory_bytes=settings.memory_bytes),
        timing=Timing(checkpoint_seconds=settings.checkpoint_seconds),
        max_state_bytes=settings.max_state_bytes,
        blobs=open_place(settings, jobs),
        max_blob_bytes=settings.max_blob_bytes,
        isolate=settings.isolate,
        notify=Notifier(settings),
        watch=watch,
    )
