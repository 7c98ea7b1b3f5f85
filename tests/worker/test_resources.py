"""What a kernel may know: its job, its time, and a folder of its own."""

from __future__ import annotations

import errno
import os
import re
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outlast.kernel import Resources
from outlast.kernel.bulk import dumped
from outlast.worker.slices.held import Busy
from outlast.worker.slices.isolation.parent import isolated
from outlast.worker.slices.scratch import MOMENT_SECONDS, PREFIX, Scratch
from tests.worker.curious import Curious, Params, Result, State
from tests.worker.floor import JOB

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from tests.worker.floor import Floor

BOTH = pytest.mark.parametrize("isolate", [False, True], ids=["here", "isolated"])


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, in this process and those that it starts."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def newest(record: Record) -> State:
    """Return the newest state that is stored."""
    return State.model_validate_json(record.checkpoints[0].state)


@BOTH
def test_a_kernel_knows_its_job(floor: Floor, isolate: bool) -> None:
    """It could name no file or request outside after its job."""
    assert newest(floor.run(Curious(), isolate=isolate, steps=1)).job_id == JOB


@BOTH
def test_without_a_limit_no_end_is_near(floor: Floor, isolate: bool) -> None:
    """A kernel would cut its steps short where nothing hurries it."""
    assert newest(floor.run(Curious(), isolate=isolate, steps=1)).seconds_left == 1e9


def test_a_kernel_knows_how_long_its_slice_lasts(floor: Floor) -> None:
    """A kernel could not choose how much to do before the next safe point."""
    seen = []

    def run(_params: object, _state: object, resources: Resources) -> object:
        for at in range(3):
            seen.append(resources.seconds_left())
            floor.clock.sleep(1.0)
            yield State(at=at, job_id="", seconds_left=0.0)
        seen.append(resources.seconds_left())
        return Result(at=3)

    kernel = Curious()
    vars(kernel).update(run=run)
    floor.run(kernel, seconds=10.0, steps=3)
    assert [before - after for before, after in pairwise(seen)] == [1.0] * 3
    assert seen[-1] == 7.0


def test_an_isolated_kernel_counts_down_by_itself() -> None:
    """Its clock would stand still within a step, or go on from the slice's beginning."""
    left = iter([100.0, 50.0, 7.0])
    params = Params(steps=2, step_seconds=0.05)
    steps = isolated(Curious(), [dumped(params)], Resources(seconds_left=lambda: next(left)))
    first, second = (state.seconds_left for state in steps if not isinstance(state, Busy))
    assert 99.0 < first < 99.96
    assert 49.0 < second < 49.96


@BOTH
def test_a_scratch_folder_lasts_for_a_slice(floor: Floor, temporary: Path, isolate: bool) -> None:
    """Files of thousands of slices would fill the disk, or one job see another's."""
    path = Path(newest(floor.run(Curious(), isolate=isolate, how="scratches", steps=2)).scratch)
    assert path.parent == temporary
    assert list(temporary.iterdir()) == []


def test_no_kernel_pays_for_a_folder_that_it_does_not_use(
    floor: Floor, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each short slice would make a folder, and none could run where nothing can be written."""
    monkeypatch.setattr(tempfile, "gettempdir", lambda: pytest.fail("it was asked for"))
    floor.run(Curious(), steps=2)
    assert list(temporary.iterdir()) == []


def test_what_a_dead_kernel_leaves_is_removed(floor: Floor, temporary: Path) -> None:
    """Each crash would leave its files behind."""
    floor.run(Curious(), isolate=True, how="scratches and dies", steps=1)
    assert list(temporary.iterdir()) == []


def test_what_a_dead_worker_has_left_is_removed_by_the_next(temporary: Path) -> None:
    """A sandbox whose processes are killed often would have no room in the end."""
    for name in ("dead", "new"):
        (temporary / f"{PREFIX}{name}" / "deep").mkdir(parents=True)
    long_ago = time.time() - 2 * MOMENT_SECONDS
    in_use = Scratch()
    alive = in_use()
    for path in (temporary / f"{PREFIX}dead", alive):
        os.utime(path, (long_ago, long_ago))
    scratch = Scratch()
    path = scratch()
    assert set(temporary.iterdir()) == {temporary / f"{PREFIX}new", alive, path}
    for each in (scratch, in_use):
        each.remove(elsewhere=False)


def test_nobody_else_can_read_it() -> None:
    """On a shared machine others would read what a job computes, or change it."""
    scratch = Scratch()
    assert scratch().stat().st_mode & 0o777 == 0o700
    scratch.remove(elsewhere=False)


def test_a_full_or_read_only_disk_is_told_in_one_line(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would know what to change, and the job be charged with a machine's fault."""
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "gone"))
    with pytest.raises(FileNotFoundError, match=re.escape("no scratch folder here")) as error:
        Scratch()()
    assert error.value.errno == errno.ENOENT
    assert "set TMPDIR" in str(error.value)
    assert "\n" not in str(error.value)


def test_resources_of_a_test_have_a_folder_that_goes_with_them() -> None:
    """An author could not test a kernel that uses it, or each test would leave a folder."""
    resources = Resources()
    path = resources.scratch
    assert path.is_dir()
    assert resources.scratch == path
    del resources
    assert not path.exists()
