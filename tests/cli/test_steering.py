"""Several jobs at once, ids from a pipe, and how soon a slice that runs is reached."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.status import Status
from tests.cli.process import OUTLAST, until
from tests.records import NEWER

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, Process, Start

INTERVAL_SECONDS = 0.5
# A busy machine may let a process wait.
GRACE_SECONDS = 3.0
LONG = {"steps": 100_000, "step_seconds": 0.01}


def create(client: Client, *job_ids: str) -> None:
    """Store jobs that nobody works on."""
    for job_id in job_ids:
        client.create("tally", {"steps": 1}, job_id=job_id)


def test_several_jobs_are_steered_by_one_command(outlast: Outlast, client: Client) -> None:
    """A person would have to write a loop."""
    create(client, "a", "b", "c")
    for command, what, status in (
        ("pause", "is paused", "paused"),
        ("resume", "goes on", "queued"),
        ("retry", "goes on", "queued"),
        ("cancel", "is cancelled", "cancelled"),
    ):
        for _ in range(2):  # Done is done.
            ended = outlast(command, "a", "b", "a")
            assert ended == (0, f"job a {what}\njob b {what}\n", "")
        statuses = [client.status(job_id).status for job_id in "abc"]
        assert statuses == [status, status, "queued"]


@pytest.mark.parametrize("command", ["cancel", "pause", "resume", "retry", "delete"])
def test_one_that_cannot_be_steered_keeps_no_other_from_it(
    command: str, outlast: Outlast, client: Client
) -> None:
    """The rest of a list would be left as it was, without a word on which."""
    create(client, "a", "done", "z")
    client.jobs.change("done", lambda record: record.succeeded({"total": 1}))
    if command == "delete":
        for job_id in "az":
            client.cancel(job_id)
        client.jobs.discard("done")
        create(client, "done")
    ended = outlast(command, "a", "done", "missing", "z")
    assert ended.code == 1
    assert [line.split()[1] for line in ended.out.splitlines()] == ["a", "z"]
    first, second = ended.err.splitlines()
    assert first.startswith(("outlast: job done is ", "outlast: job done has "))
    assert second.startswith("outlast: there is no job 'missing' in this store: ")


def test_json_is_an_object_for_one_job_and_an_array_for_several(
    outlast: Outlast, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program would have to guess the form of the answer from the state of the jobs."""
    create(client, "a", "b")
    assert json.loads(outlast("pause", "a", "--json").out)["status"] == "paused"
    ended = outlast("pause", "a", "missing", "b", "--json")
    assert ended.code == 1
    assert [job["job_id"] for job in json.loads(ended.out)] == ["a", "b"]
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n"))
    assert [job["status"] for job in json.loads(outlast("resume", "-", "--json").out)] == ["queued"]
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert outlast("resume", "-", "--json") == (0, "[]\n", "")


def test_one_wrong_id_stops_all(outlast: Outlast, client: Client) -> None:
    """A slip in a script would cancel the half of what was meant, or something else."""
    create(client, "a")
    ended = outlast("cancel", "a", "../b")
    assert (ended.code, ended.out) == (2, "")
    assert client.status("a").status is Status.QUEUED


def test_a_store_that_goes_away_ends_the_command(
    outlast: Outlast, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a thousand ids would wait for a store that is down."""
    create(client, "a", "b")
    asked = []

    def away(_: Client, job_id: str) -> Record:
        asked.append(job_id)
        raise StoreUnavailable("away")

    monkeypatch.setattr("outlast.worker.jobs.client.Client.cancel", away)
    ended = outlast("cancel", "a", "b", "--json")
    assert (ended.code, ended.out, ended.err) == (1, "", "outlast: away\n")
    assert asked == ["a"]


def test_ids_come_through_a_pipe(client: Client) -> None:
    """`outlast list … | jq … | outlast cancel -` would not work."""
    create(client, "a", "b", "c")
    done = subprocess.run(
        [OUTLAST, "cancel", "-"],
        input='"a"\nb\n  c  \n\n',
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "job a is cancelled\njob b is cancelled\njob c is cancelled\n"
    assert {client.status(job_id).status for job_id in "abc"} == {Status.CANCELLED}


@pytest.fixture
def running(start: Start, client: Client, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A worker in the middle of a long slice of the job `long`."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", str(INTERVAL_SECONDS))
    client.submit("tally", job_id="long", **LONG)
    process = start("worker", "--max-idle-seconds", "0.1", "--slice-seconds", "600")
    until(lambda: client.status("long").usage.saves >= 1)
    return process


def test_a_pause_reaches_a_running_slice_within_the_interval(
    running: Process, outlast: Outlast, client: Client
) -> None:
    """The worker would go on for its whole slice, against what --help says."""
    begun = time.monotonic()
    assert outlast("pause", "long").code == 0
    steps = client.status("long").usage.steps
    ended = running.end()
    assert time.monotonic() - begun < INTERVAL_SECONDS + GRACE_SECONDS
    assert ended.code == 0
    record = client.status("long")
    assert (record.status, record.lease, record.usage.redone_seconds) == (Status.PAUSED, None, 0)
    assert record.usage.steps >= steps, "what was done since the last save is lost"


def test_a_cancel_reaches_a_running_slice_within_the_interval(
    running: Process, outlast: Outlast, client: Client
) -> None:
    """A job that a person has stopped would cost money for the rest of its slice."""
    begun = time.monotonic()
    assert outlast("cancel", "long").code == 0
    record = client.status("long")
    ended = running.end()
    assert time.monotonic() - begun < INTERVAL_SECONDS + GRACE_SECONDS
    assert "stopped, nothing written" in ended.err
    assert client.status("long") == record


def test_a_delete_by_force_ends_a_running_slice_and_leaves_nothing(
    running: Process, outlast: Outlast, client: Client
) -> None:
    """The job would come back by its worker's next save; or its message become a dead letter."""
    ended = outlast("delete", "long")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        "outlast: job long is running: cancel it first, or delete it with --force\n"
    )
    assert outlast("delete", "long", "--force") == (0, "job long is deleted\n", "")
    ended = running.end()
    assert ended.code == 0
    assert "job long was deleted: its message is dropped" in ended.err
    assert "ERROR" not in ended.err
    assert list(client.jobs.ids()) == []
    assert client.queue.receive(visibility_seconds=1, wait_seconds=0) is None


