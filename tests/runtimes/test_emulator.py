"""Our Lambda handler in AWS's own emulator, which ends what runs into its time-out by SIGKILL."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import boto3
import pytest

from outlast.checkpoint.status import Status
from outlast.worker.jobs.client import Client
from tests import field, servers
from tests.checkpoint.lossy_proxy import LossyProxy
from tests.kernels import install
from tests.runtimes import emulator
from tests.serving import serving

if TYPE_CHECKING:
    from tests.runtimes.system import System
    from tests.servers import Server

TIMED_OUT = "Task timed out after 3.00 seconds"


@pytest.fixture
def system(system: System) -> System:
    """The same, saved and given up quickly."""
    system.env |= {"OUTLAST_CHECKPOINT_SECONDS": "0.2"}
    return system


def test_no_invocation_runs_into_its_timeout(system: System) -> None:
    """The work since the last save would be done, paid for, and lost in every invocation."""
    system.client.submit("adder", job_id="j", steps=200, step_seconds=0.04)
    with emulator.function(system.folder, system.env, timeout_seconds=3) as function:
        source = system.source(function.invoke)
        while not system.record("j").status.is_final:
            assert source.turn() == {"batchItemFailures": []}
        assert function.kills == 0
    record = system.record("j")
    assert record.result == {"total": 20_100}
    assert record.usage.slices_begun > 2
    assert record.usage.steps == 200  # none was done twice


def test_a_killed_invocation_goes_on_from_its_last_checkpoint(system: System) -> None:
    """A step that is longer than an invocation would cost all the work before it."""
    slept = str(system.folder / "slept")
    params = {"steps": 40, "step_seconds": 0.02, "sleeps_at": 30, "slept": slept}
    system.client.submit("adder", job_id="j", **params)
    with emulator.function(system.folder, system.env, timeout_seconds=3) as function:
        source = system.source(function.invoke)
        while (answer := source.turn()) != TIMED_OUT:
            assert answer == {"batchItemFailures": []}
        killed = system.record("j")
        assert killed.status is Status.RUNNING
        assert 0 < killed.usage.steps <= 30
        while not system.record("j").status.is_final:
            # The message comes back when its shortened time is over, not after the queue's 30 s.
            assert source.turn() in ({"batchItemFailures": []}, None)
        assert function.kills == 1
    record = system.record("j")
    assert record.result == {"total": 820}
    assert record.usage.steps == 40  # those after the checkpoint were never accounted for


def test_an_isolated_kernel_is_not_killed_from_outside(system: System) -> None:
    """The function would be killed, and its next invocation begin cold."""
    system.env |= {"OUTLAST_ISOLATE": "true"}
    slept = str(system.folder / "slept")
    params = {"steps": 6, "sleeps_at": 3, "slept": slept}
    system.client.submit("adder", job_id="j", **params)
    with emulator.function(system.folder, system.env, timeout_seconds=3) as function:
        source = system.source(function.invoke)
        while not system.record("j").status.is_final:
            assert source.turn() == {"batchItemFailures": []}
        assert function.kills == 0
    record = system.record("j")
    assert record.result == {"total": 21}
    assert record.usage.slices_begun > 1  # one at least was spent asleep


@pytest.mark.chaos
def test_arrays_for_a_slow_store_are_there_before_the_timeout(
    system: System, seaweedfs: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training would lose each invocation in which it sends its state for the last time."""
    install(system.folder, field.Field)
    with serving(LossyProxy(seaweedfs)) as slow:
        slow.bytes_a_second = 5e6
        place = {
            "OUTLAST_BLOBS": "s3://slow-arrays/test",
            "AWS_ENDPOINT_URL_S3": f"http://{servers.HOST}:{slow.port}",
        }
        for name, value in place.items():
            monkeypatch.setenv(name, value)
        with closing(boto3.client("s3")) as s3:
            s3.create_bucket(Bucket="slow-arrays")
        client, params = Client(), {"steps": 5000, "arrays": 4, "numbers": 1_000_000}
        client.submit("field", job_id="j", **params)
        del system.env["OUTLAST_CHECKPOINT_SECONDS"]
        with emulator.function(system.folder, system.env | place, timeout_seconds=15) as function:
            source = system.source(function.invoke)
            while not system.record("j").status.is_final:
                assert source.turn() == {"batchItemFailures": []}
        usage = system.record("j").usage
        assert usage.slices_begun > 2
        assert usage.saves >= usage.slices_begun - 1
        assert (usage.steps, usage.redone_seconds) == (params["steps"], 0)
        assert client.result("j")["digest"] == field.expected(**params).digest
