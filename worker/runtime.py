"""What a slice needs from the process that it runs in, made once by each entry point."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kernel import Kernel, Resources
from kernel.registry import load
from worker.heartbeat import repeated
from worker.notify.notifier import Notifier, tell_nobody
from worker.pace import Pace
from worker.platform import LOCAL, platform_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from checkpoint.jobs import JobStore
    from worker.heartbeat import Repeat
    from worker.holding import Holding
    from worker.notify.event import Event
    from worker.queues.contract import Queue
    from worker.settings import Settings

AnyKernel = Kernel[Any, Any, Any]


@dataclass(frozen=True)
class Runtime:
    """One worker process.

    Attributes:
        jobs: where progress is kept; its clock is the wall clock for leases.
        queue: where continuations are sent.
        worker: this worker's name, for people to read.
        platform: where it runs, as far as that bears on what it costs; see `worker.platform`.
        resources: what is granted to kernels.
        pace: what the process has learned about time.
        max_state_bytes: a larger state fails its job.
        isolate: whether every kernel runs in a child process, not only those that ask for it.
        kernels: finds a kernel by its name.
        notify: tells one target of a job's end, in so many seconds; raises NotTold or Gone.
        watch: called after every step, with the job as it stands, for a display. None: nobody does.
        clock: monotonic seconds.
        sleep: waits that many seconds.
        repeat: does something again and again while a block lasts; see `worker.heartbeat`.
    """

    jobs: JobStore
    queue: Queue
    worker: str
    platform: str = LOCAL
    resources: Resources = field(default_factory=Resources)
    pace: Pace = field(default_factory=Pace)
    max_state_bytes: int = 64 << 20
    isolate: bool = False
    kernels: Callable[[str], AnyKernel] = load
    notify: Callable[[str, Event, float], None] = tell_nobody
    watch: Callable[[Holding], None] | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    repeat: Repeat = repeated


def make_runtime(
    settings: Settings,
    jobs: JobStore,
    queue: Queue,
    *,
    watch: Callable[[Holding], None] | None = None,
) -> Runtime:
    """Return the runtime of this process, as `settings` want it."""
    return Runtime(
        jobs=jobs,
        queue=queue,
        worker=f"{socket.gethostname()}:{os.getpid()}",
        platform=settings.platform or platform_of(os.environ),
        resources=Resources(threads=settings.threads, memory_bytes=settings.memory_bytes),
        pace=Pace(checkpoint_seconds=settings.checkpoint_seconds),
        max_state_bytes=settings.max_state_bytes,
        isolate=settings.isolate,
        notify=Notifier(settings),
        watch=watch,
    )
