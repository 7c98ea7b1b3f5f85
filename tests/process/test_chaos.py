"""Real workers, stores and queues, and everything that breaks them: no job is lost or wrong."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from outlast.worker.jobs.client import Client
from outlast.worker.queues import open_dead_letters
from tests import redis_groups
from tests.kernels import expected, install
from tests.process.chain import STEP_SECONDS, Chain, SharedChain
from tests.process.faults import FaultyProxy, Valkey
from tests.process.fleet import MIXED, Fleet, Steps, await_no_parts, make_queue
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Server

pytestmark = pytest.mark.chaos

SLICE_SECONDS, CHECKPOINT_SECONDS = 3.0, 0.5
OUTAGE_EVERY = 10  # disturbances
LIMIT_SECONDS = 600.0


@dataclass(frozen=True)
class Load:
    """What the workers are given to do, and what is done to them.

    Attributes:
        jobs: how many; each has one of these numbers of `steps`, in turn.
        parallel: how many workers share a job; None: it is not divided.
        signals: which one a worker gets, by weight, each `every_seconds`.
    """

    kernel: str
    jobs: int
    steps: range
    workers: int
    every_seconds: float
    signals: dict[str, int]
    parallel: int | None = None


ALONE = Load("chain", 200, range(50, 150), workers=6, every_seconds=1.5, signals=MIXED)
SHARED = Load("shared-chain", 20, range(500, 1000, 50), 4, 1.0, signals={"SIGKILL": 1}, parallel=4)

# What one hard stop may cost: the interval between two checkpoints and a step, and the time that
# a loaded machine takes to get from the end of the interval to the save.
LOST_SECONDS = CHECKPOINT_SECONDS + STEP_SECONDS + 0.25


@pytest.fixture
def survive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., None]:
    """`work_through` for the test's own store and queue, with the kernel installed for workers."""
    for kernel in (Chain, SharedChain):
        monkeypatch.setenv("PYTHONPATH", install(tmp_path, kernel))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", str(SLICE_SECONDS))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", str(CHECKPOINT_SECONDS))
    monkeypatch.setenv("OUTLAST_SWEEP_SECONDS", "10")
    steps = Steps(tmp_path / "steps")
    monkeypatch.setenv("CHAIN_STEPS", str(steps.path))

    def survive(**options: Any) -> None:
        report = work_through(steps, tmp_path, **options)
        with capsys.disabled():
            print(f"\n{report}")  # noqa: T201 - the report is what the test is run for

    return survive


def work_through(
    steps: Steps,
    logs: Path,
    *,
    load: Load = ALONE,
    outage: Callable[[Fleet], None] | None = None,
    proxy: FaultyProxy | None = None,
) -> str:
    """Submit the jobs, disturb the workers until all are over, check them and return a report.

    Only the workers talk to AWS by `proxy`; `outage` happens now and then.
    """
    client, begun = Client(), time.monotonic()
    jobs = submit(client, load)
    fleet = Fleet(logs, load.workers, {"AWS_ENDPOINT_URL": proxy.url} if proxy else None)
    try:
        outages = disturb(fleet, load, client, [*jobs], outage)
        await_no_parts(client, limit_seconds=LIMIT_SECONDS)
    finally:
        codes = fleet.stop()
    took = time.monotonic() - begun
    # Killed by it are those that had only just been started.
    assert set(codes) <= {0, -signal.SIGTERM}, "SIGTERM is a clean end"
    for job_id, (params, result) in jobs.items():
        assert client.result(job_id) == result, params
    needed = sum(params["steps"] for params, _ in jobs.values())
    redone = (steps.stop() - needed) * STEP_SECONDS
    hard_stops = fleet.done["SIGKILL"] + fleet.done["SIGSTOP"]
    # While the store is away nothing can be saved: who is killed then may lose a slice, and a
    # failover by force loses what was saved last.
    promised = hard_stops * LOST_SECONDS + outages * load.workers * SLICE_SECONDS
    recorded = sum(client.status(job_id).usage.redone_seconds for job_id in jobs)
    assert 0 <= redone <= promised
    return (
        f"{len(jobs)} jobs of {needed} steps, all right, after {took:.0f} s: "
        f"{dict(fleet.done)}, {outages} outages, requests failed {proxy and proxy.faults}; "
        f"{redone:.1f} s of {needed * STEP_SECONDS:.0f} s redone, at most {promised:.1f} s "
        f"promised; by the records {recorded:.1f} s"
    )


