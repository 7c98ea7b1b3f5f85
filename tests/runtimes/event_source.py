"""What Lambda does between a queue and a function: poll, invoke, delete what has succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3

from tests import servers

if TYPE_CHECKING:
    from collections.abc import Callable

ATTRIBUTES = ["ApproximateReceiveCount"]


def make_queue(endpoint: str, name: str = "jobs", *, visibility_seconds: int = 30) -> str:
    """Make a queue; return its URL."""
    attributes = {"VisibilityTimeout": str(visibility_seconds)}
    client = client_of(endpoint)
    made = client.create_queue(QueueName=name, Attributes=attributes)
    client.close()
    return str(made["QueueUrl"])


def client_of(endpoint: str) -> Any:
    """Return an SQS client of the tests' own."""
    return boto3.session.Session(
        aws_access_key_id=servers.ACCESS_KEY,
        aws_secret_access_key=servers.SECRET_KEY,
        region_name="us-east-1",
    ).client("sqs", endpoint_url=endpoint)


class EventSource:
    """An event source mapping with ReportBatchItemFailures."""

    def __init__(self, endpoint: str, url: str, invoke: Callable[[Any], Any]) -> None:
        self._client = client_of(endpoint)
        self._url = url
        self._invoke = invoke

    def turn(self, *, batch_size: int = 1, wait_seconds: int = 20) -> Any:
        """Hand one batch to the function; return its answer, or None if there was no message."""
        messages = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=batch_size,
            MessageSystemAttributeNames=ATTRIBUTES,
            WaitTimeSeconds=wait_seconds,
        ).get("Messages", [])
        if not messages:
            return None
        answer = self._invoke({"Records": [record_of(message) for message in messages]})
        if isinstance(answer, dict) and "batchItemFailures" in answer:
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
            for message in messages:
                if message["MessageId"] not in failed:
                    receipt = message["ReceiptHandle"]
                    self._client.delete_message(QueueUrl=self._url, ReceiptHandle=receipt)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def record_of(message: Any) -> dict[str, Any]:
    """Return a message as Lambda hands it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:jobs",
        "awsRegion": "us-east-1",
    }
