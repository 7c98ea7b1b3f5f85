"""What docs/cost.md says of an idle fleet, counted."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.registers import open_register
from outlast.worker.costs.prices import read_prices
from outlast.worker.loops.consumer import WAIT_SECONDS
from outlast.worker.loops.sweeper import Sweeper
from outlast.worker.settings import Settings
from tests.checkpoint.conftest import create_bucket
from tests.fakes import FakeClock
from tests.records import changed, job

if TYPE_CHECKING:
    from tests.servers import Server
    from tests.worker.floor import Floor

PAGE = (Path(__file__).parents[2] / "docs/cost.md").read_text()
PRICES = read_prices(None).million
EVERY_SECONDS = Settings().sweep_seconds
MONTH_SECONDS = 730 * 3600
FLEETS = ((1, 0), (10, 0), (10, 100))  # workers, open jobs
OPEN = 3


@pytest.fixture
def made(ministack: Server, monkeypatch: pytest.MonkeyPatch, floor: Floor) -> Counter[str]:
    """The requests to S3 of `floor`, whose store there has three open jobs and five finished."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    create_bucket("idle")
    register: Any = open_register("s3://idle/prefix")
    floor.clock = FakeClock(time.time())
    floor.jobs = JobStore(register, clock=floor.clock)
    for number in range(8):
        record = changed(job(), job_id=f"job-{number}")
        floor.jobs.submit(record)
        move = Record.paused if number < OPEN else Record.cancelled
        floor.jobs.change(record.job_id, move)
    made = Counter[str]()
    register._client.meta.events.register(
        "before-call.s3", lambda model, **_: made.update([model.name])
    )
    return made


def sweep_of(floor: Floor, made: Counter[str], *, swept_before_seconds: float) -> Counter[str]:
    """The requests of a worker whose sweep is due, so long after the last one of the fleet."""
    clock = FakeClock()
    process = replace(floor.process(), jobs=floor.jobs, clock=clock)
    sweeper = Sweeper(process, every_seconds=EVERY_SECONDS)
    clock.sleep(EVERY_SECONDS)
    floor.clock.sleep(swept_before_seconds)
    made.clear()
    for _ in range(20):
        sweeper.sweep(is_idle=True)
    return made.copy()


def dollars(requests: Counter[str]) -> float:
    """What the requests cost."""
    names = {"GetObject": "s3.read", "PutObject": "s3.write", "ListObjectsV2": "s3.write"}
    return sum(PRICES[names[name]] * number / 1e6 for name, number in requests.items())


def test_the_cost_of_an_idle_fleet_is_what_the_page_says(floor: Floor, made: Counter[str]) -> None:
    """An operator would learn from the bill what a fleet without work costs."""
    sweep_of(floor, made, swept_before_seconds=EVERY_SECONDS)  # It reads all, and tidies up.
    sweep = sweep_of(floor, made, swept_before_seconds=EVERY_SECONDS)
    look = sweep_of(floor, made, swept_before_seconds=1.0)
    assert sweep == {"PutObject": 1, "ListObjectsV2": 1, "GetObject": 1 + OPEN}
    assert look == {"GetObject": 1}
    sweeps = MONTH_SECONDS / EVERY_SECONDS
    cells = []
    for workers, jobs in FLEETS:
        # Each worker looks at the turn, and one of them sweeps.
        every = Counter({**sweep, "GetObject": workers + jobs})
        cells.append(f"${sweeps * dollars(every):.2f}")
    assert f"| S3 | {' | '.join(cells)} |" in PAGE
    polls = MONTH_SECONDS / WAIT_SECONDS * PRICES["sqs"] / 1e6
    cells = [f"${workers * polls:.2f}" for workers, _ in FLEETS]
    assert f"| SQS | {' | '.join(cells)} |" in PAGE
