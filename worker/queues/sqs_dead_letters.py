"""The dead letters of an SQS queue: another queue, which its redrive policy names.

A message goes back by a send and a delete, not by SQS's own move task: that needs no right beyond
those of any worker, takes single messages, and on FIFO gives each an id of its own, where the old
one would be dropped as a duplicate for five minutes.
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.dead_letters import DeadLetter, DeadLetters, NoDeadLetterQueue
from outlast.worker.queues.sqs_connection import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs.type_defs import MessageTypeDef

# How long a look hides a message from another one; if the process is killed, so long at most.
LOOK_SECONDS = 120
# A long poll asks all of the service's servers: what it does not find is not there.
POLL_SECONDS = 1
BATCH = 10  # SQS gives no more at a time


class SqsDeadLetters(DeadLetters):
    """The dead-letter queue of the queue named by `sqs://name` or by its URL.

    Of a FIFO queue SQS shows up to ten messages of a job; the next ones after these are gone.
    """

    def __init__(self, place: str) -> None:
        self._connection = Connection(place)
        self._is_fifo = place.endswith(".fifo")
        self._found: tuple[str, str] | None = None
        self._hidden: dict[str, str] = {}  # the last receipt of each message that a look has shown

    @contextmanager
    def look(self) -> Iterator[Iterator[DeadLetter]]:
        """Lend the dead letters; see `DeadLetters.look`."""
        self._hidden.clear()
        try:
            yield self._letters()
        finally:
            self._show(list(self._hidden.values()))

    def redrive(self, letter: DeadLetter) -> None:
        """Send the message to the queue and delete it here; see `DeadLetters.redrive`."""
        group = letter.attributes.get("MessageGroupId")
        with self._connection.asking() as (client, url):
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
        url, _ = self._place()
        with self._connection.asking(late_is_fine=True) as (client, _):
            client.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt)
        self._hidden.pop(letter.letter_id, None)

    def _letters(self) -> Iterator[DeadLetter]:
        url, reason = self._place()
        while True:
            with self._connection.asking() as (client, _):
                answer = client.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=BATCH,
                    MessageSystemAttributeNames=["All"],
                    VisibilityTimeout=LOOK_SECONDS,
                    WaitTimeSeconds=POLL_SECONDS,
                )
            messages = answer.get("Messages", [])
            fresh = [found for found in messages if found["MessageId"] not in self._hidden]
            self._hidden.update((found["MessageId"], found["ReceiptHandle"]) for found in messages)
            if not fresh:  # none is left, or they begin to come again
                return
            yield from (_letter(found, reason) for found in fresh)

    def _show(self, receipts: list[str]) -> None:
        """Make visible what a look has hidden; what is gone meanwhile is no error."""
        url, _ = self._place() if receipts else ("", "")
        for start in range(0, len(receipts), BATCH):
            batch = receipts[start : start + BATCH]
            with self._connection.asking() as (client, _):
                client.change_message_visibility_batch(
                    QueueUrl=url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                        for number, receipt in enumerate(batch)
                    ],
                )

    def _place(self) -> tuple[str, str]:
        """Return the URL of the dead-letter queue, and why messages come to it."""
        if self._found is None:
            with self._connection.asking() as (client, url):
                answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
            self._found = _place_of(url, answer.get("Attributes", {}).get("RedrivePolicy"))
        return self._found


def _place_of(url: str, policy: str | None) -> tuple[str, str]:
    if policy is None:
        raise NoDeadLetterQueue(
            f"queue {url} has no dead-letter queue: give it a RedrivePolicy, or messages that "
            "nobody can handle come again and again until they expire"
        )
    try:
        found = json.loads(policy)
        arn, most = str(found["deadLetterTargetArn"]), int(found["maxReceiveCount"])
    except (ValueError, KeyError, TypeError) as error:
        raise QueueUnavailable(f"queue {url}: its RedrivePolicy cannot be read: {error}") from error
    # SQS wants both in one account and region, so that only the name differs. This spares the
    # right to ask for it.
    base, name = url.rpartition("/")[0], arn.rpartition(":")[2]
    return f"{base}/{name}", f"received {most} times and never acknowledged"


def _letter(found: MessageTypeDef, reason: str) -> DeadLetter:
    attributes = {str(name): value for name, value in found.get("Attributes", {}).items()}
    sent_at = int(attributes.get("SentTimestamp", 1000 * time.time())) / 1000
    receives = int(attributes.get("ApproximateReceiveCount", 1))
    return DeadLetter(
        found["MessageId"],
        found["Body"],
        receives,
        sent_at,
        reason,
        attributes,
        found["ReceiptHandle"],
    )
