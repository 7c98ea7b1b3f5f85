"""An SQS queue, changed as an operator would."""

from __future__ import annotations

import json
import shlex
from contextlib import closing
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from outlast.worker.queues.receives import MAX_RECEIVES
from tests.doctor.between import DENIED, Answer, between
from tests.doctor.conftest import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_sqs import SQSClient

    from tests.servers import Server

QUEUE = "sqs://jobs"
WELL = {
    "VisibilityTimeout": "5400",
    "MessageRetentionPeriod": "1209600",
    "SqsManagedSseEnabled": "true",
}


@pytest.fixture
def sqs(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[SQSClient]:
    """A client of a service with a queue and its dead-letter queue, both well."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", "s3://bucket/jobs")
    monkeypatch.setenv("OUTLAST_QUEUE", QUEUE)
    with closing(boto3.client("s3")) as s3:
        s3.create_bucket(Bucket="bucket")
    with closing(boto3.client("sqs")) as client:
        make(client)
        yield client


def make(client: SQSClient, ending: str = "", **attributes: str) -> str:
    """Create the two queues; return the URL of the first."""
    fifo = {"FifoQueue": "true"} if ending else {}
    long = {"MessageRetentionPeriod": "1209600"}
    client.create_queue(QueueName=f"dead{ending}", Attributes=fifo | long)
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:000000000000:dead{ending}"}
    redrive = {"RedrivePolicy": json.dumps(policy | {"maxReceiveCount": MAX_RECEIVES})}
    every: Any = WELL | redrive | fifo | attributes
    return client.create_queue(QueueName=f"jobs{ending}", Attributes=every)["QueueUrl"]


def url_of(client: SQSClient, name: str = "jobs") -> str:
    """Return the URL of a queue."""
    return client.get_queue_url(QueueName=name)["QueueUrl"]


@pytest.mark.parametrize("by", ["name", "url"])
def test_a_queue_that_is_well(by: str, sqs: SQSClient, run_doctor: Any) -> None:
    """Doctor would cry wolf."""
    findings = run_doctor(OUTLAST_QUEUE=QUEUE if by == "name" else url_of(sqs))
    assert problems(findings, "queue.", "clock.queue") == {}
    assert {"queue.reach", "queue.rights", "queue.dead-letters", "clock.queue"} <= set(findings)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"VisibilityTimeout": "10"}, {"queue.visibility": "warning"}),
        ({"MessageRetentionPeriod": "3600"}, {"queue.retention": "warning"}),
        ({"DelaySeconds": "30"}, {"queue.delay": "warning"}),
        ({"SqsManagedSseEnabled": "false"}, {"queue.encryption": "warning"}),
        ({"SqsManagedSseEnabled": "false", "KmsMasterKeyId": "alias/mine"}, {}),
    ],
)
def test_a_queue_with_a_fault(
    change: dict[str, Any], expected: dict[str, str], sqs: SQSClient, run_doctor: Any
) -> None:
    """Messages would vanish, come late or come back for ever."""
    sqs.set_queue_attributes(QueueUrl=url_of(sqs), Attributes=change)
    assert problems(run_doctor(), "queue.", "clock.queue") == expected


def redrive(sqs: SQSClient, receives: int, dead: str = "dead") -> None:
    """Set another redrive policy."""
    policy = {
        "deadLetterTargetArn": f"arn:aws:sqs:us-east-1:000000000000:{dead}",
        "maxReceiveCount": receives,
    }
    sqs.set_queue_attributes(QueueUrl=url_of(sqs), Attributes={"RedrivePolicy": json.dumps(policy)})


def test_a_queue_that_gives_up_early(sqs: SQSClient, run_doctor: Any) -> None:
    """A job would lose its message to a few throttles."""
    redrive(sqs, MAX_RECEIVES - 1)
    findings = run_doctor()
    assert problems(findings, "queue.", "clock.queue") == {"queue.dead-letter-queue": "warning"}
    advice = findings["queue.dead-letter-queue"].mend.partition("--attributes '")[2].rstrip("'")
    sqs.set_queue_attributes(QueueUrl=url_of(sqs), Attributes=json.loads(advice))
    assert problems(run_doctor(), "queue.", "clock.queue") == {}
    findings = run_doctor(OUTLAST_MAX_STALLS="11")
    assert problems(findings, "queue.", "clock.queue") == {"queue.dead-letter-queue": "warning"}
    assert '"33"' in findings["queue.dead-letter-queue"].mend.replace("\\", "")


@pytest.mark.parametrize("ending", ["", ".fifo"])
def test_a_queue_without_a_dead_letter_queue(ending: str, sqs: SQSClient, run_doctor: Any) -> None:
    """A message that nobody can handle would come back for ever, and the advice not help."""
    fifo = {"FifoQueue": "true"} if ending else {}
    url = sqs.create_queue(QueueName=f"lone{ending}", Attributes=WELL | fifo)["QueueUrl"]
    findings = run_doctor(OUTLAST_QUEUE=url)
    assert problems(findings, "queue.", "clock.queue") == {"queue.dead-letter-queue": "error"}
    create, _, change = findings["queue.dead-letter-queue"].mend.partition(" && ")
    words = shlex.split(create)
    attributes = dict(pair.split("=") for pair in words[-1].split(","))
    sqs.create_queue(QueueName=words[words.index("--queue-name") + 1], Attributes=attributes)
    words = shlex.split(change.partition("; or")[0])
    sqs.set_queue_attributes(QueueUrl=words[4], Attributes=json.loads(words[-1]))
    assert problems(run_doctor(), "queue.", "clock.queue") == {}


def test_a_dead_letter_queue_that_is_gone(sqs: SQSClient, run_doctor: Any) -> None:
    """Messages would be given up into nothing."""
    sqs.delete_queue(QueueUrl=url_of(sqs, "dead"))
    assert run_doctor()["queue.dead-letter-queue"].level == "error"


def test_a_dead_letter_queue_that_forgets(sqs: SQSClient, run_doctor: Any) -> None:
    """A dead letter would be gone before anybody looked."""
    sqs.set_queue_attributes(
        QueueUrl=url_of(sqs, "dead"), Attributes={"MessageRetentionPeriod": "345600"}
    )
    assert problems(run_doctor(), "queue.", "clock.queue") == {
        "queue.dead-letter-retention": "warning"
    }


def test_messages_that_were_given_up(sqs: SQSClient, run_doctor: Any) -> None:
    """Nobody would look for the jobs that stand still."""
    sqs.send_message(QueueUrl=url_of(sqs, "dead"), MessageBody="{}")
    findings = run_doctor()
    assert problems(findings, "queue.", "clock.queue") == {"queue.dead-letters": "warning"}
    assert findings["queue.dead-letters"].found.startswith("1 ")
    assert "outlast dlq list" in findings["queue.dead-letters"].mend


def test_a_fifo_queue(sqs: SQSClient, run_doctor: Any) -> None:
    """Its own options would go unsaid."""
    make(sqs, ".fifo", ContentBasedDeduplication="true")
    findings = run_doctor(OUTLAST_QUEUE="sqs://jobs.fifo")
    assert problems(findings, "queue.", "clock.queue") == {}
    assert "300 requests" in findings["queue.fifo"].found
    limits = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    sqs.set_queue_attributes(QueueUrl=url_of(sqs, "jobs.fifo"), Attributes=limits)
    assert "high throughput" in run_doctor()["queue.fifo"].found


@pytest.mark.parametrize("ending", ["", ".fifo"])
def test_messages_are_not_touched(ending: str, sqs: SQSClient, run_doctor: Any) -> None:
    """A look would count as a crash of a worker, or a job be woken that was not to be."""
    url = url_of(sqs) if not ending else make(sqs, ending)
    ids = {"MessageGroupId": "a", "MessageDeduplicationId": "a"} if ending else {}
    sqs.send_message(QueueUrl=url, MessageBody="theirs", **ids)
    assert problems(run_doctor(OUTLAST_QUEUE=url), "queue.", "clock.queue") == {}
    got = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"]
    )["Messages"]
    assert [m["Body"] for m in got] == ["theirs"]
    assert got[0]["Attributes"] == {"ApproximateReceiveCount": "1"}


def denying(*operations: str) -> Callable[[Any], Answer | None]:
    """Refuse these operations of SQS."""

    def answer(request: Any) -> Answer | None:
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        return Answer(400, DENIED) if operation in operations else None

    return answer


@pytest.mark.parametrize(
    "operation", ["SendMessage", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"]
)
@pytest.mark.usefixtures("sqs")
def test_a_user_without_a_right(operation: str, ministack: Server, run_doctor: Any) -> None:
    """The first job would find out, not who deploys."""
    with between(denying(operation), ministack.url) as url:
        findings = run_doctor(AWS_ENDPOINT_URL=url)
    assert problems(findings, "queue.", "clock.queue") == {"queue.rights": "error"}
    assert f"sqs:{operation}" in findings["queue.rights"].mend


@pytest.mark.usefixtures("sqs")
def test_a_user_who_may_not_look(ministack: Server, run_doctor: Any) -> None:
    """The least rights of a worker would be told as errors."""
    with between(denying("GetQueueAttributes"), ministack.url) as url:
        findings = run_doctor(AWS_ENDPOINT_URL=url)
    assert problems(findings, "queue.", "clock.queue") == {"queue.look": "unknown"}
    for check in ("queue.reach", "queue.rights", "clock.queue"):
        assert findings[check].level == "ok"


@pytest.mark.usefixtures("sqs")
@pytest.mark.parametrize("by", ["name", "url"])
def test_a_queue_that_is_not_there(by: str, ministack: Server, run_doctor: Any) -> None:
    """A person would not know that it is the queue that is missing."""
    url = f"{ministack.url}/000000000000/nothing"
    findings = run_doctor(OUTLAST_QUEUE="sqs://nothing" if by == "name" else url)
    assert problems(findings, "queue.", "clock.queue") == {"queue.reach": "error"}
    assert (
        findings["queue.reach"].mend == "create the queue, or correct its name, region or account"
    )
