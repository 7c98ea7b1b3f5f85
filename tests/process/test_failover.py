"""A primary dies in mid-job: its replica takes over, and the worker goes on."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.registers.redis_keys import Keys
from outlast.worker.jobs.client import Client
from outlast.worker.queues.redis_scripts import Keys as QueueKeys
from tests import redis_groups
from tests.cli.process import Process, until
from tests.kernels import expected, install
from tests.process.chain import STEP_SECONDS, Chain
from tests.process.fleet import Steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.redis_groups import Group
    from tests.servers import Server

    FailOver = Callable[[Group, str, Server], None]

STEPS = 120
SLICE_SECONDS, CHECKPOINT_SECONDS = 1.0, 0.1
# A replica may lack the writes of the last moment: the end of a slice, and a save before it.
LOST_SECONDS = SLICE_SECONDS + CHECKPOINT_SECONDS

QUEUE = QueueKeys.of("jobs").visible


@pytest.fixture
def fail_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FailOver:
    """Run a job on servers of which one dies in the middle, and print what that cost."""
    monkeypatch.setenv("PYTHONPATH", install(tmp_path, Chain))
    monkeypatch.syspath_prepend(str(tmp_path))
    steps = Steps(tmp_path / "steps")
    monkeypatch.setenv("CHAIN_STEPS", str(steps.path))
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", str(SLICE_SECONDS))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", str(CHECKPOINT_SECONDS))

    def run(group: Group, job_id: str, dying: Server) -> None:
        monkeypatch.setenv("OUTLAST_STORE", group.url)
        client = Client()

        def writes() -> int:
            """Return how often the job was written; 0 if the store does not answer."""
            with suppress(StoreUnavailable):
                return client.status(job_id).revision.writes
            return 0

        client.submit("chain", job_id=job_id, steps=STEPS, seed=0)
        worker = Process("worker")
        try:
            until(lambda: client.status(job_id).progress > 0.2)
            redis_groups.kill(dying)
            died_at = time.monotonic()
            until(lambda: writes() > 0)
            answered_at, before = time.monotonic(), writes()
            until(lambda: writes() > before)
            saved_at = time.monotonic()
            until(lambda: writes() > 0 and client.status(job_id).is_over)
        finally:
            worker.kill()
        assert client.result(job_id) == expected(STEPS)
        redone = (steps.stop() - STEPS) * STEP_SECONDS
        assert 0 <= redone <= LOST_SECONDS
        print(  # noqa: T201 - the figures of docs/reliability.md, shown by pytest -s
            f"\n{answered_at - died_at:.1f} s until the store answers, {saved_at - died_at:.1f} s "
            f"until the job is saved, {redone:.2f} s redone"
        )

    return run


def test_a_master_of_sentinels_dies(fail_over: FailOver) -> None:
    """A job would stand still, or fail, until somebody restarts the workers elsewhere."""
    with redis_groups.watched() as group:
        fail_over(group, "a", group.nodes[0])


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("has_job", "has_queue"),
    [(True, True), (True, False), (False, True)],
    ids=["job and queue", "job", "queue"],
)
def test_a_node_of_a_cluster_dies(fail_over: FailOver, has_job: bool, has_queue: bool) -> None:
    """A job would stand still, or fail, until somebody restarts the workers elsewhere."""
    keys = Keys(is_cluster=True)
    with redis_groups.cluster(3, 3) as group:
        queue = group.primary(QUEUE)
        homes = {job_id: group.primary(keys.name(f"jobs/{job_id}")) for job_id in "abcdefghijklm"}
        is_fit = {True: queue.__eq__, False: queue.__ne__}[has_job and has_queue]
        job_id = next(job_id for job_id, home in homes.items() if is_fit(home))
        fail_over(group, job_id, queue if has_queue else homes[job_id])
