"""Jobs submitted on one side and worked on the other, on each kind of store and queue."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, OutlastJson, Start
    from tests.servers import Server


@pytest.fixture
def sqs(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a service that has the queue `jobs` and the bucket `progress`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://jobs")
    session = boto3.session.Session()
    storage = session.client("s3")
    storage.create_bucket(Bucket="progress")
    storage.close()
    client = session.client("sqs")
    client.create_queue(QueueName="jobs")
    yield client
    client.close()


def left_in(sqs: Any) -> int:
    """Return how many messages the queue holds, hidden ones included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = sqs.get_queue_url(QueueName="jobs")["QueueUrl"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(counts[name]) for name in names)


def assert_round_trip(start: Start, outlast: Outlast) -> None:
    """Assert that a worker, a process of its own, finds the results of what is submitted."""
    line = ("submit", "tally", "steps=30", "step_seconds=0.01", "--job-id", "a")
    assert outlast(*line).out == "a\n"
    assert outlast(*line).out == "a\n"
    made_up = outlast("submit", "nth-prime", "position=10_000").out.strip()
    assert outlast("result", "a").code == 3

    ended = start("worker", "--slice-seconds", "0.1", "--max-idle-seconds", "1").end()
    assert (ended.code, ended.out) == (0, "")
    assert re.search(r"INFO job a slice 1 ended at \d+\.\d\d% after 0\.\d+ s: deadline", ended.err)
    assert "ended at 100.00%" in ended.err
    assert outlast("wait", "a").out == "total=30\n"
    assert outlast("result", made_up).out == "position=10000 prime=104729\n"


@pytest.mark.parametrize("isolate", [(), ("--isolate",)], ids=["here", "isolated"])
def test_a_log_of_json_stays_one(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch, isolate: tuple[str, ...]
) -> None:
    """One print of a kernel, and no program could read the log any more."""
    monkeypatch.setenv("TALLY_TELLS", "1")
    client.submit("tally", job_id="a", steps=3)
    ended = start(
        "worker",
        "--max-idle-seconds",
        "0.1",
        *isolate,
        env=os.environ | {"OUTLAST_LOG_FORMAT": "json"},
    ).end()
    assert (ended.code, ended.out) == (0, "")
    lines = [json.loads(line) for line in ended.err.splitlines()]
    (said,) = [line for line in lines if line["message"] == "at work"]
    assert (said["job_id"], said["slice"]) == ("a", 1)
    assert said["worker"] == next(line["worker"] for line in lines if "worker" in line)


def test_on_one_file(start: Start, outlast: Outlast) -> None:
    """Somebody who has just installed Outlast would get no job done."""
    assert_round_trip(start, outlast)


@pytest.mark.parametrize("store", ["redis", "s3"])
def test_on_servers(
    store: str,
    *,
    start: Start,
    outlast: Outlast,
    valkey_server: Server,
    sqs: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cluster of workers would get no job done, or leave messages behind."""
    url = f"{valkey_server.url}/7" if store == "redis" else "s3://progress/outlast"
    monkeypatch.setenv("OUTLAST_STORE", url)
    assert_round_trip(start, outlast)
    assert left_in(sqs) == 0


def test_a_worker_ends_after_its_slices(outlast_json: OutlastJson, client: Client) -> None:
    """A batch system that hands out short turns could not use a worker."""
    client.submit("tally", job_id="a", steps=50, step_seconds=0.01)
    ended = outlast_json("worker", "--slice-seconds", "0.05", "--max-slices", "2")
    assert ended["stopped_by"] is None
    assert client.status("a").usage.slices_begun == 2


def test_the_log_can_be_turned_down(
    outlast: Outlast, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line for each slice would fill the disks of those who did not want it."""
    monkeypatch.setenv("OUTLAST_LOG_LEVEL", "WARNING")
    client.submit("tally", job_id="a", steps=1)
    assert outlast("worker", "--max-slices", "1") == (0, "", "")


def test_a_lost_message_is_swept_up(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A job whose message was purged would sleep for ever."""
    client.create("tally", {"steps": 2}, job_id="a")
    assert outlast("sweep").out == ""
    assert outlast("sweep", "--after-seconds", "0.001").out == "a\n"
    assert outlast_json("sweep") == {"woken": []}
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert outlast("result", "a").out == "total=2\n"


def test_a_job_that_no_mark_names_is_swept_up_on_demand(outlast: Outlast, client: Client) -> None:
    """After a restore of the store its jobs would sleep for a day."""
    assert outlast("sweep").out == ""
    client.create("tally", {"steps": 2}, job_id="a")
    register = client.jobs._register
    register.delete("open/a", expected=register.read("open/a").version)
    assert outlast("sweep", "--after-seconds", "0.001").out == ""
    assert outlast("sweep", "--after-seconds", "0.001", "--all").out == "a\n"


LISTENS = """
import signal, sys
install = signal.signal

def spy(number, handler):
    if number == signal.SIGTERM:
        heavy = {"boto3", "numpy", "redis", "sqlite3", "outlast.worker.jobs.client"}
        print(sorted(heavy & sys.modules.keys()))
        sys.exit()
    return install(number, handler)

signal.signal = spy
from outlast.worker.cli import main
main(["worker"])
"""


def test_a_worker_listens_before_it_imports_what_takes_time() -> None:
    """A platform that stops a worker at its start would see it end by the signal, as in a crash."""
    done = subprocess.run(
        [sys.executable, "-c", LISTENS], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == "[]\n"
