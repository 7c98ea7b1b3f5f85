"""Processes that others on their machine know to be gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint import local_process
from outlast.checkpoint.local_process import is_gone, this_process
from tests.records import changed, job, lease

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


NOW = 101.0  # within the lease of the tests
NAME = "from outlast.checkpoint.local_process import this_process; print(this_process())"

if sys.platform != "linux":
    pytest.skip("processes have names on Linux alone", allow_module_level=True)


@contextmanager
def another() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a process that waits, and its name."""
    code = f"{NAME}; import sys; sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_killed_process_is_gone_and_with_it_its_lease() -> None:
    """A job on a laptop would wait half a minute for a worker that was killed."""
    with another() as (process, name):
        held = job(lease=lease(process=name))
        assert not is_gone(name)
        assert held.is_held(NOW)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(name), "it waits for its parent to ask"
        process.wait()
        assert is_gone(name)
        assert not held.is_held(NOW)
        assert changed(held, stalls=1).is_held(NOW) is False
        # What kills one worker after another may pass, and ten of them fail the job.
        assert changed(held, stalls=2).is_held(NOW)


def test_the_number_of_a_process_may_be_used_again() -> None:
    """A job would wait for a worker whose number something else has by now."""
    own, _, began = this_process().rpartition("@")
    assert is_gone(f"{own}@{int(began) - 1}")
    assert not is_gone(this_process())


@pytest.mark.parametrize("name", ["", "elsewhere#1@2", "anything"])
def test_nothing_is_known_of_a_process_elsewhere(name: str) -> None:
    """A worker in a container would take the jobs of all other containers."""
    assert not is_gone(name)
    assert job(lease=lease(process=name)).is_held(NOW)


def test_a_child_has_a_name_of_its_own() -> None:
    """The leases of a worker that was forked would be those of its parent."""
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        os.write(theirs, this_process().encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as answer:
        name = answer.read()
    os.waitpid(child, 0)
    assert name.rpartition("#")[0] == this_process().rpartition("#")[0]
    assert name != this_process()
    assert is_gone(name)


def copied_proc(folder: Path, *, own_number: str) -> None:
    """Make of the folder a /proc in which this process has its entry, and `self` is that number."""
    shutil.rmtree(folder)
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text("0-1-2")
    for number in {own_number, str(os.getpid())}:
        (folder / number / "ns").mkdir(parents=True)
        (folder / number / "ns/pid").symlink_to("pid:[3]")
        shutil.copy(f"/proc/{os.getpid()}/stat", folder / number)
    (folder / "self").symlink_to(own_number)


def test_there_is_no_name_where_machines_are_copies_or_tell_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two Lambda sandboxes would take each other for gone, or a Mac could not run a worker."""
    monkeypatch.setattr(local_process, "_name_of", local_process._name_of.__wrapped__)
    assert this_process()
    with monkeypatch.context() as on_lambda:
        on_lambda.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
        assert this_process() == ""
    monkeypatch.setattr(local_process, "PROC", tmp_path)
    assert this_process() == ""
    copied_proc(tmp_path, own_number="1")
    assert this_process() == "", "it is the /proc of another namespace"
    copied_proc(tmp_path, own_number=str(os.getpid()))
    assert this_process()
    assert not is_gone("")
