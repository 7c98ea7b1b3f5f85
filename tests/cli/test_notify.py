"""`--notify`, as a person uses it: who is told of the end of a job, and what if that fails."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import boto3
import pytest

from tests.cli.process import assert_one_line, until
from tests.worker.receiver import Receiver, receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, Start
    from tests.servers import Server

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TALLY = ("tally", "steps=3", "step_seconds=0.01")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver of webhooks that the settings allow."""
    with receiver() as there:
        monkeypatch.setenv("OUTLAST_NOTIFY_SECRET", SECRET)
        monkeypatch.setenv("OUTLAST_NOTIFY_HOSTS", there.host)
        yield there


def test_a_worker_tells_a_webhook_that_fails_first(
    there: Receiver, start: Start, outlast: Outlast, client: Client
) -> None:
    """A receiver that is started again at the wrong moment would never hear of the job."""
    there.answers = [500]
    assert outlast("submit", *TALLY, "--job-id", "a", "--notify", there.url).code == 0
    worker = start("worker", "--max-idle-seconds", "30")
    until(lambda: client.status("a").notices.owed == () and len(there.requests) == 2)
    worker.send(signal.SIGTERM)
    ended = worker.end()
    assert ended.code == 0
    assert "was not told: it answered 500" in ended.err
    assert SECRET not in ended.err
    ids = {headers["webhook-id"] for _, headers, _ in there.requests}
    assert len(ids) == 1
    assert json.loads(there.requests[1][2])["data"]["result"] == {"total": 3}
    shown = outlast("status", "a").out
    assert "(told)" in shown
    assert "for=me" not in shown, "what follows a ? may be a key"


def test_a_worker_killed_while_it_notifies_is_replaced(
    there: Receiver, start: Start, outlast: Outlast, client: Client
) -> None:
    """The notice would die with the worker, after hours of work."""
    there.answers = [0]
    outlast("submit", *TALLY, "--job-id", "a", "--notify", there.url)
    first = start("worker")
    assert there.came.wait(30)
    first.kill()
    assert client.status("a").notices.owed == (there.url,)
    second = start("worker")
    until(lambda: client.status("a").notices.owed == ())
    second.send(signal.SIGTERM)
    second.end()
    ids = [headers["webhook-id"] for _, headers, _ in there.requests]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_a_cancelled_job_notifies(
    there: Receiver, start: Start, outlast: Outlast, client: Client
) -> None:
    """Who waits for a job that somebody else cancelled would wait for ever."""
    outlast("submit", *TALLY, "--job-id", "a", "--notify", there.url)
    assert outlast("cancel", "a").code == 0
    start("worker", "--max-idle-seconds", "0.5").end()
    (_, _, body) = there.requests[0]
    assert json.loads(body)["type"] == "job.cancelled"
    assert client.status("a").notices.owed == ()


@pytest.mark.parametrize("name", ["done", "done.fifo"])
def test_a_queue_of_the_users_gets_the_event(
    ministack: Server,
    start: Start,
    outlast: Outlast,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """A program that takes its results from a queue would get none."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    sqs = boto3.session.Session().client("sqs")
    fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    url = sqs.create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
    outlast("submit", *TALLY, "--job-id", "a", "--notify", f"sqs://{name}")
    start("worker", "--max-idle-seconds", "0.5").end()
    messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    sqs.close()
    assert [json.loads(m["Body"])["data"]["job_id"] for m in messages] == ["a"]


def test_a_queue_that_is_not_there_does_not_fail_the_job(
    ministack: Server,
    start: Start,
    outlast: Outlast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slip in a name would cost the result."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    outlast("submit", *TALLY, "--job-id", "a", "--notify", "sqs://nope")
    ended = start("worker", "--max-idle-seconds", "0.5").end()
    assert "sqs://nope was not told" in ended.err
    assert outlast("result", "a").out == "total=3\n"
    assert "sqs://nope (owed)" in outlast("status", "a").out


def test_run_keeps_what_a_worker_may_tell_and_says_what_is_open(
    there: Receiver, outlast: Outlast, client: Client
) -> None:
    """A receiver that is down for a moment would never be told, and nobody know."""
    there.answers = [500]
    ended = outlast("run", *TALLY, "--job-id", "a", "--notify", there.url)
    assert (ended.code, ended.out) == (0, "total=3\n")
    assert "was not told yet" in ended.err
    assert client.status("a").notices.owed == (there.url,)


@pytest.mark.parametrize(
    "target",
    [
        "exec:touch x",
        "file:///tmp/x",
        "https://example.com/",
        "ftp://x",
    ],
)
def test_a_target_that_cannot_be_used_stores_nothing(
    outlast: Outlast, client: Client, target: str
) -> None:
    """A command of a stranger's would run on a worker; or a slip be found out after hours."""
    for command in ("submit", "run"):
        assert_one_line(outlast(command, *TALLY, "--notify", target), 2, "outlast: notify ")
    assert list(client.records()) == []
