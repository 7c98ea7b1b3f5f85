"""Hands messages of the queue to the Lambda container, as AWS's event source mapping does.

A stand-in for local use: on AWS this is a service, set up by deploy/template.yaml. It behaves like
it in all that the handler can notice. A batch is hidden for the queue's own visibility timeout
and given to the function in one invocation. Then a message is deleted if the function answered
and did not name it in `batchItemFailures`. Nothing is deleted, so that all come again once the
visibility timeout is over, if the function failed, ran into its time-out, or named a message that
is not in the batch.

Left out: more than one invocation at a time, the batching window, filters, and FIFO's order.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

log = logging.getLogger("event-source")

BATCH_SIZE = 1  # as in deploy/template.yaml: one slice an invocation
POLL_SECONDS = 5
BACKOFF_SECONDS = 2.0
# On top of the function's time-out, for a cold start and the way there and back.
GRACE_SECONDS = 30.0
PULSE = Path("/tmp/event-source")  # noqa: S108 - the container's own


class EventSource:
    """One queue, one function."""

    def __init__(self, sqs: SQSClient, queue: str, function: str, timeout_seconds: float) -> None:
        self._sqs = sqs
        self._url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        wanted = sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        self._arn = wanted["Attributes"]["QueueArn"]
        self._function = function
        self._timeout_seconds = timeout_seconds

    def warm(self) -> None:
        """Let the function start, which AWS does before an invocation and outside its time-out.

        The emulator does it within the first invocation, so that one carries no message.
        """
        self._invoke({"Records": []})

    def turn(self) -> None:
        """Hand over one batch, if there is one."""
        # No VisibilityTimeout here: that of the queue holds.
        received = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=BATCH_SIZE,
            WaitTimeSeconds=POLL_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = received.get("Messages", [])
        if not messages:
            return
        answer = self._invoke({"Records": [self._record(message) for message in messages]})
        for message in messages:
            if message["MessageId"] in done(answer, [m["MessageId"] for m in messages]):
                self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])

    def _invoke(self, event: dict[str, Any]) -> bytes:
        request = urllib.request.Request(self._function, json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=self._timeout_seconds) as response:
            answer: bytes = response.read()
            return answer

    def _record(self, message: MessageTypeDef) -> dict[str, Any]:
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": message.get("MessageAttributes", {}),
            "md5OfBody": message.get("MD5OfBody", ""),
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": self._sqs.meta.region_name,
        }


def done(answer: bytes, batch: Sequence[str]) -> set[str]:
    """Return the ids of the messages in `batch` that `answer` declares done.

    The emulator answers 200 to everything, so a failure shows in the text alone: an error is an
    object with an `errorType`, a time-out is no JSON at all.
    """
    try:
        value = json.loads(answer or b"null")
    except ValueError:
        log.error("the function did not answer: %s", answer[:200].decode(errors="replace"))
        return set()
    if not isinstance(value, dict):
        return set(batch)
    if "errorType" in value:
        log.error("the function failed: %s: %s", value["errorType"], value.get("errorMessage"))
        return set()
    failures = value.get("batchItemFailures") or []
    failed = {failure.get("itemIdentifier") for failure in failures}
    if not failed <= set(batch):
        log.error("the function named messages that are not in the batch: %s", failures)
        return set()
    return set(batch) - failed


def main() -> None:
    """Run until SIGTERM; with --is-alive only tell whether that other process still turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--is-alive", action="store_true")
    timeout_seconds = float(os.environ["LAMBDA_TIMEOUT_SECONDS"]) + GRACE_SECONDS
    if parser.parse_args().is_alive:
        sys.exit(time.time() - PULSE.stat().st_mtime > timeout_seconds + POLL_SECONDS)

    logging.basicConfig(level="WARNING", format="%(asctime)s %(name)s %(message)s")
    # What was taken and not deleted comes again: there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    queue = os.environ["OUTLAST_QUEUE"].removeprefix("sqs://")
    function = os.environ["FUNCTION_URL"]
    source = EventSource(boto3.client("sqs"), queue, function, timeout_seconds)
    source.warm()
    while True:
        PULSE.touch()
        try:
            source.turn()
        except (OSError, BotoCoreError, ClientError) as error:
            log.warning("%s; trying again", error)
            time.sleep(BACKOFF_SECONDS)


if __name__ == "__main__":
    main()
