"""The dead letters of an SQS queue: another queue, which its redrive policy names.

A message is redriven by a send and a delete, not by SQS's own move task: this needs no rights
beyond a worker's, works for single messages, and gives each a new id on a FIFO queue, which would
drop the old id as a duplicate for five minutes.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from outlast.checkpoint.safe_text import redacted
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.dead_letters import DeadLetter, DeadLetters, NoDeadLetterQueue
from outlast.worker.queues.sqs_connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs.type_defs import MessageTypeDef

# How long a look hides a message from others, should the process not end the look.
LOOK_SECONDS = 120
# A long poll asks all of the service's servers, so it misses no message.
POLL_SECONDS = 1
BATCH = 10  # the most that SQS returns at a time


class SqsDeadLetters(DeadLetters):
    """The dead-letter queue of the queue named by `sqs://name` or by its URL.

    Of a FIFO queue SQS returns up to ten messages of a job, and more once these are gone.
    """

    def __init__(self, queue: str) -> None:
        self._connection = Connection(queue)
        self._is_fifo = queue.endswith(".fifo")
        self._hidden: dict[str, str] = {}  # the last receipt of each message that a look has read

    @contextmanager
    def look(self) -> Iterator[Iterator[DeadLetter]]:
        """Iterate over the dead letters; see `DeadLetters.look`."""
        self._hidden.clear()
        try:
            yield self._receive()
        finally:
            self._show(list(self._hidden.values()))

    def redrive(self, letter: DeadLetter) -> None:
        """Send the message to the queue and delete it here; see `DeadLetters.redrive`."""
        group = letter.attributes.get("MessageGroupId")
        with self._connection.call() as (client, url):
            if self._is_fifo:
                client.send_message(
                    QueueUrl=url,
                    MessageBody=letter.body,
                    MessageGroupId=group or uuid4().hex,
                    MessageDeduplicationId=uuid4().hex,
                )
            else:
                client.send_message(QueueUrl=url, MessageBody=letter.body)
        self.drop(letter)

    def drop(self, letter: DeadLetter) -> None:
        """Delete the message for good; see `DeadLetters.drop`."""
        url, _ = self._url_and_reason
        with self._connection.call(late_is_fine=True) as (client, _):
            client.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt)
        self._hidden.pop(letter.letter_id, None)

    def _receive(self) -> Iterator[DeadLetter]:
        url, reason = self._url_and_reason
        while True:
            with self._connection.call() as (client, _):
                answer = client.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=BATCH,
                    MessageSystemAttributeNames=["All"],
                    VisibilityTimeout=LOOK_SECONDS,
                    WaitTimeSeconds=POLL_SECONDS,
                )
            messages = answer.get("Messages", [])
            fresh = [message for message in messages if message["MessageId"] not in self._hidden]
            self._hidden.update((m["MessageId"], m["ReceiptHandle"]) for m in messages)
            if not fresh:  # none is left, or the first ones come again
                return
            yield from (_dead_letter(message, reason) for message in fresh)

    def _show(self, receipts: list[str]) -> None:
        """Make the messages visible that a look has hidden; a missing one is no error."""
        for start in range(0, len(receipts), BATCH):
            batch = receipts[start : start + BATCH]
            with self._connection.call() as (client, _):
                client.change_message_visibility_batch(
                    QueueUrl=self._url_and_reason[0],
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                        for number, receipt in enumerate(batch)
                    ],
                )

    @cached_property
    def _url_and_reason(self) -> tuple[str, str]:
        with self._connection.call() as (client, url):
            answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        return dead_letter_queue(url, answer.get("Attributes", {}).get("RedrivePolicy"))


def dead_letter_queue(url: str, policy: str | None) -> tuple[str, str]:
    """Return the URL of a queue's dead-letter queue, and why messages go there.

    Raises:
        NoDeadLetterQueue: the queue has no redrive policy.
        QueueUnavailable: the policy cannot be read.
    """
    if policy is None:
        raise NoDeadLetterQueue(
            f"queue {redacted(url)} has no dead-letter queue: give it a RedrivePolicy, or messages "
            "that nobody can handle come again and again until they expire"
        )
    try:
        fields = json.loads(policy)
        arn, receives = str(fields["deadLetterTargetArn"]), int(fields["maxReceiveCount"])
    except (ValueError, KeyError, TypeError) as error:
        raise QueueUnavailable(
            f"queue {redacted(url)}: its RedrivePolicy cannot be read: {error}"
        ) from error
    # SQS requires both queues in one account and region, so only the name differs. Asking for the
    # URL would need another right.
    base, name = url.rpartition("/")[0], arn.rpartition(":")[2]
    return f"{base}/{name}", f"received {receives} times and never acknowledged"


def _dead_letter(message: MessageTypeDef, reason: str) -> DeadLetter:
    attributes = {str(name): value for name, value in message.get("Attributes", {}).items()}
    return DeadLetter(
        letter_id=message["MessageId"],
        body=message["Body"],
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        since=int(attributes.get("SentTimestamp", 1000 * time.time())) / 1000,
        reason=reason,
        attributes=attributes,
        receipt=message["ReceiptHandle"],
    )
