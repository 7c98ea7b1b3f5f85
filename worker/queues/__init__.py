"""The queues that carry the ids of jobs, and the URL that selects one.

A new kind of queue needs, beside its files and its form here: `doctor/queues.py`,
`doctor/settings.py` and `doctor/environment.py` to examine it, its prices in `costs/prices.toml`
and `costs/bill.py`, and its name in `telemetry/spans.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from outlast.checkpoint.safe_text import redacted
from outlast.checkpoint.sqlite_file import sqlite_path
from outlast.worker.queues.contract import InvalidQueueUrl

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Queue
    from outlast.worker.queues.dead_letters import DeadLetters

_SQS = re.compile(r"(sqs://|https?://[^/@\s]+/(\S+/)?)[A-Za-z0-9_-]+(\.fifo)?")


def open_queue(url: str) -> Queue:
    """Return the queue that `url` names; only the module of its kind is imported.

    Raises:
        InvalidQueueUrl: it has another form than sqlite:///path, sqs://queue-name or the https
            URL of an SQS queue.
        QueueUnavailable: the SQLite file cannot be opened. SQS is not asked yet.
    """
    if path := sqlite_path(url):
        from outlast.worker.queues.sqlite import SqliteQueue

        return SqliteQueue(path)
    if _SQS.fullmatch(url):
        from outlast.worker.queues.sqs import SqsQueue  # only here: boto3 takes a third of a second

        return SqsQueue(url)
    raise _invalid(url)


def open_dead_letters(url: str) -> DeadLetters:
    """Return the dead letters of the queue that `url` names; see `open_queue`."""
    if path := sqlite_path(url):
        from outlast.worker.queues.sqlite_dead_letters import SqliteDeadLetters

        return SqliteDeadLetters(path)
    if _SQS.fullmatch(url):
        from outlast.worker.queues.sqs_dead_letters import SqsDeadLetters

        return SqsDeadLetters(url)
    raise _invalid(url)


def _invalid(url: str) -> InvalidQueueUrl:
    hint = ""
    if url.startswith("sqlite:///~"):
        hint = ". Its home folder is unknown; set HOME, or OUTLAST_QUEUE=sqlite:////full/path"
    return InvalidQueueUrl(
        f"queue {redacted(url)!r}: give sqlite:///path, sqs://queue-name or the https URL of an "
        f"SQS queue{hint}"
    )
