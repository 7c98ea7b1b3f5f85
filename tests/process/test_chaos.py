"""Real workers, stores and queues, and everything that breaks them: no job is lost or wrong."""

from __future__ import annotations

import json
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from outlast.worker.jobs.client import Client
from outlast.worker.queues.embedded import MAX_RECEIVES
from tests.process.faults import FaultyProxy, Valkey
from tests.process.fleet import Fleet, Steps
from tests.process.installed.chain import STEP_SECONDS, expected
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import Server

INSTALLED = Path(__file__).with_name("installed")

pytestmark = pytest.mark.chaos

JOBS = 200
STEPS = range(50, 150)
WORKERS = 6
SLICE_SECONDS, CHECKPOINT_SECONDS = 3.0, 0.5
DISTURB_EVERY_SECONDS = 1.5
OUTAGE_EVERY = 10  # disturbances
LIMIT_SECONDS = 600.0

# What one hard stop may cost: the interval between two checkpoints and a step, and the time that
# a loaded machine takes to get from the end of the interval to the save.
LOST_SECONDS = CHECKPOINT_SECONDS + STEP_SECONDS + 0.25


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Count the steps of the kernels, which are installed for the test and its workers."""
    monkeypatch.syspath_prepend(INSTALLED)
    monkeypatch.setenv("PYTHONPATH", str(INSTALLED))
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", str(SLICE_SECONDS))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", str(CHECKPOINT_SECONDS))
    monkeypatch.setenv("OUTLAST_SWEEP_SECONDS", "10")
    counted = Steps(tmp_path / "steps")
    monkeypatch.setenv("CHAIN_STEPS", str(counted.path))
    return counted


def make_queue(url: str) -> None:
    """Create the queue `chaos`, that gives a message up after 100 receives."""
    with closing(boto3.client("sqs", endpoint_url=url)) as sqs:
        dead = sqs.create_queue(QueueName="chaos-dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = {
            "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
            "maxReceiveCount": MAX_RECEIVES,
        }
        attributes = {"RedrivePolicy": json.dumps(policy)}
        sqs.create_queue(QueueName="chaos", Attributes=attributes)


def survive(
    steps: Steps,
    logs: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    outage: Callable[[Fleet], None] | None = None,
    workers: dict[str, str] | None = None,
    proxy: FaultyProxy | None = None,
) -> None:
    """Submit the jobs, disturb the workers until all are over, check and report.

    `workers` is what is set for the workers only; `outage` happens now and then.
    """
    client = Client()
    jobs = {f"chaos-{n}": {"steps": STEPS[n % len(STEPS)], "seed": n} for n in range(JOBS)}
    for job_id, params in jobs.items():
        client.submit("chain", job_id=job_id, **params)
    begun = time.monotonic()
    fleet, disturbances, outages, waiting = Fleet(logs, WORKERS, workers or {}, 1), 0, 0, [*jobs]
    try:
        while waiting:
            assert time.monotonic() - begun < LIMIT_SECONDS, client.status(waiting[0])
            time.sleep(DISTURB_EVERY_SECONDS)  # The subject of the test.
            fleet.disturb()
            disturbances += 1
            if outage and disturbances % OUTAGE_EVERY == 0:
                outage(fleet)
                outages += 1
            while waiting and client.status(waiting[-1]).status.is_final:
                waiting.pop()
    finally:
        codes = fleet.stop()
    took = time.monotonic() - begun
    # Killed by it are those that had only just been started.
    assert set(codes) <= {0, -signal.SIGTERM}, "SIGTERM is a clean end"
    for job_id, params in jobs.items():
        assert client.result(job_id) == expected(**params)
    needed = sum(params["steps"] for params in jobs.values())
    redone = (steps.stop() - needed) * STEP_SECONDS
    hard_stops = fleet.done["SIGKILL"] + fleet.done["SIGSTOP"]
    # While the store is away nothing can be saved: a slice may lose all that it did.
    promised = hard_stops * LOST_SECONDS + outages * WORKERS * SLICE_SECONDS
    recorded = sum(client.status(job_id).usage.redone_seconds for job_id in jobs)
    with capsys.disabled():
        print(  # noqa: T201 - the report is what the test is run for
            f"\n{len(jobs)} jobs of {needed} steps, all right, after {took:.0f} s: "
            f"{dict(fleet.done)}, {outages} outages, requests failed {proxy and proxy.faults}; "
            f"{redone:.1f} s of {needed * STEP_SECONDS:.0f} s redone, at most {promised:.1f} s "
            f"promised; by the records {recorded:.1f} s"
        )
    assert 0 <= redone <= promised


def test_redis_and_sqs(
    steps: Steps,
    tmp_path: Path,
    ministack: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A fleet on spot machines would lose jobs whenever the store's server is restarted."""
    make_queue(ministack.url)
    data = tmp_path / "valkey"
    data.mkdir()
    valkey = Valkey(data)
    monkeypatch.setenv("OUTLAST_STORE", valkey.url)
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://chaos")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    try:
        with serving(FaultyProxy(ministack, 2)) as proxy:
            survive(
                steps,
                tmp_path,
                capsys,
                outage=lambda _: valkey.restart(down_seconds=1.0),
                workers={"AWS_ENDPOINT_URL": proxy.url},
                proxy=proxy,
            )
    finally:
        valkey.kill()


def test_s3_and_sqs(
    steps: Steps,
    tmp_path: Path,
    ministack: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A serverless fleet would lose jobs on a day when AWS answers with errors."""
    make_queue(ministack.url)
    monkeypatch.setenv("OUTLAST_STORE", "s3://chaos")
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://chaos")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with closing(boto3.client("s3")) as s3:
        s3.create_bucket(Bucket="chaos")
    with serving(FaultyProxy(ministack, 3)) as proxy:
        survive(steps, tmp_path, capsys, workers={"AWS_ENDPOINT_URL": proxy.url}, proxy=proxy)


def test_a_full_disk(
    steps: Steps,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A workstation whose disk ran full overnight would have lost the work of days."""
    url = f"sqlite:///{tmp_path / 'outlast.db'}"
    monkeypatch.setenv("OUTLAST_STORE", url)
    monkeypatch.setenv("OUTLAST_QUEUE", url)
    survive(steps, tmp_path, capsys, outage=lambda fleet: fleet.fill_disk(1.5))
