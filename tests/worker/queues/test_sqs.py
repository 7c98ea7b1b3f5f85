"""SQS alone: FIFO drops duplicates, times are whole seconds, a queue has a name and a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import boto3
import pytest

from outlast.worker.jobs.submission import wake_job
from outlast.worker.queues import sqs_connection
from outlast.worker.queues.contract import Delivery
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqs import SqsQueue
from outlast.worker.slices.deliver import deliver
from tests.worker.floor import JOB, Floor
from tests.worker.queues.backends import URL
from tests.worker.queues.test_conformance import look, take

if TYPE_CHECKING:
    from botocore.stub import Stubber

    from tests.servers import Server
    from tests.worker.queues.backends import Backend

DELIVERY = Delivery("{}", "handle")
MESSAGE = Message(job_id="a", slice=2)


def test_fifo_drops_a_slice_announced_twice(fifo: Backend) -> None:
    """Duplicates would multiply: each worker that repeats a send would wake another one."""
    fifo.queue.send(MESSAGE, deduplication_id="w.1")
    fifo.queue.ack(take(fifo.queue))
    fifo.queue.send(MESSAGE, deduplication_id="w.1")
    assert look(fifo.queue) is None


@pytest.mark.parametrize("number", [2, None])
def test_fifo_delivers_a_message_sent_again_on_purpose(fifo: Backend, number: int | None) -> None:
    """A sweep or a second kick would be dropped in silence for five minutes."""
    message = Message(job_id="a", slice=number)
    for _ in range(2):
        fifo.queue.send(message)
        fifo.queue.ack(take(fifo.queue))


def test_fifo_delivers_messages_that_are_sent_together_again(fifo: Backend) -> None:
    """A resume within five minutes of the start would find no worker for any part."""
    for _ in range(2):
        fifo.queue.send_all([MESSAGE])
        fifo.queue.ack(take(fifo.queue))


def test_messages_go_ten_in_a_request(stubbed: tuple[SqsQueue, Stubber]) -> None:
    """The 4,000 messages of a job for 1,000 workers would cost, and take, ten times as much."""
    queue, stub = stubbed
    messages = [Message(job_id="a", slice=number) for number in range(1, 13)]
    for batch in (messages[:10], messages[10:]):
        entries = [{"Id": str(i), "MessageBody": x.body()} for i, x in enumerate(batch)]
        answer: dict[str, Any] = {"Successful": [], "Failed": []}
        stub.add_response("send_message_batch", answer, {"QueueUrl": URL, "Entries": entries})
    queue.send_all(messages)
    stub.assert_no_pending_responses()


def test_an_id_that_is_used_again_runs_at_once(fifo: Backend) -> None:
    """A job that is deleted and submitted anew would wait for a sweep before each slice."""
    floor = Floor(step_seconds=10.0)
    process = floor.process(queue=fifo.queue)
    for _ in range(2):
        floor.submit(steps=3, send=False)
        wake_job(fifo.queue, floor.record, "never mind")
        while not floor.record.status.is_final:
            delivery = take(fifo.queue)
            assert deliver(process, delivery, slice_seconds=10.0).ack
            fifo.queue.ack(delivery)
        assert floor.record.slice_number == 3
        floor.jobs.discard(JOB)


def test_reach_connects_once(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each direct call would pay for a request, or its last moments for the client."""
    boto3.client("sqs", endpoint_url=ministack.url).create_queue(QueueName="jobs")
    queue = SqsQueue(f"{ministack.url}/000000000000/jobs")
    queue.reach()
    connection = queue._connection
    assert connection.is_made
    monkeypatch.setattr(connection, "call", Mock(side_effect=AssertionError("asked again")))
    queue.reach()


def test_fifo_takes_the_longest_job_id(fifo: Backend) -> None:
    """A job whose id has the full 128 characters would never get a message."""
    message = Message(job_id="x" * 128, slice=10**6)
    fifo.queue.send(message, deduplication_id=f"{message.job_id}:w.1")
    assert take(fifo.queue).body == message.body()


@pytest.mark.parametrize("form", ["sqs://jobs", "{server}/000000000000/jobs"])
def test_name_and_url_lead_to_the_same_queue(
    ministack: Server, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """A queue set by its URL would be looked for at AWS instead of where the URL says."""
    boto3.client("sqs", endpoint_url=ministack.url).create_queue(QueueName="jobs")
    if form.startswith("sqs:"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    queue = SqsQueue(form.format(server=ministack.url))
    queue.send(MESSAGE)
    assert take(queue).body == MESSAGE.body()


def test_the_region_is_the_one_in_the_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """A complete URL would be refused for want of a region, or signed for a wrong one."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with SqsQueue(URL)._connection.call() as (client, _):
        assert client.meta.region_name == "eu-west-1"


@pytest.mark.parametrize(
    ("seconds", "whole", "poll"),
    [(0, 0, 0), (0.2, 1, 1), (-3, 0, 0), (30.0, 30, 20), (1e9, 43200, 20)],
)
def test_times_are_whole_seconds_in_range(
    stubbed: tuple[SqsQueue, Stubber], seconds: float, whole: int, poll: int
) -> None:
    """SQS would refuse a fraction or a long time, and 0.2 s must not become 0, which shows it."""
    queue, stub = stubbed
    times = {"VisibilityTimeout": whole, "WaitTimeSeconds": poll}
    others: dict[str, Any] = {"QueueUrl": URL, "MaxNumberOfMessages": 1}
    others["MessageSystemAttributeNames"] = ["ApproximateReceiveCount"]
    stub.add_response("receive_message", {}, {**others, **times})
    hidden = {"QueueUrl": URL, "ReceiptHandle": "handle", "VisibilityTimeout": whole}
    stub.add_response("change_message_visibility", {}, hidden)
    assert queue.receive(visibility_seconds=seconds, wait_seconds=seconds) is None
    queue.hide(DELIVERY, seconds)


def test_the_client_outwaits_the_longest_poll() -> None:
    """An idle worker would report a failure every few seconds."""
    timeout_seconds = vars(sqs_connection.CONFIG)["read_timeout"]
    assert timeout_seconds > sqs_connection.LONGEST_POLL_SECONDS
