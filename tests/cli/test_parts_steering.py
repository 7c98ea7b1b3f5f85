"""What people do to a divided job reaches its parts, while real workers are at work on them."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.status import Status
from outlast.worker.jobs.parts import Parts, parts_of
from tests.cli.process import until

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, OutlastJson, Process, Start

SUBMIT = ("submit", "flock", "steps=400", "step_seconds=0.01", "--parallel", "2", "--job-id", "a")
TOTAL = {"total": 400 * 399 // 2}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save often, and give a part up at its first error."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "0.05")
    monkeypatch.setenv("OUTLAST_MAX_FAILURES", "1")


@pytest.fixture
def workers(start: Start, outlast: Outlast, client: Client) -> list[Process]:
    """Two workers that have done some parts of a job, and have others."""
    assert outlast(*SUBMIT).code == 0
    both = [start("worker") for _ in range(2)]
    until(lambda: parts(client).succeeded >= 3 and parts(client).running == 2)
    return both


def parts(client: Client) -> Parts:
    """Return how the parts of the job stand."""
    return parts_of(client.jobs, client.status("a")) or Parts(0)


def keys_of_parts(client: Client) -> list[str]:
    """Return what is stored of parts and groups."""
    return list(client.jobs._register.keys("parts/"))


def let_go(processes: list[Process]) -> None:
    """Assert that the workers are well, and end them."""
    for process in processes:
        process.send(signal.SIGTERM)
        ended = process.end()
        assert ended.code == 0, ended.err
        assert "Traceback" not in ended.err


def test_a_pause_reaches_all_parts(
    workers: list[Process], client: Client, outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """Workers would go on with a job that was stopped, or lose what they have done of it."""
    assert outlast_json("pause", "a")["status"] == "paused"
    until(lambda: parts(client).running == 0)
    paused = outlast_json("status", "a")
    assert (paused["status"], paused["redone_seconds"]) == ("paused", 0)
    assert paused["parts"]["waiting"] + paused["parts"]["succeeded"] == paused["parts"]["all"]
    until(client.queue.is_empty)
    assert outlast_json("status", "a")["steps"] == paused["steps"], "nobody goes on"
    assert outlast("resume", "a").code == 0
    assert outlast("wait", "a").out == f"total={TOTAL['total']}\n"
    assert client.status("a").usage.steps == 400
    assert keys_of_parts(client) == []
    let_go(workers)


def test_a_cancelled_job_ends_on_all_workers(
    workers: list[Process], client: Client, outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """A job that was given up would be paid for to its end, or its bill be lost."""
    done = outlast_json("status", "a")
    assert outlast_json("cancel", "a")["status"] == "cancelled"
    until(client.queue.is_empty)
    let_go(workers)
    (bill,) = outlast_json("cost", "a")["jobs"]
    assert bill["compute_seconds"] >= done["compute_seconds"] > 0
    assert bill["compute_seconds"] < 4
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert outlast("delete", "a").code == 0
    assert keys_of_parts(client) == []


def test_prune_removes_what_a_cancelled_job_has_left(
    workers: list[Process], client: Client, outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """Ten thousand records of a job that nobody wants would stay for ever."""
    outlast("cancel", "a")
    until(client.queue.is_empty)
    let_go(workers)
    assert keys_of_parts(client) != []
    ended = outlast("prune", "--older-than", "30d", "--yes")
    assert ended.code == 0, ended.err
    assert keys_of_parts(client) == []
    assert outlast_json("status", "a")["status"] == "cancelled"


def test_a_job_that_is_deleted_leaves_nothing(
    workers: list[Process], client: Client, outlast: Outlast
) -> None:
    """Its parts would go on, and fill the store for a job that is gone."""
    refused = outlast("delete", "a")
    assert refused.code == 1
    assert "is running: cancel it first" in refused.err
    assert outlast("delete", "a", "--force").code == 0
    until(client.queue.is_empty)
    let_go(workers)
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert keys_of_parts(client) == []
    assert list(client.jobs.ids()) == []


def test_a_part_that_fails_can_be_retried(
    start: Start, client: Client, outlast: Outlast, outlast_json: OutlastJson, folder: Path
) -> None:
    """Hours of other parts would be lost with the one that failed."""
    broken = folder / "broken"
    outlast(*SUBMIT[:4], f"fails_while={broken}", *SUBMIT[4:])
    workers = [start("worker") for _ in range(2)]
    until(lambda: parts(client).succeeded >= 3)
    broken.touch()
    until(lambda: client.status("a").status is Status.FAILED)
    until(lambda: parts(client).running == 0)
    failed = outlast_json("status", "a")
    assert failed["error"].startswith("part ")
    assert "told to fail" in failed["error"]
    assert failed["parts"]["failed"] >= 1
    assert failed["progress"] > 0
    assert "outlast retry a lets it go on" in outlast("result", "a").err
    broken.unlink()
    assert outlast("retry", "a").code == 0
    assert json.loads(outlast("wait", "a", "--json").out) == TOTAL
    assert client.status("a").usage.steps < 410, "what was done is kept"
    let_go(workers)


def test_a_fork_of_a_divided_job_is_divided(
    workers: list[Process], client: Client, outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """A person who tries something else with the job would have it done by one worker."""
    assert outlast("fork", "a", "--job-id", "b").code == 0
    assert outlast_json("status", "b")["parallel"] == 2
    assert json.loads(outlast("wait", "b", "--json").out) == TOTAL
    assert json.loads(outlast("wait", "a", "--json").out) == TOTAL
    assert keys_of_parts(client) == []
    let_go(workers)
