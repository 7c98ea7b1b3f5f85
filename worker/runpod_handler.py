"""RunPod serverless: `python -m outlast.worker.runpod_handler`, with the extra `outlast[runpod]`.

The input is a request as in `outlast.worker.loops.direct_calls`, or

    {"drain": true[, "max_seconds": s]}   work through the queue until it is empty

A call works for "max_seconds" at most, which is to be less than the request's executionTimeout.
RunPod ends a call by SIGTERM or not at all; what it has saved by then is not lost with it.
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
    InvalidRequest,
    Kick,
    Position,
    Request,
    Seconds,
    Submit,
    Sweep,
    advance,
    parse,
)
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.settings import InvalidSettings, read_settings, require_remote
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.loading import NewerState
from outlast.worker.slices.process import Runtime, make_runtime
from outlast.worker.telemetry.switches import log_on_platform

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.slices.process import RunningJob

# RunPod's executionTimeout is 600 s unless the endpoint or the request sets another.
DEFAULT_SECONDS = 540.0
# An empty receive from SQS takes a second; two of them are taken for an empty queue.
IDLE_SECONDS = 2.0
# Each update is a request, from a thread of its own.
PROGRESS_SECONDS = 5.0

# What a caller or an operator can mend is answered in one line. The rest is the SDK's to show.
TOLD = (
    InvalidRequest,
    InvalidParams,
    UnknownKernel,
    CheckpointError,
    NewerState,
    QueueUnavailable,
)


class Drain(Request):
    """Be a worker until the queue is empty or the time is up."""

    drain: Literal[True]
    max_seconds: Seconds = DEFAULT_SECONDS


FORMS: dict[str, type[Submit | Kick | Position | Sweep | Drain]] = {
    "kernel": Submit,
    "job_id": Kick,
    "position": Position,
    "sweep": Sweep,
    "drain": Drain,
}


class Handler:
    """Handles calls; clients and what was learned about time are kept from one to the next."""

    def __init__(
        self, client: Client, runtime: Runtime, tell: Callable[[dict[str, Any], Any], None]
    ) -> None:
        """Tell RunPod of progress by `tell(job, progress)`."""
        self._client = client
        self._runtime = runtime
        self._tell = tell

    def handle(self, job: dict[str, Any]) -> dict[str, Any]:
        """Handle one call; the answer has an "error" if the call or the job has failed."""
        try:
            return self._answer(job)
        except TOLD as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def _answer(self, job: dict[str, Any]) -> dict[str, Any]:
        request = parse(job["input"], FORMS)
        if isinstance(request, Sweep):
            return {"woken": self._client.sweep()}
        progress = Progress(job, self._tell)
        runtime = replace(self._runtime, watch=progress)
        if isinstance(request, Drain):
            return {"drained": self._drain(runtime, request), "jobs": sorted(progress.jobs)}
        # One that asks for more than the default has set its executionTimeout accordingly.
        seconds, request_id = request.max_seconds or DEFAULT_SECONDS, str(job["id"])
        return advance(self._client, runtime, request, seconds=seconds, request_id=request_id)

    def _drain(self, runtime: Runtime, request: Drain) -> bool:
        """Work through the queue; return False if the time was too short for that."""
        consumer = Consumer(runtime, slice_seconds=self._client.settings.slice_seconds)
        seconds = request.max_seconds
        with Deadline(seconds - runtime.timing.reserve_within(seconds)) as stop:
            consumer.run(max_idle_seconds=IDLE_SECONDS, outer=stop)
        return stop.reason is None


class Progress:
    """Called after each step: tells RunPod of one now and then, and notes which jobs ran."""

    def __init__(self, job: dict[str, Any], tell: Callable[[dict[str, Any], Any], None]) -> None:
        self.jobs: set[str] = set()
        self._job = job
        self._tell = tell
        self._due = time.monotonic()

    def __call__(self, job: RunningJob) -> None:
        """Tell of the progress of `job`, if it is time to."""
        job_id = job.record.job_id
        self.jobs.add(job_id)
        now = time.monotonic()
        if now >= self._due:
            self._due = now + PROGRESS_SECONDS
            self._tell(self._job, {"job_id": job_id, "progress": job.progress})


def main() -> None:
    """Start the worker; the SDK reads the command line."""
    import runpod

    # What the SDK itself looks at to tell a worker on its platform from a trial elsewhere.
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
    runtime = make_runtime(settings, client.jobs, client.queue)
    # In a trial there is nobody to tell.
    tell = runpod.serverless.progress_update if is_remote else _tell_nobody
    runpod.serverless.start({"handler": Handler(client, runtime, tell).handle})


def _tell_nobody(_job: dict[str, Any], _progress: Any) -> None:
    pass


if __name__ == "__main__":
    main()
