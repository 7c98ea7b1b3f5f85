"""Stop signals and kills, sent to real processes."""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import redis

from outlast.checkpoint.status import Status
from outlast.worker.jobs.client import Client
from tests.cli.process import OUTLAST, PATIENCE_SECONDS, until
from tests.servers import valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.process import Outlast, Start

LONG = ("tally", "steps=10_000", "step_seconds=0.01")
STEP_SECONDS = 0.01
INTERVAL_SECONDS = 0.1
INTERRUPTED = """
import os, signal, sys
class CtrlC:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, CtrlC())
from outlast.worker.cli import program
program()
"""


@pytest.fixture(autouse=True)
def interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save often."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", str(INTERVAL_SECONDS))


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["ctrl-c", "sigterm", "hang-up"],
)
def test_a_stopped_run_goes_on_where_it_was(
    number: signal.Signals, code: int, start: Start, client: Client
) -> None:
    """Work would be lost, or a person not know how to get back to it."""
    process = start("run", *LONG, "--job-id", "my-job")
    process.await_line("slice 1")
    process.send(number)
    ended = process.end()
    assert (ended.code, ended.out) == (code, "")
    assert f"stopped by {number.name}, saved at " in ended.err

    stopped = client.status("my-job")
    assert (stopped.status, stopped.usage.redone_seconds) == (Status.QUEUED, 0)
    assert stopped.usage.steps >= 1
    hint = re.search(r"to go on here: outlast (.*)", ended.err)
    assert hint is not None

    again = start(*shlex.split(hint[1]))
    again.await_line(f"job my-job goes on from {stopped.progress:.1%}")
    again.await_line("slice 2")
    again.send(signal.SIGINT)
    assert again.end().code == 130
    assert client.status("my-job").usage.steps > stopped.usage.steps


def test_a_stop_while_the_kernel_is_prepared_is_heard(start: Start, client: Client) -> None:
    """A run would go on for a whole slice after it was told to stop."""
    process = start("run", *LONG, "prepare_seconds=2.3", "--job-id", "a")
    process.await_line("preparing kernel")
    process.send(signal.SIGTERM)
    assert process.end().code == 143
    assert client.status("a").usage.steps == 0


def test_a_stopped_run_still_prints_json(start: Start) -> None:
    """A program would not learn what became of the job it ran."""
    process = start("run", *LONG, "--json", "--job-id", "a")
    process.await_line("slice 1")
    process.send(signal.SIGTERM)
    ended = process.end()
    assert ended.code == 143
    assert json.loads(ended.out)["status"] == "queued"


def test_a_killed_run_loses_an_interval_and_a_step_at_most(start: Start, client: Client) -> None:
    """A crash would cost more than was promised."""
    process = start("run", *LONG, "--job-id", "a")
    process.await_line("slice 1")
    until(lambda: client.status("a").usage.saves >= 3)
    process.send(signal.SIGKILL)
    assert process.end().code == -signal.SIGKILL
    killed = client.status("a")

    again = start("run", *LONG, "--job-id", "a")
    again.await_line("left, slice")
    again.send(signal.SIGTERM)
    ended = again.end()
    assert ended.code == 143
    assert "waiting" not in ended.err
    after = client.status("a")
    assert after.usage.steps > killed.usage.steps
    assert 0 < after.usage.redone_seconds <= INTERVAL_SECONDS + 5 * STEP_SECONDS


