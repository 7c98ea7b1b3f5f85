"""The parts of one job on a FIFO queue, which delivers one message of a group at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from outlast.worker.jobs.client import Client
from tests.kernels import expected, install
from tests.process.fleet import Fleet, make_queue, messages_in
from tests.runtimes.kernels import Sharer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Server

STEPS = 120
LIMIT_SECONDS = 60.0


@pytest.fixture
def queues(
    tmp_path: Path, valkey_server: Server, ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """A FIFO queue and its dead-letter queue, set up for workers that know the kernel."""
    monkeypatch.setenv("PYTHONPATH", install(tmp_path, Sharer))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", "0.05")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/7")
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://parts.fifo")
    return make_queue(ministack.url, "parts.fifo")


def test_two_workers_share_a_job_on_a_fifo_queue(queues: list[str], tmp_path: Path) -> None:
    """Parts would run one after the other, or wait for a message that the queue has dropped.

    A FIFO queue drops what it has seen before, and messages are sent again at the end of a slice,
    after a kill and after a pause. No part begins before two processes have one each: see `Sharer`.
    """
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    client = Client()
    params = {"steps": STEPS, "step_seconds": 0.02, "workers": 2, "meeting": str(meeting)}
    client.submit("sharer", job_id="fifo", parallel=2, **params)
    fleet = Fleet(tmp_path, 2)
    try:
        wait_until(lambda: len(list(meeting.iterdir())) == 2, client, tmp_path)
        fleet.disturb({"SIGKILL": 1})
        client.pause("fifo")
        # Those that met the pause are acknowledged; that of the dead worker comes back first.
        wait_until(lambda: messages_in(queues[0]) == 0, client, tmp_path)
        client.resume("fifo")
        wait_until(lambda: client.status("fifo").status.is_final, client, tmp_path)
    finally:
        codes = fleet.stop()
    assert set(codes) == {0}, "SIGTERM is a clean end"
    record = client.status("fifo")
    assert record.result == expected(STEPS)
    assert record.fleet is not None
    assert record.usage.slices_begun > record.fleet.parts + 5, "parts went on in further slices"
    assert [*client.jobs.nodes.job_ids()] == []
    assert messages_in(queues[1]) == 0, "nothing is a dead letter"


def wait_until(is_so: Callable[[], bool], client: Client, logs: Path) -> None:
    """Wait until `is_so()`; fail with the job and the end of the workers' logs."""
    end = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        assert time.monotonic() < end, report(client, logs)
        time.sleep(0.05)  # Neither a queue nor a store has an event for that.


def report(client: Client, logs: Path) -> str:
    """Return the job as it stands, and the end of the workers' logs."""
    tails = [log.read_text()[-500:] for log in sorted(logs.glob("*.log"))]
    return "\n".join([repr(client.status("fifo")), *tails])
