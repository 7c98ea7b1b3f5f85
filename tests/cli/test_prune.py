"""Finished jobs deleted by age: those that are meant, never one that is not over."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.deletions import PREFIX
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from outlast.worker.jobs.prune import MARK_SECONDS, forget_deletions, prune
from outlast.worker.jobs.selection import Selection
from tests.fakes import START, FakeClock

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from tests.cli.process import AtTerminal, Outlast

DAY = 86_400.0
MOVES = {
    "queued": lambda record: record,
    "paused": Record.paused,
    "cancelled": Record.cancelled,
    "failed": lambda record: record.failed("told to"),
    "succeeded": lambda record: record.succeeded({"total": 1}),
}


@pytest.fixture
def old(client: Client) -> Client:
    """A store with a job of each status, last changed 40 days ago, and one that has just failed."""
    now = client.jobs.clock
    client.jobs.clock = lambda: now() - 40 * DAY
    for name, move in MOVES.items():
        tags = ("nightly",) if name == "failed" else ()
        client.create("tally", {"steps": 1}, job_id=name, tags=tags)
        client.jobs.change(name, move)
    client.jobs.clock = now
    client.create("tally", {"steps": 1}, job_id="young")
    client.jobs.change("young", MOVES["failed"])
    return client


def job_ids(client: Client) -> list[str]:
    """Return the ids of the jobs that are there."""
    return list(client.jobs.ids())


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ((), ["cancelled", "failed", "succeeded"]),
        (("--status", "failed"), ["failed"]),
        (("--status", "queued", "--status", "paused"), []),
        (("--tag", "nightly"), ["failed"]),
        (("--kernel", "sum"), []),
        (("--kernel", "tally", "--status", "cancelled"), ["cancelled"]),
    ],
)
def test_only_what_is_meant_old_and_over_is_deleted(
    options: tuple[str, ...], gone: list[str], outlast: Outlast, old: Client
) -> None:
    """Work that is not done, or a result that is still wanted, would be gone for good."""
    before = job_ids(old)
    looked = outlast("prune", "--older-than", "30d", "--dry-run", *options)
    assert job_ids(old) == before
    assert [line.split()[0] for line in looked.out.splitlines()[:-1]] == gone
    count = f"{len(gone)} job{'' if len(gone) == 1 else 's'}"
    assert looked.out.splitlines()[-1].startswith(f"{count} would be deleted in sqlite:///")
    ended = outlast("prune", "--older-than", "30d", "--yes", *options)
    assert ended.code == 0
    assert ended.out.splitlines()[-1].startswith(f"{count} deleted in sqlite:///")
    assert job_ids(old) == [job_id for job_id in before if job_id not in gone]


def test_json_tells_what_is_deleted(outlast: Outlast, old: Client) -> None:
    """A script could not keep a log of what it deletes."""
    words = ("prune", "--older-than", "30d", "--status", "failed", "--json")
    for more in ("--dry-run", "--yes"):
        (job,) = json.loads(outlast(*words, more).out)
        assert (job["job_id"], job["status"]) == ("failed", "failed")
    assert json.loads(outlast(*words, "--yes").out) == []
    assert "failed" not in job_ids(old)


@pytest.mark.parametrize(("answer", "count"), [("y", 3), ("n", 0), ("", 0)])
def test_on_a_terminal_it_is_asked(
    answer: str, count: int, terminal: AtTerminal, old: Client
) -> None:
    """A person who wanted to look would have deleted, perhaps in the wrong store."""
    before = len(job_ids(old))
    at = terminal("prune", "--older-than", "30d")
    at.await_text(r"delete 3 jobs in sqlite:///.* for good\?")
    at.type(answer + "\n")
    code, out = at.end()
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[:3]] == [
        "cancelled",
        "failed",
        "succeeded",
    ]
    assert len(job_ids(old)) == before - count


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Press Ctrl-C until it is heard: not if it comes between the question and the reading."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2.0)


@pytest.mark.parametrize(("is_ctrl_c", "code"), [(True, 130), (False, 0)], ids=["C", "D"])
def test_ctrl_c_and_ctrl_d_are_a_no(
    is_ctrl_c: bool, code: int, terminal: AtTerminal, old: Client
) -> None:
    """A person who thinks better of it would be told of a fault, and look for it."""
    before = job_ids(old)
    at = terminal("prune", "--older-than", "30d")
    at.await_text(r"for good\?")
    if is_ctrl_c:
        _interrupt(at.process)
    else:
        at.type("\x04")
    assert at.end()[0] == code
    assert "outlast:" not in at.seen
    assert job_ids(old) == before


def test_a_damaged_record_is_left_and_reported(outlast: Outlast, old: Client) -> None:
    """One bad record would keep all old jobs, or be lost before anyone has looked at it."""
    old.jobs._register.put("jobs/bad", b"damaged", expected=None)
    ended = outlast("prune", "--older-than", "30d", "--yes")
    assert ended.code == 1
    assert ended.err.startswith("outlast: job bad: not a record of Outlast")
    assert job_ids(old) == ["bad", "paused", "queued", "young"]


def test_a_job_that_is_retried_meanwhile_is_left(old: Client) -> None:
    """A person's retry and a scheduled prune at once would lose the job."""
    selection = Selection(older_than_seconds=30 * DAY)
    old.jobs.change("failed", Record.retried)
    assert not prune(old.jobs, None, "failed", selection)
    old.jobs.change("failed", MOVES["failed"])
    assert not prune(old.jobs, None, "failed", selection), "its age begins anew"
    assert not prune(old.jobs, None, "never", selection)
    assert old.status("failed").status is Status.FAILED


def test_marks_are_kept_while_messages_may_come(outlast: Outlast, old: Client) -> None:
    """A late message of a deleted job would be a dead letter; or marks would fill the store."""
    clock = FakeClock(START)
    jobs = JobStore(old.jobs._register, clock=clock)
    outlast("prune", "--older-than", "30d", "--yes")
    assert len([*old.jobs._register.keys(PREFIX)]) == 3
    clock.now = old.jobs.clock() + MARK_SECONDS - DAY
    assert forget_deletions(jobs) == 0
    clock.now += 2 * DAY
    assert forget_deletions(jobs) == 3
