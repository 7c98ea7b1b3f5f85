"""Requests to a serverless function without a queue's message: one JSON object each.

    {"job_id": id}                                    run the job's next slice now
    {"kernel": name, "params": {…}[, "job_id": id]    store a job and run its first slice now;
     [, "notify": [target, …]]                        with "parallel": send the messages of its
     [, "parallel": n[, "part_seconds": s]]}          first parts, for n workers
    {"position": n}                                   the same for the n-th prime
    {"sweep": true}                                   wake the jobs that lost their message

All but the last may have "max_seconds", a limit on how long the call works. A job that is not over
by then goes on with its continuation, which is sent to the queue as always.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outlast.checkpoint.fields import JobId, Target
from outlast.checkpoint.record_parts import MAX_TARGETS
from outlast.checkpoint.safe_text import first_error, redacted
from outlast.checkpoint.status import Status
from outlast.checkpoint.view import short
from outlast.kernel import InvalidParams
from outlast.kernel.bulk import has_bulk
from outlast.kernel.registry import load
from outlast.worker.jobs.new_job import derived_id
from outlast.worker.loops.array_links import links_of
from outlast.worker.queues.contract import Delivery
from outlast.worker.queues.message import Message
from outlast.worker.slices.deliver import deliver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.worker_process import WorkerProcess

F = TypeVar("F", bound="Request")

# The platforms limit an answer: AWS Lambda to 6 MB, RunPod to 10 MB.
MAX_RESULT_BYTES = 4_000_000

Seconds = Annotated[float, Field(gt=0, le=7 * 86_400)]


class InvalidRequest(Exception):
    """The request has none of the forms above, and nothing was done. Correct it."""


class Request(BaseModel):
    """The base of all requests."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", defer_build=True)


class JobRequest(Request):
    """A request about one job."""

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
    parallel: int | None = None
    part_seconds: float | None = None


class Position(JobRequest):
    """Find the n-th prime; the same question is the same job."""

    position: Annotated[int, Field(ge=1)]

    def submit(self) -> Submit:
        """Return the request that this is short for."""
        return Submit(
            kernel="nth-prime",
            params={"position": self.position},
            job_id=f"nth-prime-{self.position}",
            max_seconds=self.max_seconds,
        )


class Sweep(Request):
    """Wake jobs that lost their message."""

    sweep: Literal[True]


AnyRequest = Submit | Kick | Position | Sweep

FORMS: dict[str, type[AnyRequest]] = {
    "kernel": Submit,
    "job_id": Kick,
    "position": Position,
    "sweep": Sweep,
}


def parse(payload: object, forms: Mapping[str, type[F]]) -> F:
    """Return `payload` as a request; the first key of `forms` that it has decides its form.

    Raises:
        InvalidRequest: it has no such form; one line says what is wrong.
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
    except RecursionError:
        raise InvalidRequest("the request is nested too deeply") from None


def advance(
    client: Client,
    process: WorkerProcess,
    request: Kick | Submit | Position,
    *,
    seconds: float,
    request_id: str,
) -> dict[str, Any]:
    """Run a slice of at most `seconds` of the job; return what `answer` says of it afterwards.

    `request_id` is the platform's: if it repeats the call, it is the same job. No slice runs if
    another worker has the job, or if the job is over or paused.

    Raises:
        InvalidParams, UnknownJob, JobExists: nothing was done.
        UnknownKernel, StoreUnavailable, QueueUnavailable: a job that was stored stays, and a sweep
            wakes it.
    """
    if isinstance(request, Position):
        request = request.submit()
    if isinstance(request, Submit):
        kernel, params = request.kernel, request.params
        job_id = request.job_id or derived_id(kernel, request_id, kernel, params)
        _create(client, request, job_id)
    else:
        job_id = request.job_id
    if request.max_seconds is not None:
        seconds = min(seconds, request.max_seconds)
    deliver(process, Delivery(Message(job_id=job_id).body(), receipt=""), seconds=seconds)
    return answer(client, job_id)


def _create(client: Client, request: Submit, job_id: str) -> None:
    """Store the job; where it is refused, say of arrays that no request has them."""
    kernel = request.kernel
    try:
        client.create(
            kernel,
            request.params,
            job_id=job_id,
            notify=request.notify,
            parallel=request.parallel,
            part_seconds=request.part_seconds,
        )
    except InvalidParams as error:
        if not has_bulk(load(kernel).Params):
            raise
        raise InvalidParams(
            f"{error}; no request has arrays: submit such a job with the Python client or outlast "
            "submit, then call with its job_id"
        ) from None


def answer(client: Client, job_id: str) -> dict[str, Any]:
    """Return a job as a caller sees it, in JSON values.

    "error" is there only if the job has failed, "last_error" if it will be tried again. A result
    that is too large to answer stays in the store, and "result_at" says where. "arrays" is there
    only if the result has some: see `array_links.py`.

    Raises:
        NoBlobStore: the result has arrays, and no place for them is known here.
    """
    record = client.status(job_id)
    status: dict[str, Any] = {
        "job_id": record.job_id,
        "kernel": record.kernel,
        "status": str(record.status),
        "progress": record.progress,
        "slices": record.usage.slices_begun,
    }
    if record.error is not None:
        status["error" if record.status is Status.FAILED else "last_error"] = record.error
    if record.status is not Status.SUCCEEDED:
        return status
    answered: dict[str, Any] = {"result": short(record.result)}
    if arrays := links_of(record, lambda: client.blobs):
        answered["arrays"] = arrays
    size = sum(len(json.dumps(part)) for part in answered.values())
    if size <= MAX_RESULT_BYTES:
        return status | answered
    store = redacted(client.settings.store)
    return status | {"result_at": {"store": store, "job_id": job_id, "bytes": size}}