def submit(client: Client, load: Load) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    """Submit the jobs; return the parameters of each, and its result."""
    jobs = {}
    for number in range(load.jobs):
        job_id, steps = f"chaos-{number}", load.steps[number % len(load.steps)]
        start = 0 if load.parallel else number
        params = {"steps": steps} if load.parallel else {"steps": steps, "seed": start}
        client.submit(load.kernel, job_id=job_id, parallel=load.parallel, **params)
        jobs[job_id] = params, expected(steps, start)
    return jobs


def disturb(
    fleet: Fleet,
    load: Load,
    client: Client,
    job_ids: list[str],
    outage: Callable[[Fleet], None] | None,
) -> int:
    """Disturb the workers until all the jobs are over; return the number of outages."""
    end = time.monotonic() + LIMIT_SECONDS
    for number in count(1):
        while job_ids and client.status(job_ids[-1]).status.is_final:
            job_ids.pop()
        if not job_ids:
            break
        assert time.monotonic() < end, client.status(job_ids[0])
        time.sleep(load.every_seconds)  # The subject of the test.
        fleet.disturb(load.signals)
        if outage and number % OUTAGE_EVERY == 0:
            outage(fleet)
    return (number - 1) // OUTAGE_EVERY if outage else 0


@pytest.fixture
def aws(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """SQS with the queue `chaos`, and S3 with the bucket of that name, as the store and queue."""
    make_queue(ministack.url, "chaos")
    monkeypatch.setenv("OUTLAST_STORE", "s3://chaos")
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://chaos")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with closing(boto3.client("s3")) as s3:
        s3.create_bucket(Bucket="chaos")
    return ministack


@pytest.mark.parametrize("queue", ["sqs", "redis"])
def test_redis(
    survive: Callable[..., None],
    aws: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    queue: str,
) -> None:
    """A fleet on spot machines would lose jobs whenever the store's server is restarted."""
    (tmp_path / "valkey").mkdir()
    valkey = Valkey(tmp_path / "valkey")
    monkeypatch.setenv("OUTLAST_STORE", valkey.url)
    if queue == "redis":
        monkeypatch.delenv("OUTLAST_QUEUE")
    try:
        with serving(FaultyProxy(aws, 2)) as proxy:
            survive(outage=lambda _: valkey.restart(down_seconds=1.0), proxy=proxy)
    finally:
        valkey.kill()


def test_a_cluster(survive: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet would lose jobs whenever a node of its store is replaced by its replica."""
    monkeypatch.delenv("OUTLAST_QUEUE", raising=False)
    with redis_groups.cluster(3, 3) as group:
        monkeypatch.setenv("OUTLAST_STORE", group.url)
        survive(outage=lambda _: group.fail_over())


def test_s3_and_sqs(survive: Callable[..., None], aws: Server) -> None:
    """A serverless fleet would lose jobs on a day when AWS answers with errors."""
    with serving(FaultyProxy(aws, 3)) as proxy:
        survive(proxy=proxy)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("store", ["redis", "s3", "redis alone"])
def test_shared_jobs(
    survive: Callable[..., None],
    valkey_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    store: str,
) -> None:
    """A fleet on spot machines would lose a part with its worker, or add one up twice."""
    if store != "s3":
        database = 7 if store == "redis" else 6
        monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/{database}")
    if store == "redis alone":
        monkeypatch.delenv("OUTLAST_QUEUE")
    survive(load=SHARED)
    with open_dead_letters(Client().settings.queue).look() as dead:
        assert list(dead) == []


def test_a_full_disk(
    survive: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workstation whose disk ran full overnight would have lost the work of days."""
    url = f"sqlite:///{tmp_path / 'outlast.db'}"
    monkeypatch.setenv("OUTLAST_STORE", url)
    monkeypatch.setenv("OUTLAST_QUEUE", url)
    survive(outage=lambda fleet: fleet.fill_disk(1.5))
