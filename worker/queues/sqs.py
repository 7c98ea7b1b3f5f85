"""Amazon SQS, standard and FIFO. The queue's redrive policy says when a message is given up."""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypedDict
from uuid import uuid4

from botocore.exceptions import ClientError

from outlast.worker.queues.contract import Backlog, Delivery, Queue, QueueUnavailable
from outlast.worker.queues.receives import RECEIVES_OF_SQS, is_first_of_sqs
from outlast.worker.queues.sqs_connection import LONGEST_POLL_SECONDS, Connection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import BatchResultErrorEntryTypeDef

    from outlast.worker.queues.message import Message

# SQS refuses more.
LONGEST_HIDE_SECONDS = 12 * 3600
MESSAGES_A_BATCH = 10
VISIBLE: Final = "ApproximateNumberOfMessages"


class _Order(TypedDict, total=False):
    MessageGroupId: str
    MessageDeduplicationId: str


class SqsQueue(Queue):
    """An existing queue, named by `sqs://name` or by its URL; FIFO if it ends in .fifo.

    The first call makes the client; before, AWS is not asked. Threads may share a queue.
    """

    def __init__(self, queue: str) -> None:
        self._connection = Connection(queue)
        self._is_fifo = queue.endswith(".fifo")

    def reach(self) -> None:
        """Make the client and open its connection, which a refusal does as well."""
        if not self._connection.is_made:
            with suppress(QueueUnavailable):
                self.is_empty()

    def send(self, message: Message, *, deduplication_id: str | None = None) -> None:
        """Put `message` on the queue; FIFO drops a repeated `deduplication_id` for 5 minutes."""
        with self._connection.call() as (client, url):
            client.send_message(
                QueueUrl=url, MessageBody=message.body(), **self._order(message, deduplication_id)
            )

    def send_all(self, messages: Sequence[Message]) -> None:
        """Put `messages` on the queue, ten in a request, which costs as much as one of them."""
        for begin in range(0, len(messages), MESSAGES_A_BATCH):
            batch = messages[begin : begin + MESSAGES_A_BATCH]
            entries: list[Any] = [
                {"Id": str(number), "MessageBody": message.body(), **self._order(message)}
                for number, message in enumerate(batch)
            ]
            with self._connection.call() as (client, url):
                answer = client.send_message_batch(QueueUrl=url, Entries=entries)
                for refused in answer.get("Failed", []):
                    raise _refusal(refused, "SendMessageBatch")

    def _order(self, message: Message, deduplication_id: str | None = None) -> _Order:
        """Return what a FIFO queue asks for besides; a standard one refuses that."""
        if not self._is_fifo:
            return {}
        return {
            "MessageGroupId": _group(message.group_id),
            "MessageDeduplicationId": _digest(deduplication_id or uuid4().hex),
        }

    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Return the next message; times are rounded up to whole seconds, the wait is at most 20 s.

        A wait of 0 asks only some of the service's servers, so it may miss a lone message.
        """
        batch = self.receive_batch(
            1, visibility_seconds=visibility_seconds, wait_seconds=wait_seconds
        )
        return batch[0] if batch else None

    def receive_batch(
        self, most: int, *, visibility_seconds: float, wait_seconds: float
    ) -> list[Delivery]:
        """Return the next messages, ten at most, in a request that costs as much as for one."""
        hidden_seconds = _whole(visibility_seconds, LONGEST_HIDE_SECONDS)
        with self._connection.call() as (client, url):
            answer = client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(most, MESSAGES_A_BATCH),
                VisibilityTimeout=hidden_seconds,
                WaitTimeSeconds=_whole(wait_seconds, LONGEST_POLL_SECONDS),
                MessageSystemAttributeNames=[RECEIVES_OF_SQS],
            )
        return [
            Delivery(
                message["Body"],
                message["ReceiptHandle"],
                hidden_seconds,
                is_first=is_first_of_sqs(message.get("Attributes")),
            )
            for message in answer.get("Messages", [])
        ]

    def is_empty(self) -> bool:
        """Return whether SQS counts no visible message; its count may be a minute old."""
        with self._connection.call() as (client, url):
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[VISIBLE])
        return answer["Attributes"][VISIBLE] == "0"

    def backlog(self) -> Backlog:
        """Return what SQS counts, in two requests; its counts may be a minute old.

        It does not tell ages: these are a metric in CloudWatch, ApproximateAgeOfOldestMessage.
        """
        # Only here: a worker that starts has no use for them.
        from outlast.worker.queues.dead_letters import NoDeadLetterQueue
        from outlast.worker.queues.sqs_dead_letters import dead_letter_queue

        with self._connection.call() as (client, url):
            counts = _counts(client, url)
            try:
                dead_url, _ = dead_letter_queue(url, counts.get("RedrivePolicy"))
                dead = int(_counts(client, dead_url)[VISIBLE])
            except (NoDeadLetterQueue, ClientError):
                dead = None
        waiting = int(counts[VISIBLE])
        hidden = int(counts[VISIBLE + "NotVisible"]) + int(counts[VISIBLE + "Delayed"])
        return Backlog(waiting, hidden, dead, None if waiting else 0.0)

    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for `seconds` from now, rounded up to whole ones, at most 12 hours."""
        with self._connection.call(late_is_fine=True) as (client, url):
            client.change_message_visibility(
                QueueUrl=url,
                ReceiptHandle=delivery.receipt,
                VisibilityTimeout=_whole(seconds, LONGEST_HIDE_SECONDS),
            )

    def ack(self, delivery: Delivery) -> None:
        """Delete the message."""
        with self._connection.call(late_is_fine=True) as (client, url):
            client.delete_message(QueueUrl=url, ReceiptHandle=delivery.receipt)

    def ack_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Delete these messages, ten in a request, which costs as much as one of them."""
        for begin in range(0, len(deliveries), MESSAGES_A_BATCH):
            batch = deliveries[begin : begin + MESSAGES_A_BATCH]
            entries: list[Any] = [
                {"Id": str(number), "ReceiptHandle": delivery.receipt}
                for number, delivery in enumerate(batch)
            ]
            with self._connection.call() as (client, url):
                answer = client.delete_message_batch(QueueUrl=url, Entries=entries)
            for refused in answer.get("Failed", []):
                with self._connection.call(late_is_fine=True):
                    raise _refusal(refused, "DeleteMessageBatch")


def _refusal(entry: BatchResultErrorEntryTypeDef, operation: str) -> ClientError:
    """Return the error that one entry of a batch has met."""
    error: Any = {"Code": entry["Code"], "Message": entry.get("Message", "")}
    return ClientError({"Error": error}, operation)


def _counts(client: SQSClient, url: str) -> dict[str, str]:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return {str(name): value for name, value in answer["Attributes"].items()}


def _whole(seconds: float, limit: int) -> int:
    return min(max(math.ceil(seconds), 0), limit)


def _group(group_id: str) -> str:
    """Return the id as SQS takes it: of 128 characters at most, a job's as it is."""
    return group_id if len(group_id) <= 128 else _digest(group_id)


def _digest(deduplication_id: str) -> str:
    """Return the id as SQS takes it: of 128 characters at most, which a job's id alone may have."""
    return hashlib.sha256(deduplication_id.encode()).hexdigest()