@pytest.mark.parametrize("store", ["sqlite", "valkey"])
def test_the_job_of_a_killed_worker_goes_on_at_once(
    store: str, start: Start, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job would wait for the lease of a worker that this machine knows to be gone."""
    if store == "valkey":
        monkeypatch.setenv("OUTLAST_STORE", f"{request.getfixturevalue('valkey_server').url}/11")
        monkeypatch.delenv("OUTLAST_QUEUE")
    client = Client()
    process = start("worker")
    process.await_line("waits for messages")
    client.submit("tally", job_id="a", steps=10_000, step_seconds=STEP_SECONDS)
    until(lambda: client.status("a").usage.saves >= 1)
    other = start("worker")
    other.await_line("waits for messages")
    process.send(signal.SIGKILL)
    process.end()
    killed = client.status("a").lease
    until(lambda: client.status("a").usage.slices_begun == 2)
    # The queue hides the message for as long as the lease.
    lease = client.status("a").lease
    assert killed
    assert lease
    assert lease.claimed_at < killed.expires_at - 2
    other.send(signal.SIGTERM)
    other.end()


def test_a_worker_on_a_machine_that_is_to_be_left_begins_nothing(
    outlast: Outlast, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What restarts workers would have them work on until the machine is switched off."""
    client.submit("tally", job_id="a", steps=10_000, step_seconds=STEP_SECONDS)
    monkeypatch.setenv("OUTLAST_STOP_FILE", str(folder / "leave"))
    (folder / "leave").touch()
    ended = outlast("worker")
    assert ended.code == 0
    assert f"the worker stops: there is a file {folder / 'leave'}" in ended.err
    assert client.status("a").usage.slices_begun == 0


def test_a_stopped_worker_hands_its_job_on(start: Start, outlast: Outlast, client: Client) -> None:
    """A deployment that replaces workers would leave their jobs asleep."""
    client.submit("tally", job_id="a", steps=150, step_seconds=STEP_SECONDS)
    process = start("worker")
    until(lambda: client.status("a").usage.saves >= 1)
    process.send(signal.SIGTERM)
    ended = process.end()
    assert (ended.code, ended.out) == (0, "")
    assert re.search(r"INFO job a slice 1 ended at \d+\.\d\d% after .* s: SIGTERM", ended.err)
    stopped = client.status("a")
    assert (stopped.status, stopped.announced) == (Status.QUEUED, True)

    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert client.result("a") == {"total": 150}
    assert client.status("a").usage.steps == 150


def test_an_idle_worker_stops_at_once(start: Start) -> None:
    """A container would be killed by force at each deployment."""
    process = start("worker", "--json")
    process.await_line("waits for messages")
    process.send(signal.SIGTERM)
    ended = process.end()
    assert ended.code == 0
    assert json.loads(ended.out)["stopped_by"] == "SIGTERM"


@pytest.fixture
def hanging_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A function after whose call the store accepts connections and answers nothing."""
    with valkey() as server:
        monkeypatch.setenv("OUTLAST_STORE", server.url)
        with redis.Redis.from_url(server.url) as connection:
            pid = connection.info("server")["process_id"]
        yield lambda: os.kill(pid, signal.SIGSTOP)


def test_a_worker_whose_store_hangs_ends_in_time(
    start: Start, hanging_store: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on trying for 42 s, and be killed by a platform that waits for 10 s."""
    monkeypatch.setenv("OUTLAST_STOP_SECONDS", "1")
    client = Client()
    client.submit("tally", job_id="a", steps=10_000, step_seconds=STEP_SECONDS)
    process = start("worker")
    until(lambda: client.status("a").usage.saves >= 1)
    hanging_store()
    process.send(signal.SIGTERM)
    ended = process.end()
    assert ended.code == 124
    assert re.search(
        "WARNING worker .* ended 1 s after SIGTERM .*another worker goes on", ended.err
    )
    assert "tries to save" not in ended.err, "each attempt takes 5 s: it took longer than it may"


def test_a_worker_whose_collector_is_silent_ends_in_time(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has saved all would be killed for the sake of its traces."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}"
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OUTLAST_TRACES", "otel")
        monkeypatch.setenv("OUTLAST_STOP_SECONDS", "2")
        client.submit("tally", job_id="a", steps=10_000, step_seconds=STEP_SECONDS)
        process = start("worker")
        until(lambda: client.status("a").usage.saves >= 1)
        process.send(signal.SIGTERM)
        ended = process.end()
    assert ended.code == 0
    assert "the last traces were not sent within" in ended.err
    assert client.status("a").announced


def test_a_run_within_a_long_step_ends_in_time(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would wait for the end of the step, or be killed without a word."""
    monkeypatch.setenv("OUTLAST_STOP_SECONDS", "0.2")
    monkeypatch.setenv("TALLY_TELLS", "1")
    process = start("run", "tally", "steps=9", "step_seconds=600", "--job-id", "a")
    process.await_line("at work")
    process.send(signal.SIGTERM)
    ended = process.end()
    assert (ended.code, ended.out) == (124, "")
    assert "ended 0.2 s after SIGTERM (OUTLAST_STOP_SECONDS); what was done since" in ended.err
    assert "to go on here: outlast run tally steps=9" in ended.err


def test_a_worker_whose_log_nobody_reads_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log collector that hangs would keep each worker from its end."""
    monkeypatch.setenv("OUTLAST_STOP_SECONDS", "0.2")
    ours, theirs = os.pipe()
    process = subprocess.Popen([OUTLAST, "worker"], stderr=theirs)
    log = b""
    while b"waits for messages" not in log:
        log += os.read(ours, select.PIPE_BUF)
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while True:
            os.write(theirs, b".")
    os.set_blocking(theirs, True)
    process.send_signal(signal.SIGTERM)
    try:
        assert process.wait(PATIENCE_SECONDS) == 124
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_a_stopped_wait_is_quiet(start: Start, client: Client) -> None:
    """Ctrl-C while waiting would print a traceback."""
    client.create("tally", {"steps": 1}, job_id="a")
    process = start("wait", "a", "--debug")
    process.await_line("job a is queued")
    process.send(signal.SIGINT)
    ended = process.end()
    assert (ended.code, ended.out) == (130, "")
    assert "Traceback" not in ended.err


def test_ctrl_c_while_the_command_starts_is_quiet() -> None:
    """A person who sees their slip at once would get a traceback of imports."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "list"], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
