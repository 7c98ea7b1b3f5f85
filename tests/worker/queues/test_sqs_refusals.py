"""The message when SQS refuses; a call that comes late is no refusal.

No emulator gives all of AWS's answers; botocore's Stubber gives the others.
"""

from __future__ import annotations

from traceback import format_exception
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from outlast.worker.queues import sqs_connection
from outlast.worker.queues.contract import Delivery, QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqs import SqsQueue
from tests.servers import free_ports
from tests.worker.queues.backends import URL
from tests.worker.queues.test_conformance import look

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.stub import Stubber

    from outlast.worker.queues.contract import Queue
    from tests.servers import Server

DELIVERY = Delivery("{}", "handle")
MESSAGE = Message(job_id="a", slice=2)
HIDE, ACK = "change_message_visibility", "delete_message"


LATE = [
    "AWS.SimpleQueueService.MessageNotInflight",
    "MessageNotInflight",
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
]


@pytest.mark.parametrize("code", LATE)
def test_a_late_call_is_no_error(stubbed: tuple[SqsQueue, Stubber], code: str) -> None:
    """A worker a second too late would crash; InvalidParameterValue is an expired FIFO handle."""
    queue, stub = stubbed
    for method in (HIDE, ACK):
        stub.add_client_error(method, code, "The receipt handle has expired.", 400)
    queue.hide(DELIVERY, 5)
    queue.ack(DELIVERY)


def test_one_message_of_many_that_is_refused_is_an_error(
    stubbed: tuple[SqsQueue, Stubber],
) -> None:
    """A part would be taken for sent, and its job would fall silent."""
    queue, stub = stubbed
    refused = {"Id": "1", "SenderFault": False, "Code": "InternalError", "Message": "no room"}
    stub.add_response("send_message_batch", {"Successful": [], "Failed": [refused]})
    with pytest.raises(QueueUnavailable, match="no room"):
        queue.send_all([MESSAGE, MESSAGE])


CALLS: dict[str, Callable[[Queue], Any]] = {
    "send_message": lambda queue: queue.send(MESSAGE),
    "send_message_batch": lambda queue: queue.send_all([MESSAGE]),
    "receive_message": look,
    HIDE: lambda queue: queue.hide(DELIVERY, 5),
    ACK: lambda queue: queue.ack(DELIVERY),
}


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", "create the queue"),
        ("AccessDeniedException", "allow that operation on the queue"),
        ("ExpiredToken", "renew the credentials"),
        ("KmsDisabled", "see AWS's documentation"),
    ],
)
def test_a_refusal_names_the_queue_and_the_way_out(
    stubbed: tuple[SqsQueue, Stubber], method: str, code: str, advice: str
) -> None:
    """A person would get a traceback, or a job would be lost because a refusal passed for done."""
    queue, stub = stubbed
    stub.add_client_error(method, code, "No,\nsaid the service.", 400)
    with pytest.raises(QueueUnavailable, match=rf"\Aqueue {URL}: .*No, said.*; {advice}.*\Z"):
        CALLS[method](queue)


def test_a_missing_queue_is_named(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person with a typing mistake in the name would not see which name was used."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with pytest.raises(
        QueueUnavailable, match=r"queue sqs://jbos: .*; create the queue, or correct"
    ):
        look(SqsQueue("sqs://jbos"))


@pytest.mark.parametrize(
    ("missing", "way_out"),
    [
        (["AWS_DEFAULT_REGION"], "set AWS_DEFAULT_REGION"),
        (["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "set AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
    ],
)
def test_missing_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, missing: list[str], way_out: str
) -> None:
    """A person on a new machine would get a traceback out of boto3."""
    for name in missing:
        monkeypatch.delenv(name)
    with pytest.raises(QueueUnavailable, match=f"queue sqs://jobs: .*; {way_out}"):
        look(SqsQueue("sqs://jobs"))


def test_a_wrong_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would look for the mistake on the side of AWS."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(QueueUnavailable, match=r"no-such-profile.*; correct AWS_PROFILE$"):
        look(SqsQueue("sqs://jobs"))


@pytest.mark.parametrize("endpoint", ["nonsense", "http://me:s3cret@127.0.0.1:{port}"])
def test_a_wrong_endpoint_is_named(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """A worker whose service is down or misspelt would end in a traceback, or show a password."""
    once = sqs_connection.CONFIG.merge(Config(retries={"total_max_attempts": 1}))
    monkeypatch.setattr(sqs_connection, "CONFIG", once)  # it would sleep between attempts
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.format(port=free_ports(1)[0]))
    with pytest.raises(
        QueueUnavailable, match=r"queue sqs://jobs: .*; .*AWS_ENDPOINT_URL"
    ) as caught:
        look(SqsQueue("sqs://jobs"))
    SqsQueue("sqs://jobs").reach()  # which only prepares a call, and must not keep one from it
    assert "s3cret" not in "".join(format_exception(caught.value))


def test_a_queue_recovers_when_the_service_does(
    ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker started before its queue would never find it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    queue = SqsQueue("sqs://jobs")
    with pytest.raises(QueueUnavailable):
        look(queue)
    boto3.client("sqs", endpoint_url=ministack.url).create_queue(QueueName="jobs")
    assert look(queue) is None
