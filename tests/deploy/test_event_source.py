"""The stand-in for AWS's event source mapping keeps and deletes messages as that does."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from runpy import run_path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.deploy.files import DEPLOY
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

SOURCE = run_path(str(DEPLOY / "local" / "event_source.py"))
done = SOURCE["done"]
BATCH = ("a", "b")


class Function(HTTPServer):
    """Answers every invocation with `answer` and keeps the events."""

    answer: bytes = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Invocation)
        self.events: list[Any] = []


class Invocation(BaseHTTPRequestHandler):
    """One invocation."""

    server: Function

    def do_POST(self) -> None:
        """Keep the event, give the answer."""
        size = int(self.headers["Content-Length"])
        self.server.events.append(json.loads(self.rfile.read(size)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def function() -> Iterator[Function]:
    """A function that serves until the test ends."""
    with serving(Function()) as server:
        yield server


@pytest.mark.parametrize(
    "answer", [b"", b"null", b"{}", b'{"batchItemFailures": []}', b'{"batchItemFailures": null}']
)
def test_an_answer_without_failures_is_success(answer: bytes):
    """As AWS documents it; else every message would come twice."""
    assert done(answer, BATCH) == {"a", "b"}


def test_named_messages_alone_come_again():
    """The others of the batch have been worked on."""
    assert done(b'{"batchItemFailures": [{"itemIdentifier": "b"}]}', BATCH) == {"a"}


@pytest.mark.parametrize(
    "answer",
    [
        b'{"errorType": "StoreUnavailable", "errorMessage": "no answer"}',
        b"Task timed out after 3.00 seconds",
        b'{"batchItemFailures": [{"itemIdentifier": "c"}]}',
        b'{"batchItemFailures": [{"itemIdentifer": "a"}]}',
        b'{"batchItemFailures": [{"itemIdentifier": ""}]}',
    ],
)
def test_all_come_again_after_an_error_a_timeout_or_a_wrong_name(answer: bytes):
    """AWS does so; a stand-in that deletes them would hide that the handler loses messages."""
    assert done(answer, BATCH) == set()


@pytest.mark.parametrize("named", [True, False])
def test_one_turn_hands_over_one_message(
    ministack: Server, function: Function, monkeypatch: pytest.MonkeyPatch, *, named: bool
):
    """The event has all that the handler reads; the message is deleted unless it is named."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="jobs", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    sent = sqs.send_message(QueueUrl=url, MessageBody='{"job_id": "j", "slice": 1}')["MessageId"]
    failures = [{"itemIdentifier": sent}] if named else []
    function.answer = json.dumps({"batchItemFailures": failures}).encode()
    address = f"http://127.0.0.1:{function.server_port}"
    SOURCE["EventSource"](sqs, "jobs", address, 10.0).turn()

    ((record,),) = [event["Records"] for event in function.events]
    assert record["messageId"] == sent
    assert record["eventSource"] == "aws:sqs"
    assert record["body"] == '{"job_id": "j", "slice": 1}'
    assert record["receiptHandle"]
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    left = sqs.receive_message(QueueUrl=url).get("Messages", [])
    assert [message["MessageId"] for message in left] == ([sent] if named else [])
