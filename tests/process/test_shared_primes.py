"""Primes counted in parts by real workers, one of which is killed every other second."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from outlast.kernel import Resources
from outlast.kernel.nth_prime import NthPrime, PrimeCount
from outlast.kernel.nth_prime.sieve.steps import finish
from outlast.worker.jobs.client import Client
from tests.process.fleet import Fleet, await_no_parts, make_queue, messages_in

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.checkpoint.record import Record
    from tests.servers import Server

pytestmark = pytest.mark.chaos

KERNELS = {kernel.name: kernel for kernel in (PrimeCount(), NthPrime())}
JOBS = 300
WORKERS = 3
KILL_EVERY_SECONDS = 2.0
# Parts of the larger jobs are cut off by it, too.
SLICE_SECONDS = "0.5"
LIMIT_SECONDS = 1500.0


def test_the_same_answer_as_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    valkey_server: Server,
    ministack: Server,
) -> None:
    """A count would depend on how it was cut, and on which of its workers died."""
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", SLICE_SECONDS)
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/7")
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://shared-primes")
    queues = make_queue(ministack.url, "shared-primes")
    client, random = Client(), Random(1)
    jobs = [submitted(client, random) for _ in range(JOBS)]
    fleet = Fleet(tmp_path, WORKERS)
    end = time.monotonic() + LIMIT_SECONDS
    try:
        while not all(client.status(job_id).status.is_final for job_id in reversed(jobs)):
            assert time.monotonic() < end, client.status(jobs[-1])
            time.sleep(KILL_EVERY_SECONDS)  # The subject of the test.
            fleet.disturb({"SIGKILL": 1})
        await_no_parts(client, limit_seconds=LIMIT_SECONDS)
    finally:
        codes = fleet.stop()
    assert set(codes) == {0}, "SIGTERM is a clean end"
    records = [client.status(job_id) for job_id in jobs]
    for record in records:
        assert record.result == alone(record), record.params_json
    assert messages_in(queues[1]) == 0, "nothing is a dead letter"
    with capsys.disabled():
        print(f"\n{report(records, fleet)}")  # noqa: T201 - for who reads how hard it was


def submitted(client: Client, random: Random) -> str:
    """Submit a random job, for any number of workers and parts of any length; return its id."""
    kernel = random.choice([*KERNELS])
    number = round(10 ** random.uniform(8, 15.5))
    params = {"x": number} if kernel == PrimeCount.name else {"position": number // 36}
    return client.submit(
        kernel,
        parallel=random.randint(1, 6),
        part_seconds=10 ** random.uniform(-1.5, 0.5),
        **params,
    )


def alone(record: Record) -> dict[str, Any]:
    """Return the result of the job's kernel in one go."""
    kernel = KERNELS[record.kernel]
    params = kernel.Params.model_validate_json(record.params_json)
    return finish(kernel.run(params, None, Resources())).model_dump(mode="json")


def report(records: list[Record], fleet: Fleet) -> str:
    """Say how much there was to do, and how much was done twice."""
    parts = [record.fleet.parts for record in records if record.fleet]
    work = sum(record.usage.compute_seconds for record in records)
    redone = sum(record.usage.redone_seconds for record in records)
    return (
        f"{len(records)} jobs in {sum(parts)} parts, at most {max(parts)}, all right: "
        f"{dict(fleet.done)}; {work:.0f} s of work, {redone:.1f} s of it done twice"
    )
