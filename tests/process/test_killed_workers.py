"""Real workers on a real Valkey and on SQS over HTTP, one of them killed every second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from outlast.worker.jobs.client import Client
from tests.process.fleet import Fleet, make_queue, messages_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

# Each takes a few slices. The primes are primecount's.
PRIMES = {
    200_000_000_000_000: 7_093_600_525_704_677,
    210_000_000_000_000: 7_458_833_302_326_829,
    220_000_000_000_000: 7_824_556_240_506_443,
    230_000_000_000_000: 8_190_747_051_345_797,
    240_000_000_000_000: 8_557_385_371_684_607,
    250_000_000_000_000: 8_924_452_511_009_719,
    260_000_000_000_000: 9_291_931_318_720_261,
    270_000_000_000_000: 9_659_805_902_533_429,
    280_000_000_000_000: 10_028_061_610_302_037,
    290_000_000_000_000: 10_396_684_799_472_617,
    300_000_000_000_000: 10_765_662_794_071_351,
    310_000_000_000_000: 11_134_983_728_148_503,
    320_000_000_000_000: 11_504_636_598_784_223,
    330_000_000_000_000: 11_874_610_979_662_637,
    340_000_000_000_000: 12_244_897_030_891_601,
    350_000_000_000_000: 12_615_485_679_364_501,
    360_000_000_000_000: 12_986_368_258_381_291,
    370_000_000_000_000: 13_357_536_524_360_459,
    380_000_000_000_000: 13_728_982_901_601_823,
    390_000_000_000_000: 14_100_699_917_897_767,
}
WORKERS = 3
LIMIT_SECONDS = 240.0


@pytest.fixture
def queues(valkey_server: Server, ministack: Server, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A queue and its dead-letter queue, set up for the workers; gives the URLs of both."""
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", "0.5")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/7")
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://killed-workers")
    return make_queue(ministack.url, "killed-workers")


@pytest.mark.chaos
@pytest.mark.parametrize(("number", "seconds_between_kills"), [(3, 3.0), (20, 1.0)])
def test_every_job_ends_right_though_workers_die(
    queues: list[str], tmp_path: Path, number: int, seconds_between_kills: float
) -> None:
    """Losing this, a fleet of spot machines or time-outs would lose jobs, or answer wrongly."""
    client = Client()
    positions = list(PRIMES)[:number]
    jobs = {n: client.submit("nth-prime", job_id=f"killed-{n}", position=n) for n in positions}
    fleet = Fleet(tmp_path, WORKERS)
    end = time.monotonic() + LIMIT_SECONDS
    try:
        while not _all_over(client, jobs.values()):
            assert time.monotonic() < end, _report(client, jobs.values(), tmp_path)
            time.sleep(seconds_between_kills)  # The subject of the test, not a wait for an event.
            fleet.disturb({"SIGKILL": 1})
        while messages_in(queues[0]):
            assert time.monotonic() < end, "the queue does not run empty"
            time.sleep(0.1)  # SQS has no event for that.
    finally:
        codes = fleet.stop()
    assert set(codes) == {0}, "SIGTERM is a clean end"
    assert fleet.done["SIGKILL"]
    for position, job_id in jobs.items():
        assert client.status(job_id).usage.slices_begun > 1, "it did not outlast a worker"
        assert client.result(job_id) == {"position": position, "prime": PRIMES[position]}
    assert messages_in(queues[1]) == 0, "nothing is a dead letter"


def _all_over(client: Client, jobs: Iterator[str]) -> bool:
    return all(client.status(job_id).status.is_final for job_id in jobs)


def _report(client: Client, jobs: Iterator[str], logs: Path) -> str:
    records = [client.status(job_id) for job_id in jobs]
    lines = [
        f"{r.job_id} {r.status} in {r.slice_number} {r.progress:.0%} {r.error}" for r in records
    ]
    tails = [log.read_text()[-500:] for log in sorted(logs.iterdir())[-WORKERS:]]
    return "\n".join(["not over in time:", *lines, *tails])
