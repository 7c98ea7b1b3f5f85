"""outlast run --processes: one job on several processes, however they are stopped."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from outlast.checkpoint.status import Status
from outlast.worker.cli.helpers import share_of
from outlast.worker.jobs.client import Client
from outlast.worker.jobs.parts import parts_of
from outlast.worker.settings import Settings, cores
from tests.cli.process import assert_one_line, is_alive, until

if TYPE_CHECKING:
    from tests.cli.process import Outlast, OutlastJson, Process, Start
    from tests.servers import Server

RUN = ("run", "flock", "steps=300", "step_seconds=0.01", "--processes", "2", "--job-id", "a")
LONG = ("run", "flock", "steps=3000", "step_seconds=0.01", "--processes", "3", "--job-id", "a")
TOTAL = f"total={300 * 299 // 2}\n"


@pytest.fixture(autouse=True)
def places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a folder of this test's own for temporary files, and save often."""
    (folder / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "0.1")


def succeeded(client: Client) -> int:
    """Return how many parts of the job are done."""
    parts = parts_of(client.jobs, client.status("a"))
    return parts.succeeded if parts else 0


def at_work(start: Start, client: Client, *words: str) -> tuple[Process, list[int]]:
    """Return a run that has done some parts, and its helpers."""
    process = start(*(words or LONG), start_new_session=True)
    process.await_line("job a starts")
    until(lambda: succeeded(client) >= 2)
    return process, process.children()


def test_several_processes_share_one_job(
    start: Start, client: Client, outlast_json: OutlastJson, folder: Path
) -> None:
    """A machine's other cores would stay idle, or the answer be another one."""
    process = start(*RUN, "--json")
    process.await_line("job a starts")
    workers = set[str]()
    while client.status("a").status is not Status.SUCCEEDED:
        parts = parts_of(client.jobs, client.status("a"))
        heads = parts.heads.values() if parts else ()
        workers |= {head.lease.worker for head in heads if head.lease}
    ended = process.end()
    assert ended.code == 0, ended.err
    assert len(workers) == 2
    assert re.search(r"outlast: \d+\.\d%, .* parts", ended.err)
    assert not re.search(r" part \d+ slice \d+ ended", ended.err)  # There may be hundreds.
    job = outlast_json("status", "a")
    assert (job["result"], job["steps"], job["parallel"]) == ({"total": 44850}, 300, 2)
    assert list((folder / "tmp").iterdir()) == []
    assert [key for key in client.jobs._register.keys("") if key.startswith("parts/")] == []


@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143), (signal.SIGHUP, True, 129)],
    ids=["ctrl-c", "sigterm", "hang-up"],
)
def test_a_stopped_run_of_several_goes_on_where_it_was(
    number: signal.Signals,
    to_group: bool,
    code: int,
    *,
    start: Start,
    client: Client,
    folder: Path,
) -> None:
    """Work would be lost, processes stay behind, or nobody call for the parts again."""
    process, helpers = at_work(start, client)
    assert len(helpers) == 2
    (process.send_to_group if to_group else process.send)(number)
    ended = process.end()
    assert (ended.code, ended.out) == (code, "")
    assert "Traceback" not in ended.err
    assert re.search(rf"stopped by {number.name}, saved at \d", ended.err)
    assert [pid for pid in helpers if is_alive(pid)] == []
    assert list((folder / "tmp").iterdir()) == []

    stopped = parts_of(client.jobs, client.status("a"))
    assert stopped is not None
    assert (stopped.running, stopped.usage.redone_seconds) == (0, 0)
    hint = re.search(r"to go on here: outlast (.*)", ended.err)
    assert hint is not None
    again = start(*shlex.split(hint[1]), start_new_session=True)
    again.await_line(f"job a goes on from {stopped.progress:.1%}")
    until(lambda: succeeded(client) > stopped.succeeded + 2)
    again.send(signal.SIGTERM)
    assert again.end().code == 143


def test_a_stopped_run_can_be_left_to_the_workers(
    start: Start, client: Client, outlast: Outlast
) -> None:
    """The parts would sleep: their messages were those of the run."""
    process, _ = at_work(start, client, *RUN)
    process.send(signal.SIGTERM)
    process.end()
    assert outlast("resume", "a").code == 0
    assert outlast("worker", "--max-idle-seconds", "0.2").code == 0
    assert client.result("a") == {"total": 44850}
    assert client.status("a").usage.steps == 300


