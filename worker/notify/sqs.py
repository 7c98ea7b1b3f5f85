"""Notices to an SQS queue of the user's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.config import Config

from outlast.worker.notify.contract import NotTold
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.sqs_connection import Connection

if TYPE_CHECKING:
    from outlast.worker.notify.notice import Event


def send(target: str, event: Event, *, seconds: float) -> None:
    """Send the event to a queue; a FIFO queue drops a repetition of it for five minutes.

    Raises:
        NotTold: SQS refused, or did not answer within about `seconds`.
    """
    once = Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1})
    fifo: dict[str, Any] = {}
    if target.endswith(".fifo"):
        fifo = {"MessageGroupId": event.job_id, "MessageDeduplicationId": event.id}
    try:
        with Connection(target, config=once).call() as (client, url):
            client.send_message(QueueUrl=url, MessageBody=event.body, **fifo)
    except QueueUnavailable as error:
        raise NotTold(str(error)) from error
