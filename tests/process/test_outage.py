"""A real server is killed, or hangs, for longer than a slice; the worker is a real process."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import pytest

from outlast.worker.jobs.client import Client
from tests.cli.process import Process, until
from tests.kernels import expected, install
from tests.process.chain import Chain
from tests.process.faults import Valkey
from tests.process.fleet import Steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STEPS = 150
SLICE_SECONDS, CHECKPOINT_SECONDS = 0.5, 0.1
AWAY_SECONDS = 3.0
STOP_SECONDS = 3.5


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    """The store and the queue, and a job on it that tells of its steps."""
    monkeypatch.setenv("PYTHONPATH", install(tmp_path, Chain))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", str(SLICE_SECONDS))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", str(CHECKPOINT_SECONDS))
    monkeypatch.setenv("OUTLAST_STOP_SECONDS", str(STOP_SECONDS))
    monkeypatch.delenv("OUTLAST_QUEUE", raising=False)
    (tmp_path / "valkey").mkdir()
    server = Valkey(tmp_path / "valkey")
    monkeypatch.setenv("OUTLAST_STORE", server.url)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Counts the steps that are done, once or again."""
    steps = Steps(tmp_path / "steps")
    monkeypatch.setenv("CHAIN_STEPS", str(steps.path))
    return steps


def test_nothing_is_done_again_after_an_outage(server: Valkey, steps: Steps) -> None:
    """Each restart of the server would cost each worker what it did since its last save."""
    client = Client()
    client.submit("chain", job_id="a", steps=STEPS, seed=0)
    worker = Process("worker")
    try:
        until(lambda: client.status("a").usage.saves > 2)
        server.restart(down_seconds=AWAY_SECONDS)
        until(lambda: client.status("a").is_over)
        worker.send(signal.SIGTERM)
        ended = worker.end()
    finally:
        worker.kill()
    assert client.result("a") == expected(STEPS)
    assert steps.stop() == STEPS
    assert client.status("a").usage.redone_seconds == 0.0
    assert ended.code == 0
    assert len(re.findall("WARNING .* redis at ", ended.err)) == 1
    (seconds,) = re.findall(r"INFO the store answers again, after (\d+) s", ended.err)
    assert int(seconds) >= AWAY_SECONDS - 1


@pytest.mark.usefixtures("steps")
def test_a_stopped_worker_uses_its_time_for_the_last_save(server: Valkey) -> None:
    """A worker would end as if all were well, and lose its work just before its server is back."""
    client = Client()
    client.submit("chain", job_id="a", steps=100_000, seed=0)
    worker = Process("worker")
    try:
        until(lambda: client.status("a").usage.saves > 2)
        server.kill()
        worker.send(signal.SIGTERM)
        begun = time.monotonic()
        ended = worker.end()
    finally:
        worker.kill()
    assert time.monotonic() - begun >= STOP_SECONDS
    assert ended.code == 124
