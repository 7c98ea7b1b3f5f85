"""RunPod serverless: `python -m outlast.worker.runpod_handler`, with the extra `outlast[runpod]`.

The input is a request as in `outlast.worker.loops.direct_calls`, or

    {"drain": true[, "max_seconds": s]    work through the queue until it is empty
     [, "max_idle_seconds": s]}           for so long

A call works for "max_seconds" at most; set it below the request's executionTimeout. RunPod ends a
call by SIGTERM or not at all; the call then saves the work of its slice.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from outlast.checkpoint.errors import CheckpointError
from outlast.kernel import InvalidParams, UnknownKernel
from outlast.worker.jobs.client import Client
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.direct_calls import (
    FORMS,
    AnyRequest,
    InvalidRequest,
    Request,
    Seconds,
    Sweep,
    advance,
    parse,
)
from outlast.worker.notify.target import InvalidTarget
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.settings import InvalidSettings, read_settings, require_remote
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.health import BrokenWorker
from outlast.worker.slices.loading import NewerState
from outlast.worker.slices.worker_process import WorkerProcess, make_process
from outlast.worker.telemetry.switches import log_on_platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.slices.worker_process import RunningJob

# RunPod's executionTimeout is 600 s unless the endpoint or the request sets another.
DEFAULT_SECONDS = 540.0
# An empty receive from SQS takes a second; two of them mean an empty queue. Where many workers are
# to share a job, they wait until it is cut.
IDLE_SECONDS = 2.0
# Between two updates; each is a request, from a thread of its own.
PROGRESS_SECONDS = 5.0

# A caller or an operator can mend these: the answer is one line. The SDK shows all others.
CALLER_ERRORS = (
    InvalidRequest,
    InvalidParams,
    InvalidTarget,
    UnknownKernel,
    CheckpointError,
    NewerState,
    QueueUnavailable,
)


class Drain(Request):
    """Be a worker until the queue is empty or the time is up."""

    drain: Literal[True]
    max_seconds: Seconds = DEFAULT_SECONDS
    max_idle_seconds: Seconds = IDLE_SECONDS


ALL_FORMS: dict[str, type[AnyRequest | Drain]] = {**FORMS, "drain": Drain}


class Handler:
    """Handles calls; clients and what the process learns about time last from call to call."""

    def __init__(
        self, client: Client, process: WorkerProcess, report: Callable[[dict[str, Any], Any], None]
    ) -> None:
        """Report progress to RunPod by `report(job, progress)`."""
        self._client = client
        self._process = process
        self._report = report

    def handle(self, job: dict[str, Any]) -> dict[str, Any]:
        """Handle one call; the answer has an "error" if the call or the job has failed."""
        try:
            return self._answer(job)
        except CALLER_ERRORS as error:
            return {"error": f"{type(error).__name__}: {error}"}
        except BrokenWorker as error:
            # The SDK takes "refresh_worker" out of the answer, and RunPod starts another worker.
            refresh = {"refresh_worker": True} if self._process.health.is_broken else {}
            return {"error": f"{type(error).__name__}: {error}", **refresh}

    def _answer(self, job: dict[str, Any]) -> dict[str, Any]:
        if not {"id", "input"} <= job.keys():
            raise InvalidRequest('a job of RunPod has an "id" and an "input"')
        request = parse(job["input"], ALL_FORMS)
        if isinstance(request, Sweep):
            return {"woken": self._client.sweep(seconds=DEFAULT_SECONDS)}
        progress = Progress(job, self._report)
        process = replace(self._process, watch=progress)
        if isinstance(request, Drain):
            return {"drained": self._drain(process, request), "jobs": sorted(progress.jobs)}
        # A request for more than the default has a longer executionTimeout.
        seconds, request_id = request.max_seconds or DEFAULT_SECONDS, str(job["id"])
        return advance(self._client, process, request, seconds=seconds, request_id=request_id)

    def _drain(self, process: WorkerProcess, request: Drain) -> bool:
        """Work through the queue; return False if the time was too short."""
        consumer = Consumer(process, slice_seconds=self._client.settings.slice_seconds)
        seconds = request.max_seconds
        left = seconds - process.timing.budget(seconds).reserve
        with Deadline(left, clock=process.clock) as stop:
            consumer.run(max_idle_seconds=request.max_idle_seconds, outer=stop)
        return stop.reason is None


class Progress:
    """Called after each step: reports progress to RunPod now and then, and collects the jobs."""

    def __init__(self, job: dict[str, Any], report: Callable[[dict[str, Any], Any], None]) -> None:
        self.jobs: set[str] = set()
        self._job = job
        self._report = report
        self._due = time.monotonic()

    def __call__(self, job: RunningJob) -> None:
        """Report the progress of `job`, or of the part of it that runs, if it is time."""
        job_id, node = job.record.job_id, job.record.node
        self.jobs.add(job_id)
        now = time.monotonic()
        if now >= self._due:
            self._due = now + PROGRESS_SECONDS
            part = {"part": node.number} if node else {}
            progress = job.record.progress_if_known(job.progress)
            self._report(self._job, {"job_id": job_id, **part, "progress": progress})


def main() -> None:
    """Start the worker; the SDK reads the command line."""
    import runpod

    # By this variable the SDK distinguishes a worker on its platform from a trial elsewhere.
    is_remote = "RUNPOD_WEBHOOK_GET_JOB" in os.environ
    try:
        settings = read_settings()
        if is_remote:
            require_remote(settings)
    except InvalidSettings as error:
        sys.exit(f"outlast: {error}")
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    log_on_platform(settings)
    client = Client(settings=settings)
    process = make_process(settings, client.jobs, client.queue)
    # In a trial there is no platform to report to.
    report = runpod.serverless.progress_update if is_remote else lambda _job, _progress: None
    runpod.serverless.start({"handler": Handler(client, process, report).handle})


if __name__ == "__main__":
    main()
