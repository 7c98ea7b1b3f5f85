"""The queues that carry the ids of jobs, and the URL that selects one.

A new kind of queue needs, beside its files and its form here: `doctor/queues.py`,
`doctor/settings.py` and `doctor/environment.py` to examine it, its prices in `costs/prices.toml`
and `costs/bill.py`, its name in `telemetry/spans.py`, and `default_urls.py` if a store brings it.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.redis_url import REDIS_FORMS, REDIS_URL, redis_hint
from outlast.checkpoint.safe_text import redacted
from outlast.checkpoint.sqlite_url import sqlite_hint, sqlite_path
from outlast.worker.queues.contract import InvalidQueueUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.queues.contract import Queue
    from outlast.worker.queues.dead_letters import DeadLetters

REDIS_NAME = "jobs"  # of the queue whose URL names none
_SQS = re.compile(r"(sqs://|https?://[^/@\s]+/(\S+/)?)[A-Za-z0-9_-]+(\.fifo)?")


def open_queue(url: str) -> Queue:
    """Return the queue that `url` names; only the module of its kind is imported.

    Raises:
        InvalidQueueUrl: it has another form than sqlite:///path, `REDIS_URL`, sqs://queue-name or
            the https URL of an SQS queue.
        QueueUnavailable: the SQLite file cannot be opened. A service is not asked yet.
    """
    if path := sqlite_path(url):
        from outlast.worker.queues.sqlite import SqliteQueue

        return SqliteQueue(path)
    if place := redis_place(url):
        from outlast.worker.queues.redis import RedisQueue  # redis takes 0.1 s

        with _checked(url):
            return RedisQueue.from_url(*place)
    if _SQS.fullmatch(url):
        from outlast.worker.queues.sqs import SqsQueue  # only here: botocore takes 0.2 s

        return SqsQueue(url)
    raise _invalid(url)


def open_dead_letters(url: str) -> DeadLetters:
    """Return the dead letters of the queue that `url` names; see `open_queue`."""
    if path := sqlite_path(url):
        from outlast.worker.queues.sqlite_dead_letters import SqliteDeadLetters

        return SqliteDeadLetters(path)
    if place := redis_place(url):
        from outlast.worker.queues.redis_dead_letters import RedisDeadLetters

        with _checked(url):
            return RedisDeadLetters.from_url(*place)
    if _SQS.fullmatch(url):
        from outlast.worker.queues.sqs_dead_letters import SqsDeadLetters

        return SqsDeadLetters(url)
    raise _invalid(url)


def redis_place(url: str) -> tuple[str, str] | None:
    """Return the URL of the server and the name of the queue; None: it is no queue in Redis."""
    if not (match := REDIS_URL.fullmatch(url)):
        return None
    if not (name := match["name"]):
        return url, REDIS_NAME
    begin, end = match.span("name")
    return url[: begin - 1] + url[end:], name


@contextmanager
def _checked(url: str) -> Iterator[None]:
    """Refuse what redis-py refuses of a URL."""
    try:
        yield
    except (ValueError, TypeError):
        # Without the cause: it may quote a part of the password.
        raise _invalid(url) from None


def _invalid(url: str) -> InvalidQueueUrl:
    hint = redis_hint(url) or sqlite_hint(url)
    return InvalidQueueUrl(
        f"no queue has the URL {redacted(url)!r} (OUTLAST_QUEUE); use sqlite:///path, "
        f"{REDIS_FORMS}, sqs://queue-name or the https URL of an SQS queue{hint}"
    )
