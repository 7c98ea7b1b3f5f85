"""An SQS queue: the rights to it, tried without touching a message, and its attributes."""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from outlast.worker.doctor import sqs_attributes
from outlast.worker.doctor.aws import asking, is_denied
from outlast.worker.doctor.clock import clock_findings, date_of
from outlast.worker.doctor.finding import Denied, error, ok
from outlast.worker.queues import open_queue
from outlast.worker.queues.sqs_connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_sqs import SQSClient

    from outlast.worker.doctor.finding import Check, Finding
    from outlast.worker.settings import Settings


# Requests that cannot succeed, so none receives or sends a message. A service that checks these
# values before the rights would hide a missing right.
NO_RECEIPT = "outlast-doctor"
PROBES: dict[str, Callable[[SQSClient, str], object]] = {
    "SendMessage": lambda client, url: client.send_message(
        QueueUrl=url, MessageBody="\x00", DelaySeconds=-1
    ),
    "ReceiveMessage": lambda client, url: client.receive_message(
        QueueUrl=url, MaxNumberOfMessages=0, VisibilityTimeout=0, WaitTimeSeconds=0
    ),
    "DeleteMessage": lambda client, url: client.delete_message(
        QueueUrl=url, ReceiptHandle=NO_RECEIPT
    ),
    "ChangeMessageVisibility": lambda client, url: client.change_message_visibility(
        QueueUrl=url, ReceiptHandle=NO_RECEIPT, VisibilityTimeout=0
    ),
}


class SqsExamination:
    """Examines an SQS queue."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = Connection(settings.queue)

    def checks(self) -> list[Check]:
        """Return the checks; none receives, hides or sends a message."""
        return [self._reach, self._rights, self._attributes, self._dead_letters, self._clock]

    @property
    def url(self) -> str:
        """The queue's URL."""
        with self._connection.call() as (_, url):
            return url

    @cached_property
    def attributes(self) -> dict[str, str]:
        """All attributes of the queue.

        Raises:
            Denied: these credentials may not read them.
        """
        with self._call() as (client, url):
            return _attributes_of(client, url)

    @contextmanager
    def _call(self) -> Iterator[tuple[SQSClient, str]]:
        with self._connection.call() as (client, url), asking():
            yield client, url

    def _reach(self) -> Iterator[Finding]:
        open_queue(self._settings.queue)  # raises InvalidQueueUrl
        try:
            waiting = f"{self.attributes.get('ApproximateNumberOfMessages', 'no')} messages wait"
        except Denied:  # The queue exists; the check of the attributes reports the missing right.
            waiting = "how many messages wait is not known"
        yield ok("queue.reach", f"{self.url}: {waiting}")

    def _rights(self) -> Iterator[Finding]:
        missing = []
        with self._connection.call() as (client, url):
            for operation, probe in PROBES.items():
                try:
                    probe(client, url)
                except ClientError as refused:
                    if is_denied(refused):
                        missing.append(operation)
        if not missing:
            yield ok("queue.rights", f"none refused: {', '.join(PROBES)}")
            return
        yield error(
            "queue.rights",
            f"these credentials may not: {', '.join(missing)}",
            breaks="without SendMessage no job is woken; without the others no worker can work",
            mend="attach the policy WorkerPolicyArn of deploy/template.yaml, or allow "
            + ", ".join(f"sqs:{operation}" for operation in missing),
        )

    def _attributes(self) -> Iterator[Finding]:
        attributes, url = self.attributes, self.url
        yield sqs_attributes.visibility(attributes, url, self._settings.slice_seconds)
        yield sqs_attributes.retention(attributes, url)
        yield sqs_attributes.redrive(attributes, url, self._settings.limits.max_stalls)
        yield sqs_attributes.encryption(attributes, url)
        yield sqs_attributes.delay(attributes, url)
        if attributes.get("FifoQueue") == "true":
            yield sqs_attributes.fifo(attributes)

    def _dead_letters(self) -> Iterator[Finding]:
        if "RedrivePolicy" not in self.attributes:
            return
        arn = str(json.loads(self.attributes["RedrivePolicy"])["deadLetterTargetArn"])
        *_, account, name = arn.split(":")
        with self._call() as (client, _):
            try:
                dead_url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            except client.exceptions.QueueDoesNotExist:
                missing = f"the redrive policy names {arn}, which does not exist"
                yield sqs_attributes.no_dead_letter_queue(missing, self.attributes, self.url)
                return
            dead = _attributes_of(client, dead_url["QueueUrl"])
        yield sqs_attributes.dead_retention(self.attributes, dead, dead_url["QueueUrl"])
        yield sqs_attributes.dead_count(dead)

    def _clock(self) -> Iterator[Finding]:
        with self._connection.call() as (client, url):
            ask = partial(client.get_queue_attributes, QueueUrl=url, AttributeNames=["QueueArn"])
            yield from clock_findings("queue", partial(date_of, ask), resolution_seconds=1.0)


def _attributes_of(client: SQSClient, url: str) -> dict[str, str]:
    answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    attributes: dict[Any, str] = answer.get("Attributes", {})
    return attributes
