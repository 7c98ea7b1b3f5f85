"""`outlast dlq`: what a person sees of dead letters, and what they can do with them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

import boto3
import pytest
import redis

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.fleet import Fleet, Place
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Lease
from outlast.worker.cli import tables
from outlast.worker.jobs.client import Client
from outlast.worker.jobs.diagnosis import diagnose
from outlast.worker.queues.message import Message
from outlast.worker.queues.receives import MAX_RECEIVES
from tests.cli.process import OUTLAST
from tests.records import NEWER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.process import Outlast, OutlastJson
    from tests.servers import Server

FOREIGN = '{"hello": "\x1b[2Jworld"}'
LEASE = Lease(
    worker="w", token="t", claimed_at=0.0, expires_at=9e9, seconds=9e9, at_risk_seconds=1.0
)


class Foreign:
    """A message of someone else's."""

    job_id, slice = "x", 1

    def body(self) -> str:
        """Return a text that would clear a terminal."""
        return FOREIGN


def kill(client: Client, *messages: Message) -> None:
    """Let the embedded queue give messages up."""
    for message in messages:
        client.queue.send(message)
    while delivery := client.queue.receive(visibility_seconds=0, wait_seconds=0):
        client.queue.hide(delivery, 0)


@pytest.fixture
def dead(client: Client) -> Client:
    """A queue with three dead letters: of a job that is over, of none, and a foreign one."""
    client.create("tally", {"steps": 1}, job_id="done")
    client.jobs.change("done", lambda record: record.succeeded({"total": 1}))
    foreign = cast("Message", Foreign())
    kill(client, Message(job_id="done", slice=1), Message(job_id="never"), foreign)
    return client


