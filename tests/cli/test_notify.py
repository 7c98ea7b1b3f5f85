"""`--notify`, as a person uses it: workers that tell, and what `outlast run` tells by itself."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.cli.process import until
from tests.worker.receiver import Receiver, receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Ended, Process
    from tests.servers import Server

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TALLY = ("tally", "steps=3", "step_seconds=0.01")


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver of webhooks that the settings allow."""
    with receiver() as found:
        monkeypatch.setenv("OUTLAST_NOTIFY_SECRET", SECRET)
        monkeypatch.setenv("OUTLAST_NOTIFY_HOSTS", found.host)
        yield found


def lines(path: Path) -> list[dict[str, Any]]:
    """The events in a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_worker_tells_a_webhook_that_fails_first(
    there: Receiver, start: Callable[..., Process], outlast: Callable[..., Ended], client: Client
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


def test_a_worker_killed_while_it_tells_is_replaced(
    there: Receiver, start: Callable[..., Process], outlast: Callable[..., Ended], client: Client
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


def test_a_cancelled_job_is_told_of(
    there: Receiver, start: Callable[..., Process], outlast: Callable[..., Ended], client: Client
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
    start: Callable[..., Process],
    outlast: Callable[..., Ended],
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
    found = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    sqs.close()
    assert [json.loads(m["Body"])["data"]["job_id"] for m in found] == ["a"]


def test_a_queue_that_is_not_there_does_not_fail_the_job(
    ministack: Server,
    start: Callable[..., Process],
    outlast: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slip in a name would cost the result."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    outlast("submit", *TALLY, "--job-id", "a", "--notify", "sqs://nope")
    ended = start("worker", "--max-idle-seconds", "0.5").end()
    assert "sqs://nope was not told" in ended.err
    assert outlast("result", "a").out == "total=3\n"
    assert "sqs://nope (owed)" in outlast("status", "a").out


def test_run_writes_a_line_and_runs_a_command(
    outlast: Callable[..., Ended], client: Client, tmp_path: Path
) -> None:
    """A person who went for a coffee would not be called back."""
    log, copy = tmp_path / "done log", tmp_path / "copy"
    code = f"import sys, pathlib; pathlib.Path({str(copy)!r}).write_text(sys.stdin.read())"
    targets = (
        "--notify",
        f"file://{tmp_path}/done%20log",
        "--notify",
        f'exec:{sys.executable} -c "{code}"',
    )
    for _ in range(2):
        ended = outlast("run", *TALLY, "--job-id", "a", *targets)
        assert (ended.code, ended.out) == (0, "total=3\n"), ended.err
    assert [event["type"] for event in lines(log)] == ["job.succeeded"] * 2
    assert lines(copy)[0]["data"]["result"] == {"total": 3}
    assert client.status("a").notices.targets == ()


def test_run_tells_of_a_failure_and_of_a_notice_that_fails(
    outlast: Callable[..., Ended], tmp_path: Path
) -> None:
    """A script that goes on after the job would take silence for success."""
    (tmp_path / "file").touch()
    nowhere = f"file://{tmp_path}/file/x"
    bad = ["exec:false", f"exec:{tmp_path}/none", nowhere]
    ended = outlast("run", *TALLY, *(word for target in bad for word in ("--notify", target)))
    assert ended.code == 0
    assert "exec:false was not told: false ended with code 1" in ended.err
    assert f"exec:{tmp_path}/none was not told" in ended.err
    assert f"{nowhere} was not told" in ended.err


def test_run_keeps_what_a_worker_may_tell_and_says_what_is_open(
    there: Receiver, outlast: Callable[..., Ended], client: Client
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
        "exec:",
        "file://x/y",
        "exec:'",
    ],
)
def test_a_target_that_cannot_be_stores_nothing(
    outlast: Callable[..., Ended], client: Client, target: str
) -> None:
    """A command of a stranger's would run on a worker; or a slip be found out after hours."""
    ended = outlast("submit", *TALLY, "--notify", target)
    assert ended.code == 2
    assert ended.err.startswith("outlast: notify ")
    assert len(ended.err.splitlines()) == 1
    if target in {"ftp://x", "exec:", "file://x/y", "exec:'"}:
        assert outlast("run", *TALLY, "--notify", target).code == 2
    assert list(client.records()) == []
