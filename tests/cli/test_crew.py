"""outlast worker --processes: several workers, and the one process that looks after them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outlast.worker.settings import cores
from tests.cli.process import assert_one_line, is_alive, until
from tests.systems import on_linux

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, Process, Start


@pytest.fixture(autouse=True)
def interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save often."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "0.1")


def workers_of(client: Client, *job_ids: str) -> set[str]:
    """Return the workers that have these jobs."""
    leases = (client.status(job_id).lease for job_id in job_ids)
    return {lease.worker for lease in leases if lease}


def crew_at_work(start: Start, client: Client, *words: str) -> tuple[Process, list[int]]:
    """Return a crew of two that has two long jobs, and the ids of its workers."""
    for job_id in ("a", "b"):
        client.submit("tally", job_id=job_id, steps=100_000, step_seconds=0.01)
    process = start("worker", "--processes", "2", *words, start_new_session=True)
    until(lambda: len(workers_of(client, "a", "b")) == 2)
    until(lambda: all(client.status(job_id).usage.saves for job_id in ("a", "b")))
    return process, process.children()


@pytest.mark.parametrize(
    ("number", "to_group"), [(signal.SIGTERM, False), (signal.SIGINT, True)], ids=["term", "ctrl-c"]
)
def test_a_crew_stops_as_one_worker_does(
    number: signal.Signals, *, to_group: bool, start: Start, client: Client
) -> None:
    """A deployment would leave workers behind, or jobs asleep."""
    process, workers = crew_at_work(start, client, "--json")
    assert len(workers) == 2
    (process.send_to_group if to_group else process.send)(number)
    ended = process.end()
    assert ended.code == 0
    assert json.loads(ended.out) == {"processes": 2, "stopped_by": number.name}
    assert [pid for pid in workers if is_alive(pid)] == []
    stopped = [client.status(job_id) for job_id in ("a", "b")]
    assert [job.announced for job in stopped] == [True, True]
    assert [job.usage.redone_seconds for job in stopped] == [0, 0]


def test_a_crew_ends_with_the_process_that_looks_after_it(start: Start, client: Client) -> None:
    """A kill -9 would leave workers that nobody can stop by the process that they started."""
    process, workers = crew_at_work(start, client)
    process.send(signal.SIGKILL)
    until(lambda: not any(map(is_alive, workers)))
    assert [client.status(job_id).announced for job_id in ("a", "b")] == [True, True]


def test_a_worker_of_a_crew_that_is_killed_is_started_again(start: Start, client: Client) -> None:
    """Each that runs out of memory would leave one worker less."""
    process, workers = crew_at_work(start, client)
    os.kill(workers[0], signal.SIGKILL)
    process.await_line("WARNING a worker process was ended by SIGKILL.*another one is started")
    until(lambda: len(set(process.children()) - {workers[0]}) == 2)
    process.send(signal.SIGTERM)
    assert process.end().code == 0


def test_a_second_ctrl_c_ends_the_whole_crew(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would wait for a kernel that does not return, and so for each of them."""
    monkeypatch.setenv("TALLY_TELLS", "1")
    client.submit("tally", job_id="a", steps=9, step_seconds=600)
    process = start("worker", "--processes", "2", start_new_session=True)
    process.await_line("at work")
    workers = process.children()
    process.send_to_group(signal.SIGINT)
    process.await_line("Ctrl-C again ends it at once")
    process.send_to_group(signal.SIGINT)
    assert process.end().code == 130
    until(lambda: not any(map(is_alive, workers)))


def test_a_crew_is_over_when_all_its_workers_are(start: Start, client: Client) -> None:
    """A batch system could not end a machine that has nothing left to do."""
    for number in range(6):
        client.submit("tally", job_id=f"job-{number}", steps=3)
    ended = start("worker", "--processes", "2", "--max-idle-seconds", "0.5", "--json").end()
    assert json.loads(ended.out) == {"processes": 2, "stopped_by": None}
    assert ended.code == 0
    assert {client.status(f"job-{n}").result["total"] for n in range(6)} == {3}


@on_linux
def test_each_of_a_crew_has_its_share_of_the_threads(start: Start, client: Client) -> None:
    """Two workers would each take all cores, and slow each other down."""
    process, workers = crew_at_work(start, client)
    environments = [Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in workers]
    share = b"OUTLAST_THREADS=%d" % max(1, cores() // 2)
    assert [share in environment for environment in environments] == [True, True]
    process.send(signal.SIGTERM)
    assert process.end().code == 0


def test_a_machine_that_cannot_run_kernels_ends_its_crew(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The platform would never replace it: the others would be broken one after the other."""
    programs = iter(["exit 75", "exec sleep 600"])
    crew: list[subprocess.Popen[bytes]] = []

    def start_helper(*_: str, **__: object) -> subprocess.Popen[bytes]:
        crew.append(subprocess.Popen(["sh", "-c", next(programs)]))
        return crew[-1]

    monkeypatch.setattr("outlast.worker.cli.crew.start_helper", start_helper)
    ended = outlast("worker", "--processes", "2")
    assert ended.code == 75
    assert "ERROR a worker process exited with code 75: the others are stopped" in ended.err
    assert crew[1].returncode == -signal.SIGTERM


def test_metrics_of_several_workers_are_refused(outlast: Outlast) -> None:
    """A port could show one of them only, and its figures be taken for those of all."""
    line = ("worker", "--processes", "2", "--metrics-port", "9464")
    assert_one_line(outlast(*line), 2, "--metrics-port is for one process: start the workers one")