def test_helpers_end_when_the_run_is_killed(start: Start, client: Client, folder: Path) -> None:
    """A kill -9 would leave processes that work on, and that nobody knows of."""
    process, helpers = at_work(start, client)
    process.send(signal.SIGKILL)
    until(lambda: not any(map(is_alive, helpers)))
    until(lambda: list((folder / "tmp").iterdir()) == [])
    process.end()
    left = parts_of(client.jobs, client.status("a"))
    assert left is not None
    assert left.running <= 1, "what was killed; the others have saved and let go"
    again = start(*LONG, start_new_session=True)
    until(lambda: succeeded(client) > left.succeeded + 2)
    again.send(signal.SIGTERM)
    again.end()


def test_a_helper_that_is_killed_is_started_again(start: Start, client: Client) -> None:
    """One that runs out of memory would leave the rest of the job to fewer and fewer."""
    process, helpers = at_work(start, client)
    os.kill(helpers[0], signal.SIGKILL)
    until(lambda: len(set(process.children()) - {helpers[0]}) == 2)
    process.send(signal.SIGTERM)
    assert process.end().code == 143


def test_a_part_that_kills_its_process_is_done_by_another(start: Start, folder: Path) -> None:
    """A crash in native code would end the run of a whole night."""
    few = ("--isolate", "--part-seconds", "2")
    process = start(*RUN[:4], "dies_at=250", *RUN[4:], *few, cwd=folder)
    ended = process.end()
    assert (ended.code, ended.out) == (0, TOTAL), ended.err
    assert (folder / "died").exists()


def test_a_run_calls_for_parts_that_workers_elsewhere_have_dropped(
    start: Start, client: Client
) -> None:
    """It would wait for ever for messages that are in no queue."""
    process, _ = at_work(start, client, *RUN)
    queue = next(Path(tempfile.gettempdir()).glob("outlast-run-*/queue.db"))
    with sqlite3.connect(queue) as connection:
        connection.execute("DELETE FROM outlast_messages")
    connection.close()
    ended = process.end()
    assert (ended.code, ended.out) == (0, TOTAL), ended.err


def test_one_process_takes_the_parts_one_by_one(outlast: Outlast, client: Client) -> None:
    """A job that was submitted for many could not be run by who has one machine."""
    outlast("submit", *RUN[1:3], "--parallel", "2", "--job-id", "a")
    assert outlast("run", *RUN[1:3], "--job-id", "a").out == TOTAL
    assert client.status("a").usage.steps == 300


def test_a_job_that_is_not_divided_says_so(outlast: Outlast) -> None:
    """A person would wonder why the other processes do nothing."""
    outlast("submit", "flock", "steps=3", "--job-id", "a")
    ended = outlast("run", "flock", "steps=3", "--job-id", "a", "--processes", "2")
    assert ended.out == "total=3\n"
    assert "job a is not divided: one process works on it" in ended.err


def test_a_kernel_that_cannot_be_divided_is_refused(outlast: Outlast, client: Client) -> None:
    """A person would believe that two processes are at work."""
    line = ("run", "tally", "steps=1", "--processes", "2")
    assert_one_line(outlast(*line), 2, "kernel 'tally' cannot be divided")
    assert list(client.jobs.ids()) == []


@pytest.mark.parametrize("store", ["redis", "s3"])
def test_on_servers(
    store: str,
    *,
    start: Start,
    valkey_server: Server,
    ministack: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long job whose progress is to outlast this machine would need workers and a queue."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    storage: Any = boto3.session.Session().client("s3")
    storage.create_bucket(Bucket="progress")
    storage.close()
    url = f"{valkey_server.url}/13" if store == "redis" else "s3://progress/outlast"
    monkeypatch.setenv("OUTLAST_STORE", url)
    ended = start(*RUN).end()
    assert (ended.code, ended.out) == (0, TOTAL), ended.err
    client = Client()
    assert client.status("a").usage.steps == 300
    assert [key for key in client.jobs._register.keys("") if key.startswith("parts/")] == []


def test_each_process_has_its_share_of_the_cores() -> None:
    """Four processes with four threads each would be slower than one."""
    shares = [share_of(Settings(), processes) for processes in (1, cores(), 3 * cores())]
    assert shares == [cores(), 1, 1]
    assert share_of(Settings(threads=8), 3) == 8