def test_a_deleted_job_stays_deleted(outlast: Outlast, client: Client) -> None:
    """A script that is run twice would fail, or a slip in an id pass for done."""
    create(client, "a")
    client.cancel("a")
    for _ in range(2):
        assert outlast("delete", "a") == (0, "job a is deleted\n", "")
    assert json.loads(outlast("delete", "a", "--json").out) == {"job_id": "a", "status": "deleted"}
    ended = outlast("status", "a")
    assert ended.code == 1
    assert ended.err.startswith("outlast: job a was deleted on ")
    assert outlast("delete", "never").err.startswith("outlast: there is no job 'never' in this")


def test_a_damaged_record_is_deleted_by_force_only(outlast: Outlast, client: Client) -> None:
    """What is kept for inspection would be lost by a slip; or stay for ever."""
    client.jobs._register.put("jobs/a", b"damaged", expected=None)
    message = outlast("delete", "a").err
    assert message.startswith("outlast: job a: not a record of Outlast")
    assert message.endswith("; --force deletes it as it is\n")
    client.jobs._register.put("jobs/b", NEWER, expected=None)
    assert outlast("delete", "b").err.endswith("; upgrade Outlast\n")
    client.jobs.discard("b")
    assert outlast("delete", "a", "--force").code == 0
    assert list(client.jobs.ids()) == []


STUCK = ("run", "tally", "steps=9", "step_seconds=600", "--job-id", "stuck")


@pytest.fixture
def stuck(start: Start, client: Client, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A run within a step that takes ten minutes."""
    monkeypatch.setenv("TALLY_TELLS", "1")
    client.create("tally", {"steps": 9, "step_seconds": 600.0}, job_id="stuck")
    process = start(*STUCK)
    process.await_line("at work")  # A signal before that finds nothing to save.
    return process


def test_a_second_ctrl_c_ends_a_run_whose_kernel_does_not_return(stuck: Process) -> None:
    """A person would press Ctrl-C again and again, and hear nothing."""
    stuck.send(signal.SIGINT)
    stuck.await_line(
        "stops at the next safe point, and saves a job at work; Ctrl-C again ends it at once"
    )
    stuck.send(signal.SIGINT)
    ended = stuck.end()
    assert ended.code == 130
    assert "ended at once; what was done since the last checkpoint is lost" in ended.err
    assert f"to go on here: outlast {' '.join(STUCK)}\n" in ended.err
    assert "to leave it to the workers: outlast resume stuck; " in ended.err


def test_a_ctrl_c_that_arrives_twice_is_one(stuck: Process) -> None:
    """A wrapper that passes on the terminal's Ctrl-C would end the run without its last save."""
    stuck.send(signal.SIGINT)
    stuck.send(signal.SIGINT)
    stuck.await_line("stops at the next safe point")
    stuck.send(signal.SIGINT)
    assert stuck.end().code == 130


def test_a_second_ctrl_c_ends_a_worker_whose_kernel_does_not_return(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker could be ended by kill only."""
    monkeypatch.setenv("TALLY_TELLS", "1")
    client.submit("tally", job_id="stuck", steps=9, step_seconds=600.0)
    process = start("worker")
    process.await_line("at work")  # A signal before that finds nothing to save.
    process.send(signal.SIGTERM)
    process.await_line("WARNING stops at the next safe point, and saves a job at work")
    process.send(signal.SIGINT)
    ended = process.end()
    assert ended.code == 130
    assert "ended at once; another worker goes on" in ended.err


def test_a_stopped_run_is_left_to_the_workers_as_its_hint_says(
    start: Start, outlast: Outlast, client: Client
) -> None:
    """The job has no message, so that workers would not find it before the next sweep."""
    process = start("run", "tally", "steps=60", "step_seconds=0.05", "--job-id", "a")
    process.await_line("slice 1")
    process.send(signal.SIGINT)
    ended = process.end()
    assert "Ctrl-C again" not in ended.err, "a stop that is over at once needs no advice"
    assert (
        "to leave it to the workers: outlast resume a; to keep it from them: outlast pause a\n"
        in ended.err
    )
    assert outlast("resume", "a").code == 0
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert client.result("a") == {"total": 60}


def test_debug_shows_no_traceback_of_an_answer(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one traceback that matters, of the kernel, would drown in those of the command."""
    monkeypatch.setenv("OUTLAST_MAX_FAILURES", "1")
    ended = outlast("run", "tally", "steps=3", "fails_at=1", "--job-id", "a", "--debug")
    assert ended.err.count("Traceback") == 1
    assert 'raise RuntimeError("told to fail")' in ended.err
    ended = outlast("result", "a", "--debug")
    assert ended.err.startswith("outlast: job a failed: RuntimeError: told to fail")
