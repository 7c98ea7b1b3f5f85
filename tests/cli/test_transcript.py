"""Whole outputs for people: what the commands that only look print of the same three jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.record_parts import Checkpoint, Lease, PlatformUsage
from tests.records import changed

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast

START = 1_800_000_000.0
LEASE = Lease(
    worker="w\x1b[2J", platform="lambda/arm64/1769", token="t", claimed_at=START,
    expires_at=START + 9, at_risk_seconds=1.0,
)  # fmt: skip
TRANSCRIPT = Path(__file__).with_name("transcript.txt").read_text(encoding="utf-8")
COMMANDS = [part.partition("\n") for part in TRANSCRIPT.split("$ outlast ")[1:]]


def after_slice(record: Record, state: bytes, progress: float, seconds: float) -> Record:
    """Return the job after one more slice."""
    end = START + seconds
    checkpoint = Checkpoint.of(
        state, version=1, slice=record.slice_number,
        progress=progress, saved_at=end,
    )  # fmt: skip
    running = record.claimed(LEASE)
    return running.saved(checkpoint).released().after_slice(running, "deadline", end)


@pytest.fixture
def _jobs(client: Client) -> None:
    """Job `a` runs after two slices and an error, `b` is queued, `c` has ended on another cloud."""
    client.jobs.clock = lambda: START
    client.create("tally", {"steps": 3}, job_id="a", tags=["x", "y=1"])
    client.jobs.change("a", lambda r: after_slice(r, b"1", 0.25, 2.0))
    client.jobs.change("a", lambda r: after_slice(r, b"2", 0.5, 1500.5))
    client.jobs.change("a", lambda r: r.claimed(LEASE).errored("E: x", not_before=0.0))
    client.jobs.change("a", lambda r: r.claimed(LEASE))
    client.create("nth-prime", {"position": 1}, job_id="b")
    client.create("nth-prime", {"position": 2}, job_id="c")
    usage = {
        "slices_begun": 1,
        "compute_seconds": 80.0,
        "redone_seconds": 8.0,
        "platforms": {"runpod/A40": PlatformUsage(slices=1, seconds=1000.0)},
    }
    result = {"position": 2, "prime": 3}
    client.jobs.change("c", lambda r: changed(r, **usage).succeeded(result))


@pytest.mark.parametrize(("line", "_", "out"), COMMANDS, ids=[line for line, _, _ in COMMANDS])
@pytest.mark.usefixtures("_jobs")
def test_what_a_command_prints(line: str, _: str, out: str, outlast: Outlast) -> None:
    """A person would miss a field, read a wrong one, or have their terminal taken over.

    By hand: 1,000 s at 1,769 MB on arm64 cost 0.023034 dollars and those of an A40 0.34.
    """
    assert outlast(*line.split()) == (0, out.removesuffix("\n"), "")
