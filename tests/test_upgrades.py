"""An upgrade with jobs in flight: workers of today and of the next version, on one queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.names import JOBS
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.worker.settings import PREFIX
from tests.cli.process import OUTLAST, Ended
from tests.newer_version import NEWER, OLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_SECONDS = 60
OLD = (OUTLAST,)
NEW = (sys.executable, str(Path(__file__).with_name("newer_version.py")))
BRIEFLY = ("worker", "--max-idle-seconds", "0.1")
ONE_SLICE = (*BRIEFLY, "--max-slices", "1")


class Deployment:
    """A store, its queue, and commands of two versions that use them."""

    def __init__(self, folder: Path) -> None:
        rest = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        path = folder / "jobs.db"
        installed = Path(__file__).parent / "cli/installed"
        self._env = rest | {
            "OUTLAST_STORE": f"sqlite:///{path}",
            "OUTLAST_SLICE_SECONDS": "0.2",
            "PYTHONPATH": str(installed),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._register = SqliteRegister(path)

    def close(self) -> None:
        """Let go of the store."""
        self._register.close()

    def ends(self, version: tuple[str, ...], *words: str) -> Ended:
        """Run a command of a version to its end."""
        ran = subprocess.run(
            [*version, *words],
            env=self._env,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        return Ended(ran.returncode, ran.stdout, ran.stderr)

    def answers(self, version: tuple[str, ...], *words: str) -> str:
        """Run a command of a version that must succeed; return what it prints."""
        ended = self.ends(version, *words)
        assert ended.code == 0, ended.err
        return ended.out

    def record_of(self, job_id: str) -> bytes:
        """Return the job's record as it is stored."""
        stored = self._register.read(JOBS + job_id)
        assert stored is not None
        return stored.value


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A store and a queue without jobs."""
    deployment = Deployment(tmp_path)
    yield deployment
    deployment.close()


def test_side_by_side_each_does_what_it_can_and_nothing_is_lost(deployment: Deployment) -> None:
    """An upgrade would lose the work of jobs under way, or an old worker damage what is newer."""
    words = ("submit", "tally", "steps=20", "step_seconds=0.04", "--job-id", "begun")
    deployment.answers(OLD, *words)
    deployment.answers(OLD, *ONE_SLICE)
    assert deployment.record_of("begun").startswith(OLDER)
    deployment.answers(NEW, *ONE_SLICE)
    newer = deployment.record_of("begun")
    assert newer.startswith(NEWER)

    deployment.answers(OLD, "submit", "tally", "steps=3", "--job-id", "old")
    left = deployment.ends(OLD, *BRIEFLY)
    assert (left.code, left.out) == (0, "")
    assert "upgrade Outlast" in left.err
    assert deployment.record_of("begun") == newer
    assert deployment.answers(OLD, "result", "old") == "total=3\n"
    refused = deployment.ends(OLD, "status", "begun")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "upgrade Outlast" in refused.err

    # Its message is hidden, as that of a worker that has died; a sweep sends another one.
    deployment.answers(NEW, "sweep")
    deployment.answers(NEW, *BRIEFLY)
    assert deployment.answers(NEW, "result", "begun") == "total=20\n"
    slices = json.loads(deployment.answers(NEW, "history", "begun", "--json"))
    reached = [each["progress"] for each in slices]
    assert reached == sorted(reached)
    assert 0 < reached[0] < reached[1] < reached[2]
    assert [each["progress_before"] for each in slices] == [0, *reached[:-1]]
