"""The content of a notice: one JSON object, in the form of the Standard Webhooks specification.

    {"type": "job.succeeded", "timestamp": "2026-…Z", "data": {"job_id": …, "result": …}}

`data` is the job's one view, `outlast.checkpoint.view.view`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.checkpoint.view import moment, view

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

# Below the limit of any SQS queue, 256 KiB, and of most receivers of webhooks.
MAX_BYTES = 200_000


class Notice(NamedTuple):
    """The notice of one end of a job.

    Attributes:
        id: the same in each repetition of this notice, and in no other one: a receiver may drop
            repetitions by it.
        job_id: the job.
        body: the JSON text.
    """

    id: str
    job_id: str
    body: str


def notice_of(record: Record) -> Notice:
    """Return the notice of a job that is over.

    Result, parameters and error are left out, in this order, while the text is longer than
    `MAX_BYTES`, and named in "omitted"; `outlast result` and `outlast status` show them.
    """
    data = view(record)
    body = _body(record, data)
    for name in ("result", "params", "error"):
        if len(body) <= MAX_BYTES:
            break
        data = data | {name: None, "omitted": [*data.get("omitted", ()), name]}
        body = _body(record, data)
    # The end and not the way there: a store that lost its last writes lets the job end once more.
    # A retry makes another end of it, and so does a deletion before another job of this id.
    end = f"{record.job_id} {record.created_at} {record.notices.ends} {record.status}"
    digest = hashlib.blake2b(end.encode(), digest_size=16).hexdigest()
    return Notice(f"msg_{digest}", record.job_id, body)


def _body(record: Record, data: dict[str, Any]) -> str:
    latest = record.history.latest
    ended_at = (latest.ended_at if latest else None) or record.updated_at
    return json.dumps(
        {"type": f"job.{record.status}", "timestamp": moment(ended_at), "data": data},
        separators=(",", ":"),
    )
