"""What docs/cost.md says of a job that many workers share, counted."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.fleet import Fleet
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.registers import open_register
from outlast.worker.costs.prices import read_prices
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.fleet.cutting import lengths_of
from tests.checkpoint.conftest import create_bucket
from tests.fakes import FakeClock
from tests.kernels import Dividing, Pieces, expected
from tests.worker.parts import submit

if TYPE_CHECKING:
    from outlast.worker.queues.contract import Delivery
    from tests.servers import Server
    from tests.worker.floor import Floor

PAGE = " ".join((Path(__file__).parents[2] / "docs/cost.md").read_text().split())
PRICES = read_prices(None)
SIZE = "lambda/arm64/1769"
WORK_SECONDS = 200 * 3600.0
STEPS = 200
# A part's message is received, deleted, and on Lambda hidden once; ten are sent in one request.
PUTS, GETS, QUEUE_REQUESTS = 2, 12, 3


def part_dollars() -> float:
    """What the requests of a part cost."""
    each = PRICES.million
    gets = GETS * each["s3.read"]
    queue = QUEUE_REQUESTS * each["sqs"] + each["lambda"]
    return (PUTS * each["s3.write"] + gets + queue) / 1e6


def test_a_part_takes_the_requests_that_the_page_says(
    ministack: Server, monkeypatch: pytest.MonkeyPatch, floor: Floor
) -> None:
    """Dividing would multiply what a store costs, and the first bill would tell."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    create_bucket("parts")
    register: Any = open_register("s3://parts/prefix")
    floor.clock = FakeClock(time.time())
    floor.jobs, floor.kernel = JobStore(register, clock=floor.clock), Dividing(floor.step)
    floor.step_seconds = 0.0
    submit(floor, steps=STEPS)
    made = Counter[str]()
    register._client.meta.events.register(
        "before-call.s3", lambda model, **_: made.update([model.name])
    )
    work(floor)
    assert floor.record.result == expected(STEPS)
    assert floor.record.fleet is not None
    parts = floor.record.fleet.parts
    assert round(made["PutObject"] / parts) == PUTS
    # Of so few parts: one more for each level of groups.
    assert GETS - 4 < made["GetObject"] / parts <= GETS
    assert f"{PUTS} PUTs, some {GETS} GETs and {QUEUE_REQUESTS} requests to the queue" in PAGE
    assert f"${part_dollars():.6f} on S3 and SQS" in PAGE


def work(floor: Floor) -> None:
    """Work on the messages in any order, as many workers would."""
    process, chance = floor.process(jobs=floor.jobs), Random(1)
    received: list[Delivery] = []
    while True:
        while delivery := floor.queue.receive(visibility_seconds=1e6, wait_seconds=0.0):
            received.append(delivery)
        if not received:
            return
        delivery = received.pop(chance.randrange(len(received)))
        if deliver(process, delivery).ack:
            floor.queue.ack(delivery)


@pytest.mark.parametrize(
    ("workers", "ends"), [(10, "20 hours"), (100, "2 hours"), (1000, "12 minutes")]
)
def test_a_job_costs_on_many_workers_what_the_page_says(workers: int, ends: str) -> None:
    """A person would choose the number of workers by wrong figures."""
    second = PRICES.worker_second(SIZE)
    assert second is not None
    compute = WORK_SECONDS * second
    plan = Pieces(steps=10_000_000)
    parts = len(lengths_of(Dividing(), plan, Fleet.of(workers), WORK_SECONDS))
    dollars = parts * part_dollars()
    share = f"{100 * dollars / compute:.1f}%"
    assert f"| {workers:,} | {ends} | {parts:,} | ${dollars:.2f} | {share} |" in PAGE
    assert f"cost ${compute:.2f} on however many workers" in PAGE
