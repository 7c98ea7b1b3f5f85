"""Workers that are killed while they save arrays: what is stored stays whole and right."""

from __future__ import annotations

import json
import random
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING

import boto3
import pytest

from outlast.checkpoint.blobs.fetching import fetch
from outlast.checkpoint.status import Status
from outlast.kernel.bulk import loaded, new_row
from outlast.worker.jobs.client import Client
from tests.cli.process import OUTLAST
from tests.field import Result, expected
from tests.kernels import install
from tests.process.fleet import Fleet
from tests.process.lasting_field import LastingField

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outlast.checkpoint.record import Record
    from tests.servers import Server

JOB = "large"
NUMBERS_A_MIB = 1 << 18
LIMIT_SECONDS = 120.0  # until a worker saves, or the job ends
POLL_SECONDS = 0.01
# Saves that a worker may end before the one in which it is killed: most get on with the job.
SAVES_BEFORE = (0, 1, 1, 2)


class Siege:
    """One job and one worker at a time, which is killed in the middle of a save.

    Attributes:
        kills: how many there were.
        cut_off: how many of them left chunks of a save that was never done.
    """

    def __init__(self, folder: Path, *, arrays: int, mib: int, step_seconds: float) -> None:
        """Begin the job, with so many arrays of so many MiB each."""
        self.kills = self.cut_off = 0
        self._client = Client()
        assert self._client.blobs is not None
        self._blobs = self._client.blobs
        self._random = random.Random(1)
        self._end = folder / "end"
        self._size = {"arrays": arrays, "numbers": mib * NUMBERS_A_MIB}
        self._client.submit(
            LastingField.name, job_id=JOB, steps=10**9, step_seconds=step_seconds, **self._size
        )
        self.fleet = Fleet(folder, 1)

    def _look(self) -> tuple[Record, set[str]]:
        """Return the job, and the chunks that it does not list: of saves under way or cut off."""
        names = {found.name for found in self._blobs.names()}
        record = self._client.status(JOB)  # It lists a chunk only once that is there.
        return record, names - _listed(record)

    def kill(self, *, within_seconds: float) -> None:
        """Kill the worker so long at most after it began a save, at random; start another one."""
        record, before = self._look()
        saves = record.usage.saves + self._random.choice(SAVES_BEFORE)

        def is_saving() -> bool:
            record, unlisted = self._look()
            return record.usage.saves >= saves and not unlisted <= before

        _wait(is_saving)
        time.sleep(self._random.uniform(0.0, within_seconds))  # The subject of the test.
        self.fleet.disturb({"SIGKILL": 1})
        self.kills += 1
        self.cut_off += is_saving()
        names = {found.name for found in self._blobs.names()}
        assert set(self._client.status(JOB).chunks) <= names, "a checkpoint has lost chunks"
        # The next worker need not wait for the lease of this one to end.
        self._client.resume(JOB, free=True)

    def end(self) -> Result:
        """Let the job end, and return its result."""
        self._end.touch()
        _wait(lambda: self._client.status(JOB).status.is_final)
        record = self._client.status(JOB)
        assert record.status is Status.SUCCEEDED, record.error
        assert record.quarantine == (), "a checkpoint could not be read"
        row = new_row(sum(chunk.size for chunk in record.result_chunks))
        fetch(self._blobs, record.result_chunks, row)
        return loaded(Result, json.dumps(record.result), row)

    def orphans(self) -> set[str]:
        """Return the chunks that the job does not need, after a prune of all that nobody needs."""
        words = ["prune", "--older-than", "1d", "--orphans-after", "0s", "--yes"]
        subprocess.run([OUTLAST, *words], check=True, capture_output=True)
        return self._look()[1]

    def expected(self, steps: int) -> Result:
        """Return the result of a run of so many steps that nothing stops."""
        return expected(steps=steps, **self._size)


def _listed(record: Record) -> set[str]:
    return set(record.chunks) | {dropped.name for dropped in record.dropped}


def _wait(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(POLL_SECONDS)


@pytest.fixture(params=["folder", pytest.param("S3", marks=pytest.mark.chaos)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store for workers that have the kernel and save every second, and the file that ends it."""
    monkeypatch.setenv("PYTHONPATH", install(tmp_path, LastingField))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FIELD_ENDS", str(tmp_path / "end"))
    monkeypatch.setenv("OUTLAST_QUEUE", f"sqlite:///{tmp_path / 'outlast.db'}")
    monkeypatch.setenv("OUTLAST_STORE", f"sqlite:///{tmp_path / 'outlast.db'}")
    if request.param == "S3":
        server: Server = request.getfixturevalue("seaweedfs")
        bucket = f"large-{tmp_path.name}".lower().translate({ord("_"): "-"})
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("OUTLAST_STORE", f"s3://{bucket}")
        with closing(boto3.client("s3")) as s3:
            s3.create_bucket(Bucket=bucket)


def survive(siege: Siege, *, kills: int, within_seconds: float) -> None:
    """Kill workers in so many saves, and see that the job ends right."""
    try:
        while siege.cut_off < kills:
            siege.kill(within_seconds=within_seconds)
            assert siege.kills < 8 * kills, "nearly all of them fall between two saves"
        result = siege.end()
    finally:
        siege.fleet.stop()
    assert not siege.orphans()
    assert result == siege.expected(len(result.trail) // 8)


@pytest.mark.usefixtures("store")
def test_a_worker_that_is_killed_in_a_save_costs_that_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job would go on from half of a state, or from none, after a machine was taken away."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "0.3")
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", "1")
    siege = Siege(tmp_path, arrays=8, mib=1, step_seconds=0.01)
    survive(siege, kills=5, within_seconds=0.05)


@pytest.mark.chaos
@pytest.mark.usefixtures("store")
def test_many_kills_in_saves_of_256_mib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training of days on spot machines would be lost, or go on wrongly, by one of its kills."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "1")
    monkeypatch.setenv("OUTLAST_SLICE_SECONDS", "8")
    monkeypatch.setenv("OUTLAST_MAX_STALLS", "100")
    siege = Siege(tmp_path, arrays=16, mib=16, step_seconds=0.0)
    survive(siege, kills=30, within_seconds=2.0)
