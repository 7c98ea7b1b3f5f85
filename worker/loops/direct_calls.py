"""What may be asked of a serverless function directly, that is without a message: one JSON object.

    {"job_id": id}                                    run the job's next slice now
    {"kernel": name, "params": {…}[, "job_id": id]    store a job and run its first slice now
     [, "notify": [target, …]]}
    {"position": n}                                   the same for the n-th prime
    {"sweep": true}                                   wake the jobs that lost their message

All but the last may have "max_seconds", which is how long the call may work at most. A job that is
not over then goes on by its continuation, which is sent to the queue as ever.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outlast.checkpoint.fields import JobId, Target
from outlast.checkpoint.lines import first_error
from outlast.checkpoint.parts import MAX_TARGETS
from outlast.checkpoint.registers import redacted
from outlast.checkpoint.status import Status
from outlast.worker.queues.contract import Delivery, Queue
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import deliver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.process import Runtime

F = TypeVar("F", bound="Request")

# Less than any platform lets a function answer: AWS Lambda 6 MB, RunPod 10 MB.
MAX_RESULT_BYTES = 4_000_000

Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]


class InvalidRequest(Exception):
    """The request is not one of those above, and nothing was done. Correct it."""


class Request(BaseModel):
    """A request; the base of all."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)


class JobRequest(Request):
    """One that is about a single job."""

    max_seconds: Seconds | None = None


class Kick(JobRequest):
    """Run the next slice of a job."""

    job_id: JobId


class Submit(JobRequest):
    """Store a job and run its first slice; with a `job_id` that exists: its next one."""

    kernel: str
    params: dict[str, Any] = {}
    job_id: JobId | None = None
    notify: Annotated[list[Target], Field(max_length=MAX_TARGETS)] = []


class Position(JobRequest):
    """Find the n-th prime; the same question is the same job."""

    position: Annotated[int, Field(ge=1)]

    def submit(self) -> Submit:
        """Return what this is short for."""
        return Submit(
            kernel="nth-prime",
            params={"position": self.position},
            job_id=f"nth-prime-{self.position}",
            max_seconds=self.max_seconds,
        )


class Sweep(Request):
    """Wake jobs that lost their message."""

    sweep: Literal[True]


def parse(payload: object, forms: Mapping[str, type[F]]) -> F:
    """Return the request that `payload` makes; the first key of `forms` that it has decides.

    Raises:
        InvalidRequest: it makes none, and nothing was done; one line says what is wrong.
    """
    keys = payload if isinstance(payload, dict) else {}
    form = next((form for key, form in forms.items() if key in keys), None)
    if form is None:
        known = ", ".join(repr(key) for key in forms)
        raise InvalidRequest(f"a request is a JSON object with one of the keys {known}")
    try:
        return form.model_validate_json(json.dumps(payload))
    except ValidationError as error:
        raise InvalidRequest(first_error(error)) from None


def advance(
    client: Client,
    runtime: Runtime,
    request: Kick | Submit | Position,
    *,
    seconds: float,
    request_id: str,
) -> dict[str, Any]:
    """Run a slice of at most `seconds` of the job that is asked for; return the job as it then is.

    `request_id` is the platform's own: if it makes the same call twice, it is the same job. None
    runs where another worker holds the job, or where the job is over or paused.

    Raises:
        InvalidParams, UnknownJob, JobExists: nothing was done.
        UnknownKernel, StoreUnavailable, QueueUnavailable: a job that was stored stays, and a sweep
            wakes it.
    """
    if isinstance(request, Position):
        request = request.submit()
    job_id = request.job_id
    if isinstance(request, Submit):
        job_id = job_id or _made_up_id(request, request_id)
        client.create(request.kernel, request.params, job_id=job_id, notify=request.notify)
    here = replace(runtime, queue=Unqueued(runtime.queue))
    message = Message(job_id=str(job_id))
    if request.max_seconds is not None:
        seconds = min(seconds, request.max_seconds)
    deliver(here, Delivery(message.body(), receipt=""), seconds=seconds)
    return answer(client, message.job_id)


def answer(client: Client, job_id: str) -> dict[str, Any]:
    """Return what a caller wants to know of a job, as JSON; a large result is only pointed to.

    There is an "error" only if the job has failed.
    """
    record = client.status(job_id)
    told: dict[str, Any] = {
        "job_id": record.job_id,
        "kernel": record.kernel,
        "status": str(record.status),
        "progress": record.progress,
        "slices": record.usage.slices_begun,
    }
    if record.error is not None:
        told["error" if record.status is Status.FAILED else "last_error"] = record.error
    if record.status is not Status.SUCCEEDED:
        return told
    size = len(json.dumps(record.result))
    if size <= MAX_RESULT_BYTES:
        return told | {"result": record.result}
    store = redacted(client.settings.store)
    return told | {"result_at": {"store": store, "job_id": job_id, "bytes": size}}


def _made_up_id(request: Submit, request_id: str) -> str:
    """Return the same id for the same question in the same call."""
    asked = json.dumps([request_id, request.kernel, request.params], sort_keys=True)
    return f"{request.kernel}-{hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()}"


class Unqueued(Queue):
    """The queue of a slice that no message started: it sends, and has nothing to hide or delete."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def send(self, message: Message, *, again: bool = False) -> None:
        """Send to the queue proper."""
        self._queue.send(message, again=again)

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Receive from the queue proper."""
        return self._queue.receive(visibility_seconds=visibility_seconds, wait_seconds=wait_seconds)

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Do nothing."""

    def ack(self, delivery: Delivery) -> None:
        """Do nothing."""
