"""The bill of a job: what it has taken, and what that costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from outlast.checkpoint.record_parts import PlatformUsage
from outlast.worker.costs.bill import (
    Consumption,
    Item,
    Services,
    consumption_of,
    dollars_of,
    items_of,
    requests_of,
    services_of,
)
from outlast.worker.costs.prices import read_prices
from outlast.worker.settings import Settings
from tests.worker.floor import Floor

S3_AND_SQS = Services("s3", "sqs")


def slices_on(platform: str = "local", *, seconds: float = 0.0, slices: int = 1) -> Consumption:
    """Return what these slices took, without any checkpoint."""
    usage = {platform: PlatformUsage(slices=slices, seconds=seconds)}
    return Consumption(platforms=usage, slices=slices, writes=3 * slices)


def bill(consumption: Consumption, services: Services = S3_AND_SQS) -> dict[str, Item]:
    """Return the items by name, at the prices that come with the package."""
    return {item.what: item for item in items_of(consumption, read_prices(None), services)}


def test_lambda_is_billed_by_memory_and_time() -> None:
    """A bill would be off by the memory, or by what a GB is.

    By hand: 1,000 s at 1,769 MB are 1,000 * 1,769 / 1,024 = 1,727.539 GB-s; on arm64 at
    0.0000133334 a GB-s 0.0230340 dollars, on x86_64 at 0.0000166667 0.0287924.
    """
    for machine, dollars in (("arm64", 0.0230340), ("aarch64", 0.0230340), ("x86_64", 0.0287924)):
        item = bill(slices_on(f"lambda/{machine}/1769", seconds=1000.0))[f"lambda/{machine}/1769"]
        assert (round(item.amount, 3), item.unit) == (1727.539, "GB-s")
        assert item.dollars == pytest.approx(dollars, abs=5e-8)


def test_requests_have_the_price_of_their_service() -> None:
    """A job that saves often on S3 would seem to cost nothing beyond its seconds.

    By hand, for 1,000 slices on Lambda with 40,000 writes: 40,000 PUT at 5.00 a million are 0.20,
    1,000 GET at 0.40 are 0.0004, 1,000 invocations at 0.20 are 0.0002. The queue has 3,000
    requests for the slices, 1,000 as they are Lambda's and 37,000 for the checkpoints: 41,000 at
    0.40 are 0.0164, on FIFO at 0.50 0.0205. A GPU at 0.00034 for 500 s is 0.17.
    """
    usage = {
        "lambda/arm64/1769": PlatformUsage(slices=1000, seconds=0.0),
        "runpod/A40": PlatformUsage(slices=0, seconds=500.0),
    }
    job = Consumption(platforms=usage, slices=1000, writes=40_000)
    items = bill(job)
    expected = {
        "lambda/arm64/1769": 0.0,
        "runpod/A40": 0.17,
        "lambda invocations": 0.0002,
        "s3 store writes": 0.20,
        "s3 store reads": 0.0004,
        "sqs queue requests": 0.0164,
    }
    assert {name: item.dollars for name, item in items.items()} == pytest.approx(expected)
    assert dollars_of(list(items.values())) == (pytest.approx(0.387), True)
    fifo = bill(job, Services("redis", "sqs.fifo"))
    assert fifo["sqs.fifo queue requests"].dollars == pytest.approx(0.0205)
    assert fifo["redis store writes"].dollars == 0.0


@pytest.mark.parametrize(
    "platform",
    ["runpod", "local", "container", "other", "lambda/riscv/1769", "lambda/arm64/many"],
)
def test_what_has_no_price_is_not_free(platform: str) -> None:
    """A job on a machine that the table does not know would look as if it had cost nothing."""
    items = items_of(slices_on(platform, seconds=10.0), read_prices(None), S3_AND_SQS)
    assert items[0].what == platform
    assert items[0].dollars is None
    dollars, is_complete = dollars_of(items)
    assert dollars > 0  # its requests
    assert not is_complete


def test_a_sum_has_the_price_of_its_parts() -> None:
    """The total of several jobs would be another than their bills together."""
    first = slices_on("lambda/arm64/1769", seconds=100.0, slices=2) + slices_on(
        "runpod", seconds=1.0
    )
    second = replace(
        slices_on("lambda/arm64/1769", seconds=50.0), compute_seconds=40.0, saved_bytes=7
    )
    both = first + second
    assert both.platforms["lambda/arm64/1769"] == PlatformUsage(slices=3, seconds=150.0)
    assert (both.slices, both.writes, both.saved_bytes) == (4, 12, 7)
    parts = [dollars_of(list(bill(part).values()))[0] for part in (first, second)]
    assert dollars_of(list(bill(both).values()))[0] == pytest.approx(sum(parts))


def test_no_forged_number_upsets_the_sum() -> None:
    """One damaged record would end the bill of all jobs in a traceback."""
    huge = Consumption(
        platforms={"lambda/arm64/" + 50 * "9": PlatformUsage(slices=2**53 - 1, seconds=1.7e308)},
        slices=2**53 - 1,
        writes=2**53 - 1,
        compute_seconds=1.7e308,
        redone_seconds=1.7e308,
    )
    both = huge + huge
    assert dollars_of(items_of(both, read_prices(None), S3_AND_SQS))[0] == float("inf")
    assert f"{both.wasted_share:.1%} {both.overhead_share:.1%}" == "nan% nan%"


def test_shares_are_of_the_time_there_was() -> None:
    """A job that nobody has begun would divide by zero; a killed one waste more than all."""
    assert (Consumption().wasted_share, Consumption().overhead_share) == (None, None)
    job = replace(slices_on(seconds=100.0), compute_seconds=80.0, redone_seconds=20.0)
    assert (job.wasted_share, job.overhead_share) == (0.2, pytest.approx(0.2))
    killed = replace(job, compute_seconds=1.1, redone_seconds=2.2)
    assert killed.wasted_share == pytest.approx(2 / 3)
    assert replace(job, compute_seconds=0.0).wasted_share == 1.0


def test_the_requests_derived_are_those_that_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bill would drift from the protocol when that changes."""
    floor, made = Floor(step_seconds=0.4), Counter[str]()

    def counting(name: str) -> None:
        original = getattr(floor.queue, name)

        def call(*args: Any, **options: Any) -> Any:
            made["queue"] += 1
            return original(*args, **options)

        monkeypatch.setattr(floor.queue, name, call)

    for name in ("send", "receive", "hide", "ack"):
        counting(name)
    floor.register.after = lambda operation: made.update([operation])
    floor.submit(steps=60)
    worker = replace(floor.process(), platform="lambda/arm64/1769")
    while not floor.record.status.is_final:
        made["read"] -= 1  # by the test itself
        floor.work(worker, seconds=6.0)
    made["read"] -= 1
    consumption = consumption_of(floor.record)
    made["read"] -= 1
    requests = requests_of(consumption)
    assert consumption.slices >= 4
    assert consumption.writes > 4 * consumption.slices  # there were checkpoints
    assert (requests.reads, requests.writes) == (made["read"], made["put"])
    assert requests.queue == made["queue"]
    assert requests.invocations == consumption.slices
    assert 0 < consumption.occupied_seconds - consumption.compute_seconds + 1e-6 < 1


@pytest.mark.parametrize(
    ("store", "queue", "services"),
    [
        ("rediss://h/0", "sqs://jobs.fifo", ("redis", "sqs.fifo")),
        ("s3://b/p", "https://sqs.eu-west-1.amazonaws.com/1/jobs", ("s3", "sqs")),
        ("sqlite:////x.db", "sqlite:////x.db", ("sqlite", "sqlite")),
        ("rediss://h/0", "rediss://h/0", ("redis", "redis")),
        ("rediss+cluster://h", "redis+sentinel://h/m", ("redis", "redis")),
    ],
)
def test_the_urls_decide_whose_prices_hold(
    store: str, queue: str, services: tuple[str, str]
) -> None:
    """Requests to SQS would be billed as if the queue were a file."""
    assert services_of(Settings(store=store, queue=queue)) == services


def test_every_service_has_a_price() -> None:
    """A store that the settings accept would have no place in the table."""
    for store in ("sqlite", "redis", "s3"):
        for queue in ("sqlite", "redis", "sqs", "sqs.fifo"):
            items = items_of(slices_on("runpod/A40"), read_prices(None), Services(store, queue))
            assert dollars_of(items)[1], items
