"""What a target is told: one JSON object, as the Standard Webhooks specification lays it out.

    {"type": "job.succeeded", "timestamp": "2026-…Z", "data": {"job_id": …, "result": …}}

`data` is the job's one view, `outlast.worker.jobs.view.view`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.worker.jobs.view import moment, view

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

# Under what an SQS queue takes at the least, 256 KiB, and a receiver of webhooks usually does.
MAX_BYTES = 200_000


class Event(NamedTuple):
    """The end of a job.

    Attributes:
        id: the same whenever this end is told again, and no other's: who receives it twice may
            drop one.
        job_id: the job.
        body: the JSON text.
    """

    id: str
    job_id: str
    body: str


def event_of(record: Record) -> Event:
    """Return what is told of a job that is over.

    Parameters or a result that make it longer than `MAX_BYTES` are left out and named in
    "omitted"; `outlast result` and `outlast status` have them.
    """
    told = view(record)
    ended_at = record.history.latest.ended_at if record.history.latest else None
    body = _body(record, told, ended_at or record.updated_at)
    for name in ("result", "params", "error"):
        if len(body) <= MAX_BYTES:
            break
        told = told | {name: None, "omitted": [*told.get("omitted", ()), name]}
        body = _body(record, told, ended_at or record.updated_at)
    # A retry begins another slice, so an end after it is another one; and a job that is deleted
    # and submitted again was created at another time.
    end = f"{record.job_id} {record.created_at} {record.slice_number} {record.status}"
    digest = hashlib.blake2b(end.encode(), digest_size=16).hexdigest()
    return Event(f"msg_{digest}", record.job_id, body)


def _body(record: Record, told: dict[str, Any], ended_at: float) -> str:
    return json.dumps(
        {"type": f"job.{record.status}", "timestamp": moment(ended_at), "data": told},
        separators=(",", ":"),
    )
