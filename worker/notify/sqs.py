"""Notices to an SQS queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.config import Config

from outlast.worker.notify.errors import NotDelivered
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.sqs_connection import Connection

if TYPE_CHECKING:
    from outlast.worker.notify.notice import Notice


def send(target: str, notice: Notice, *, seconds: float) -> None:
    """Send the notice to a queue; a FIFO queue drops its repetitions for five minutes.

    Raises:
        NotDelivered: SQS refused, or did not answer within about `seconds`.
    """
    once = Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1})
    fifo: dict[str, Any] = {}
    if target.endswith(".fifo"):
        fifo = {"MessageGroupId": notice.job_id, "MessageDeduplicationId": notice.id}
    try:
        with Connection(target, config=once).call() as (client, url):
            client.send_message(QueueUrl=url, MessageBody=notice.body, **fifo)
    except QueueUnavailable as error:
        raise NotDelivered(str(error)) from error
