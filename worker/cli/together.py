"""A divided job worked to its end by several processes of this machine.

They are plain workers that share the store and a queue in a file of their own, in a folder for
temporary files: nobody else reads it, and when the run ends its messages are of no use. Whoever
goes on with the job calls for its parts again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CheckpointError
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.worker.cli.helpers import Helpers, share_of, start_helper
from outlast.worker.cli.logs import level_of, log_to
from outlast.worker.cli.output import write_line
from outlast.worker.cli.preparing import prepare
from outlast.worker.jobs.client import Client
from outlast.worker.jobs.parts import with_parts
from outlast.worker.loops.one_job import run_to_end
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqlite import SqliteQueue
from outlast.worker.settings import overridden, read_settings
from outlast.worker.slices.worker_process import make_process
from outlast.worker.telemetry.rate import rate_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import Popen

    from outlast.worker.cli.hard_stop import HardStop
    from outlast.worker.cli.progress import Progress
    from outlast.worker.settings import Settings
    from outlast.worker.slices.deadline import Deadline

TURN_SECONDS = 0.1
# The looks at the parts take at most so much of the time.
SHARE_OF_LOOKS = 0.1
# How long nobody has been at work before the parts are called for again.
IDLE_SECONDS = 1.0
# One look at the queue. At the end of the job each process waits no longer than this.
WAIT_SECONDS = 0.05
# For the last lines; a process that a kernel has left behind may hold their pipe open.
LINES_SECONDS = 0.5


def work_together(
    client: Client,
    record: Record,
    progress: Progress,
    stop: Deadline,
    hard_stop: HardStop,
    *,
    processes: int,
    debug: bool,
) -> Record:
    """Work the divided job until it is over, paused, or `stop` has a reason; return it as it is.

    This process is one of `processes`. The others end with it.
    """
    settings = overridden(client.settings, threads=share_of(client.settings, processes))
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="outlast-run-"))
        path = Path(folder) / "queue.db"
        # However long the store is away, no message is given up.
        queue = SqliteQueue(path, max_receives=sys.maxsize)
        stack.callback(queue.close)
        client.jobs.change(record.job_id, Record.called)
        process = make_process(settings, client.jobs, queue)
        hard_stop.more_seconds = process.timing.last_save_seconds
        start = stack.enter_context(_starting(settings, path, progress, debug=debug))
        helpers = Helpers(processes - 1, start, may_return=lambda _: True, say=progress.say)
        stack.callback(helpers.await_end)
        stack.callback(helpers.stop)
        # The others start meanwhile, and find what is compiled here.
        prepare(client, record, progress)
        watch = Watch(settings, record.job_id, path, helpers, progress)
        stack.enter_context(watch.running(stop))
        return run_to_end(
            process,
            record.job_id,
            slice_seconds=settings.slice_seconds,
            wait_seconds=WAIT_SECONDS,
            stop=stop,
        )


@contextmanager
def _starting(
    settings: Settings, path: Path, progress: Progress, *, debug: bool
) -> Iterator[Callable[[], Popen[bytes]]]:
    """Return what starts a helper; its lines are shown as those of this process are."""
    level = level_of(settings, otherwise=progress.log_level)
    environment = {
        "OUTLAST_STORE": settings.store,
        "OUTLAST_QUEUE": f"sqlite:///{path}",
        "OUTLAST_THREADS": str(settings.threads),
        "OUTLAST_SLICE_SECONDS": str(settings.slice_seconds),
        "OUTLAST_ISOLATE": str(settings.isolate),
    }
    here = Path.cwd()  # A kernel may change it.
    ours, theirs = os.pipe()
    reader = threading.Thread(target=_show_lines, args=[ours, progress], daemon=True)
    reader.start()
    words = ["run", level, *(["debug"] if debug else [])]
    try:
        yield lambda: start_helper(*words, environment=environment, stderr=theirs, cwd=here)
    finally:
        os.close(theirs)
        reader.join(LINES_SECONDS)


def _show_lines(source: int, progress: Progress) -> None:
    with os.fdopen(source, errors="replace") as lines:
        for line in lines:
            progress.say(line.rstrip("\n"))


def help_run(level: str, debug: str = "") -> None:
    """Be one of the processes of a run, until a stop signal comes; log from `level` up."""
    from outlast.worker.cli.hard_stop import HardStop
    from outlast.worker.cli.streams import stdout_to_stderr
    from outlast.worker.loops.consumer import Consumer
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.telemetry.switches import switched_on

    def say(line: str) -> None:
        write_line(line, stream)

    with stdout_to_stderr(), Deadline() as stop:
        stream = sys.stderr
        settings = read_settings()
        client = Client(settings=settings)
        kernels = level_of(settings, otherwise="INFO")
        log_to(say, level, debug=bool(debug), kernels=kernels)
        queue = SqliteQueue(
            Path(settings.queue.removeprefix("sqlite:///")), max_receives=sys.maxsize
        )
        # All its processes are on this machine: a fault is the job's, as in a run by one of them.
        process = replace(make_process(settings, client.jobs, queue), is_alone=True)
        with (
            HardStop(stop, settings.stop_seconds, say=lambda _: None, end=say) as hard_stop,
            switched_on(settings, flush_seconds=hard_stop.seconds_left),
        ):
            hard_stop.more_seconds = process.timing.last_save_seconds
            Consumer(process, slice_seconds=settings.slice_seconds, wait_seconds=WAIT_SECONDS).run(
                outer=stop
            )


class Watch:
    """A thread beside the work: it shows how far all parts are, and keeps the helpers at work."""

    def __init__(
        self,
        settings: Settings,
        job_id: str,
        path: Path,
        helpers: Helpers,
        progress: Progress,
    ) -> None:
        """Look at the job through connections of its own: the others are the worker's."""
        self._jobs = Client(settings=settings).jobs
        self._queue = SqliteQueue(path)
        self._job_id = job_id
        self._helpers, self._progress = helpers, progress
        self._over = threading.Event()
        self._look_at = 0.0
        self._idle_since: float | None = None

    @contextmanager
    def running(self, stop: Deadline) -> Iterator[None]:
        """Watch while the block lasts; a reason to `stop` is one for the helpers, too."""
        thread = threading.Thread(target=self._run, args=[stop], daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self._queue.close()

    def _run(self, stop: Deadline) -> None:
        while not self._over.wait(TURN_SECONDS):
            if stop.reason:
                self._helpers.stop()
                return
            self._helpers.look()
            begun = time.monotonic()
            if begun < self._look_at:
                continue
            with suppress(CheckpointError, QueueUnavailable):  # The work itself meets it, too.
                self._look()
            took = time.monotonic() - begun
            pause = max(self._progress.period_seconds, took / SHARE_OF_LOOKS)
            self._look_at = time.monotonic() + pause

    def _look(self) -> None:
        record, parts = with_parts(self._jobs, self._jobs.load(self._job_id).record)
        if record.status.is_final:
            return
        if parts is None:  # They are added up, and it goes on as any other job.
            self._progress.show(record.progress, str(rate_of(record, self._jobs.clock())))
        else:
            self._progress.show(parts.progress, f"{parts.rate}, {parts.words}")
        is_free = record.status is Status.RUNNING and record.lease is None
        if parts and parts.all and is_free and not parts.running and self._queue.is_empty():
            self._call_again()
        else:
            self._idle_since = None

    def _call_again(self) -> None:
        """Call for the parts again if nobody has had one for a while, and none has a message.

        This happens where workers elsewhere had the others, and were stopped.
        """
        now = time.monotonic()
        if self._idle_since is None:
            self._idle_since = now
        elif now - self._idle_since >= IDLE_SECONDS:
            self._idle_since = None
            self._jobs.change(self._job_id, Record.called)
            self._queue.send(Message(job_id=self._job_id))