@pytest.mark.usefixtures("dead")
def test_a_dead_letter_fits_the_terminal(outlast: Outlast, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do about it would be broken in the middle of a word."""
    whole = outlast("dlq", "list").out
    monkeypatch.setattr(tables, "terminal_columns", lambda: 60)
    shown = outlast("dlq", "list").out
    assert max(map(len, shown.splitlines())) <= 60 < max(map(len, whole.splitlines()))
    assert [row.split()[0] for row in shown.splitlines() if row[0] != " "] == ["ID", "1", "2", "3"]


LACKING = "worker w cannot run it: it needs numba: pip install 'outlast[primes]'"


@pytest.mark.parametrize("kernels", [["tally"], []], ids=["installed", "not installed"])
def test_what_the_workers_could_not_do_is_told(
    kernels: list[str], outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A person would search the workers' log for what the job's record says."""
    client.submit("tally", job_id="a", steps=2)
    client.jobs.change("a", lambda record: record.unclaimed(record, LACKING))
    kill(client)
    lines = outlast("dlq", "list").out.splitlines()
    assert lines[2] == f"    error: {LACKING}"
    assert lines[3].startswith("    the job waits for a message: see its error and ")
    assert [letter["error"] for letter in outlast_json("dlq", "list")] == [LACKING]
    assert outlast_json("dlq", "show", "1")["error"] == LACKING
    assert f"error       {LACKING}\n" in outlast("dlq", "show", "1").out
    body = Message(job_id="a", slice=1).body()
    assert diagnose(client.jobs, kernels, body).condition == "the job waits for a message"


def test_a_store_that_does_not_answer_hides_no_dead_letter(
    outlast: Outlast, dead: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an outage a person could see nothing; or each letter would wait for the store anew."""
    assert dead
    asked = Mock(side_effect=StoreUnavailable("redis at a:1: it does not answer"))
    monkeypatch.setattr(JobStore, "load", asked)
    ended = outlast("dlq", "list")
    assert (ended.code, ended.err) == (0, "outlast: redis at a:1: it does not answer\n")
    assert asked.call_count == 1
    assert ended.out.count("    the store does not answer: look again when it does\n") == 2
    assert "not a message of Outlast" in ended.out
    ended = outlast("dlq", "show", "1", "--json")
    assert (ended.code, json.loads(ended.out)["job_id"]) == (0, "done")


def test_a_store_that_cannot_be_opened_hides_no_dead_letter(
    outlast: Outlast, dead: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong OUTLAST_STORE would keep a person from the messages of OUTLAST_QUEUE."""
    assert dead
    (folder / "foreign").write_text("no database")
    monkeypatch.setenv("OUTLAST_STORE", f"sqlite:///{folder / 'foreign'}")
    ended = outlast("dlq", "list", "--limit", "1")
    assert (ended.code, ended.err.count("\n")) == (0, 1)
    assert ended.err.endswith(" (OUTLAST_STORE)\n")
    assert "the store does not answer" in ended.out


@pytest.mark.parametrize("words", [("list",), ("drop", "--all"), ("redrive", "--all")])
def test_where_there_is_no_dead_letter_it_is_said(words: tuple[str, ...], outlast: Outlast) -> None:
    """A person would take the empty screen for a command that did not work."""
    ended = outlast("dlq", *words)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "outlast: there is no dead letter\n"


def test_a_list_says_what_there_is_and_what_to_do(
    outlast: Outlast, outlast_json: OutlastJson, dead: Client
) -> None:
    """A person would have to look up each job by hand."""
    assert dead
    ended = outlast("dlq", "list")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].split() == ["ID", "JOB", "SLICE", "RECEIVES", "AGE", "REASON"]
    assert lines[1].split()[:4] == ["1", "done", "1", str(MAX_RECEIVES)]
    assert lines[1].endswith(f"received {MAX_RECEIVES} times and never acknowledged")
    assert lines[2] == "    the job has succeeded: nothing to do: drop it"
    assert lines[4].startswith("    the store has no such job: if the workers use this store, too")
    assert lines[6:] == [
        '    body: "{\\"hello\\": \\"\\u001b[2Jworld\\"}"',
        "    not a message of Outlast: find out who sends such messages, then drop it",
    ]
    dead_letters = outlast_json("dlq", "list")
    assert [letter["job_id"] for letter in dead_letters] == ["done", "never", None]
    assert [letter["slice"] for letter in dead_letters] == [1, None, None]
    assert dead_letters[2]["body"] == FOREIGN
    assert len(outlast_json("dlq", "list", "--limit", "2")) == 2


@pytest.mark.parametrize("words", [("dlq", "list"), ("list",), ("sweep",)])
def test_a_look_into_a_new_file_leaves_it_usable(words: tuple[str, ...], outlast: Outlast) -> None:
    """A new user's next command would call the file that Outlast has just made a foreign one."""
    assert outlast("dlq", "list").code == 0
    assert outlast(*words).code == 0
    assert outlast("status", "x").err.startswith("outlast: there is no job 'x' in this store: ")


@pytest.mark.parametrize("value", ["x'ff00'", "CAST(x'ff00' AS TEXT)"])
def test_a_body_that_is_no_text_is_shown_and_goes_back_as_it_was(
    value: str, outlast: Outlast, outlast_json: OutlastJson, client: Client, folder: Path
) -> None:
    """One message of someone else's would hide all dead letters, or come back as another one."""
    kill(client)  # makes the file
    put = f"""INSERT INTO outlast_messages (body, visible_at, receives, dead_reason)
    VALUES ({value}, 1, 1, 'received too often')"""
    with sqlite3.connect(folder / "outlast.db") as connection:
        connection.execute(put)
    ended = outlast("dlq", "list")
    assert (ended.code, ended.err) == (0, "")
    assert '    body: "\\ufffd\\u0000"' in ended.out
    assert [letter["body"] for letter in outlast_json("dlq", "list")] == ["\ufffd\0"]
    assert outlast_json("dlq", "show", "1")["body"] == "\ufffd\0"
    assert outlast("dlq", "show", "1").code == 0
    assert outlast("dlq", "redrive", "1").code == 0
    connection.text_factory = bytes
    rows = connection.execute("SELECT id, body FROM outlast_messages WHERE dead_reason IS NULL")
    assert rows.fetchall() == [(2, b"\xff\x00")]
    connection.close()


def test_one_letter_is_shown_in_full(
    outlast: Outlast, outlast_json: OutlastJson, dead: Client
) -> None:
    """A person could not see what a foreign message says; or it would take over the terminal."""
    assert dead
    assert outlast_json("dlq", "show", "3")["body"] == FOREIGN
    shown = outlast("dlq", "show", "3").out
    assert "\x1b" not in shown
    assert '\\"hello\\": \\"\\u001b[2Jworld\\"' in shown
    ended = outlast("dlq", "show", "99")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "outlast: there is no dead letter '99'; outlast dlq list shows them\n"


@pytest.mark.parametrize(("command", "outcome"), [("redrive", "sent again"), ("drop", "dropped")])
def test_they_are_handled_by_id_and_twice_is_no_error(
    command: str, outcome: str, outlast: Outlast, outlast_json: OutlastJson, dead: Client
) -> None:
    """A script that is run again would fail, or send a message twice."""
    assert outlast("dlq", command, "3", "1").out == f"message 1: {outcome}\nmessage 3: {outcome}\n"
    assert outlast_json("dlq", command, "1") == [{"id": "1", "outcome": "no dead letter"}]
    assert [letter["id"] for letter in outlast_json("dlq", "list")] == ["2"]
    received = []
    while delivery := dead.queue.receive(visibility_seconds=60, wait_seconds=0):
        received.append(delivery.body)
    sent = [Message(job_id="done", slice=1).body(), FOREIGN]
    assert received == (sent if command == "redrive" else [])


@pytest.mark.parametrize("command", ["redrive", "drop"])
def test_all_are_handled(command: str, outlast_json: OutlastJson, dead: Client) -> None:
    """A person with a thousand dead letters would have to name each."""
    assert dead
    assert [outcome["id"] for outcome in outlast_json("dlq", command, "--all")] == ["1", "2", "3"]
    assert outlast_json("dlq", "list") == []
    assert outlast_json("dlq", command, "--all") == []


def test_a_redriven_message_leads_its_job_on(outlast: Outlast, client: Client) -> None:
    """A job whose worker failed for another reason than the job would stand still until a sweep."""
    client.submit("tally", job_id="a", steps=2)
    kill(client)
    assert "the job waits for a message: find out from the workers' log" in (
        outlast("dlq", "list").out
    )
    assert outlast("dlq", "redrive", "--all").code == 0
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert client.result("a") == {"total": 2}


def moved(record: Record) -> Record:
    """Return the job as it is after a slice, announced."""
    return record.claimed(LEASE).released().marked_announced()


@pytest.mark.parametrize(
    ("move", "finding", "advice"),
    [
        (lambda r: r, "the job waits for a message", "then redrive"),
        (lambda r: r.claimed(LEASE).released(), "the job waits for a message", "then redrive"),
        (Record.cancelled, "the job is cancelled", "nothing to do: drop it"),
        (Record.paused, "the job is paused", "drop it; outlast resume a sends a new one"),
        (lambda r: r.failed("it broke"), "the job failed", "outlast retry a sends a new one"),
        (lambda r: r.claimed(LEASE), "the job is running at slice 1", "nothing to do: drop it"),
        (moved, "the job is queued at slice 2", "nothing to do: drop it"),
    ],
)
def test_what_a_record_says(
    move: Callable[[Record], Record], finding: str, advice: str, client: Client
) -> None:
    """A person would redrive what is done, or drop what a job still needs."""
    client.create("tally", {"steps": 1}, job_id="a")
    client.jobs.change("a", move)
    diagnosis = diagnose(client.jobs, ["tally"], Message(job_id="a", slice=1).body())
    assert diagnosis[:4] == ("a", 1, None, finding)
    assert advice in diagnosis.advice


BIRTH = "0123456789abcdef"


@pytest.mark.parametrize(
    ("move", "birth", "finding", "advice"),
    [
        (None, BIRTH, "part 3 waits for a message", "then redrive"),
        (lambda r: r.claimed(LEASE), BIRTH, "part 3 is running at slice 1", "nothing to do: dr"),
        (moved, BIRTH, "part 3 is queued at slice 2", "nothing to do: drop it"),
        (lambda r: r.claimed(LEASE).succeeded({}), BIRTH, "part 3 waits for a me", "then redrive"),
        (None, BIRTH[::-1], "the job does not need its part 3 any more", "nothing to do: drop it"),
    ],
)
def test_what_the_record_of_a_part_says(
    move: Callable[[Record], Record] | None,
    birth: str,
    finding: str,
    advice: str,
    client: Client,
) -> None:
    """Who drops the message of a part has a job that stands still until a sweep."""
    client.create("tally", {"steps": 1}, job_id="a")
    shared = client.jobs.change("a", divided).record
    assert shared.fleet is not None
    if move:
        node = shared.fleet.node(Place(0, 3))
        part = Record(job_id="a", kernel="tally", params={}, created_at=1, updated_at=1, node=node)
        client.jobs.create(move(part))
    message = Message(job_id="a", slice=1, birth=birth, part=3)
    diagnosis = diagnose(client.jobs, ["tally"], message.body())
    assert diagnosis[:3] == ("a", 1, 3)
    assert diagnosis.condition.startswith(finding)
    assert advice in diagnosis.advice


@pytest.mark.parametrize(
    ("of_job", "of_part", "told"), [("x", "y", "y"), ("x", None, "x"), (None, None, None)]
)
def test_of_a_part_its_own_error_is_told(
    of_job: str | None, of_part: str | None, told: str | None, client: Client
) -> None:
    """A person would mend what another part, or the job before it was divided, had met."""
    client.create("tally", {"steps": 1}, job_id="a")
    shared = client.jobs.change("a", lambda r: divided(r).unclaimed(r, of_job)).record
    assert shared.fleet is not None
    node = shared.fleet.node(Place(0, 3))
    part = Record(job_id="a", kernel="tally", params={}, created_at=1, updated_at=1, node=node)
    client.jobs.create(part.unclaimed(part, of_part))
    message = Message(job_id="a", slice=1, birth=BIRTH, part=3)
    assert diagnose(client.jobs, ["tally"], message.body()).error == told


def test_the_part_of_a_dead_letter_is_shown(outlast: Outlast, client: Client) -> None:
    """A person would see ten letters of one job, and not that each is another part."""
    client.create("tally", {"steps": 1}, job_id="a")
    client.jobs.change("a", divided)
    kill(client, Message(job_id="a", slice=1, birth=BIRTH, part=3))
    assert " a/3 " in outlast("dlq", "list").out


def divided(record: Record) -> Record:
    """Return the job as one that is cut into four parts, which have their messages."""
    shared = record.model_copy(update={"fleet": Fleet.of(2)})
    return shared.cut(BIRTH, {}, (1, 1, 1, 1), (1, 1, 1, 1), version=1).claimed(LEASE).answered(1)


def test_what_a_missing_kernel_or_record_says(client: Client) -> None:
    """A person would not learn of the most common mistakes in a deployment."""
    client.create("tally", {"steps": 1}, job_id="a")
    body = Message(job_id="a", slice=1).body()
    diagnosis = diagnose(client.jobs, ["other"], body)
    assert diagnosis.condition == "the job waits; its kernel 'tally' is not installed here"
    client.jobs.discard("a")
    assert diagnose(client.jobs, [], body).condition == "the job was deleted"
    client.jobs._register.put("jobs/a", b"damaged", expected=None)
    diagnosis = diagnose(client.jobs, [], body)
    assert diagnosis.condition == "job a: not a record of Outlast: its first bytes are foreign"
    assert diagnosis.advice.endswith("or outlast delete --force a")
    client.jobs.discard("a")
    client.jobs._register.put("jobs/a", NEWER, expected=None)
    assert diagnose(client.jobs, [], body).advice.startswith("upgrade the workers")


@pytest.fixture(
    params=["", pytest.param(".fifo", marks=pytest.mark.chaos)], ids=["standard", "fifo"]
)
def remote(
    request: pytest.FixtureRequest,
    ministack: Server,
    valkey_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> Client:
    """A store on Valkey and an SQS queue that gives a message up after two receives."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/8")
    monkeypatch.setenv("OUTLAST_QUEUE", f"sqs://jobs{request.param}")
    with redis.Redis.from_url(f"{valkey_server.url}/8") as connection:
        connection.flushdb()
    sqs = boto3.client("sqs")
    fifo = {"FifoQueue": "true"} if request.param else {}
    url = sqs.create_queue(QueueName=f"dead{request.param}", Attributes=fifo)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    policy = {"deadLetterTargetArn": attributes["Attributes"]["QueueArn"], "maxReceiveCount": 2}
    sqs.create_queue(
        QueueName=f"jobs{request.param}",
        Attributes={"RedrivePolicy": json.dumps(policy), **fifo},
    )
    return Client()


def command(*words: str, text: str = "") -> str:
    """Run `outlast` as a process that must succeed; return its standard output."""
    done = subprocess.run(
        [OUTLAST, *words], input=text, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_on_real_servers_a_job_comes_back_from_the_dead(remote: Client) -> None:
    """What works on one machine would not work where people have it: on SQS and Redis."""
    command("submit", "tally", "steps=3", "--job-id", "a")
    command("submit", "tally", "steps=3", "--job-id", "b")
    for _ in range(2):
        deliveries = [remote.queue.receive(visibility_seconds=60, wait_seconds=1) for _ in range(2)]
        for delivery in deliveries:
            assert delivery is not None
            remote.queue.hide(delivery, 0)
    assert remote.queue.receive(visibility_seconds=1, wait_seconds=0) is None

    for _ in range(2):  # A look changes nothing.
        listed = json.loads(command("dlq", "list", "--json"))
        assert sorted(letter["job_id"] for letter in listed) == ["a", "b"]
    by_job = {letter["job_id"]: letter for letter in listed}
    assert by_job["a"]["reason"] == "received 2 times and never acknowledged"
    shown = json.loads(command("dlq", "show", by_job["a"]["id"], "--json"))
    assert int(shown["attributes"]["SentTimestamp"]) <= time.time() * 1000

    command("dlq", "drop", by_job["b"]["id"])
    assert command("dlq", "redrive", "-", text=by_job["a"]["id"]).endswith(": sent again\n")
    assert command("dlq", "list") == ""
    command("worker", "--max-idle-seconds", "0.5")
    assert remote.result("a") == {"total": 3}
    # The other one's message is gone, which costs nothing: a person wakes the job.
    command("resume", "-", text="b\n")
    command("worker", "--max-idle-seconds", "0.5")
    assert remote.result("b") == {"total": 3}


def test_on_real_servers_jobs_are_deleted_and_their_messages_die_out(remote: Client) -> None:
    """Each deletion would end in an alarm on the dead-letter queue."""
    for job_id in ("a", "b"):
        command("submit", "tally", "steps=3", "--job-id", job_id)
    command("cancel", "a")
    command("prune", "--older-than", "0s", "--yes")
    command("delete", "--force", "b")
    for _ in range(2):
        command("worker", "--max-idle-seconds", "0.5")
    assert list(remote.jobs.ids()) == []
    assert command("dlq", "list") == ""
    sqs = boto3.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    for url in sqs.list_queues()["QueueUrls"]:
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        assert set(counts.values()) == {"0"}


def test_on_redis_alone_a_job_comes_back_from_the_dead(
    valkey_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one server for jobs and messages, what was given up could be neither seen nor mended."""
    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/8")
    monkeypatch.delenv("OUTLAST_QUEUE")
    with redis.Redis.from_url(f"{valkey_server.url}/8") as connection:
        connection.flushdb()
    client = Client()
    for job_id in "ab":
        command("submit", "tally", "steps=3", "--job-id", job_id)
    kill(client)
    listed = json.loads(command("dlq", "list", "--json"))
    assert [letter["job_id"] for letter in listed] == ["a", "b"]
    assert listed[0]["reason"] == f"received {MAX_RECEIVES} times and never acknowledged"
    assert json.loads(command("dlq", "show", listed[0]["id"], "--json"))["job_id"] == "a"
    command("dlq", "drop", listed[1]["id"])
    assert command("dlq", "redrive", "--all").endswith(": sent again\n")
    assert command("dlq", "list") == ""
    command("worker", "--max-idle-seconds", "0.1")
    assert client.result("a") == {"total": 3}
    assert client.status("b").usage.slices_begun == 0
