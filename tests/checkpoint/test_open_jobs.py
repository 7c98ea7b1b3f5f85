"""The index of open jobs: right or too full after a crash anywhere, and never short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.codec import decode_head
from outlast.checkpoint.errors import UnknownJob, VersionConflict, WrongStatus
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.open_jobs import MISSING_SECONDS
from outlast.checkpoint.register import Stored
from tests.checkpoint.interleaving import gated, orders
from tests.fakes import FakeClock, MemoryRegister
from tests.records import changed, job

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record import Record

JOB = "a"
EXPECTED = (VersionConflict, WrongStatus, UnknownJob)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the jobs."""
    return FakeClock()


@pytest.fixture
def jobs(memory: MemoryRegister, clock: FakeClock) -> JobStore:
    """An empty store."""
    return JobStore(memory, clock=clock)


def end(record: Record) -> Record:
    """End the job without success, so that it can be retried."""
    return record if record.status.is_final else record.failed("it broke")


def require_marks(register: MemoryRegister) -> None:
    """Fail where a job is open and has no mark."""
    for key, stored in register.values.items():
        if key.startswith("jobs/"):
            head = decode_head(stored.value)
            assert head is not None
            assert head.is_over or f"open/{head.job_id}" in register.values, head.status


# What a process may do: each with a store of its own, as another machine has it.
ACTS: dict[str, Callable[[JobStore], object]] = {
    "submit": lambda jobs: jobs.submit(job()),
    "end": lambda jobs: jobs.change(JOB, end),
    "retry": lambda jobs: jobs.change(JOB, lambda record: record.retried()),
    "delete": lambda jobs: jobs.discard(JOB),
    "sweep": lambda jobs: jobs.open_jobs.tidy(JOB),
}


@pytest.mark.parametrize(
    ("before", "together"),
    [
        ([], ["submit", "sweep"]),
        ([], ["submit", "submit"]),
        (["submit"], ["end", "sweep", "sweep"]),
        (["submit"], ["end", "delete"]),
        (["submit", "end"], ["retry", "sweep"]),
        (["submit", "end", "sweep"], ["retry", "sweep"]),
        (["submit", "end", "sweep"], ["retry", "retry"]),
        (["submit", "end", "retry"], ["end", "sweep"]),
        (["submit", "end"], ["delete", "sweep"]),
        (["submit", "end", "sweep"], ["submit", "sweep"]),
    ],
    ids=lambda acts: "-".join(acts) or "nothing",
)
def test_no_open_job_lacks_its_mark(before: list[str], together: list[str]) -> None:
    """After a crash at the wrong moment a job that lost its message would sleep for a day."""

    def begin() -> tuple[Callable[[], None], list[Callable[[], object]]]:
        register = gated()
        stores = [JobStore(register, clock=FakeClock()) for _ in together]
        for name in before:
            ACTS[name](stores[0])
        acts = [
            lambda act=ACTS[name], store=store: act(store)
            for name, store in zip(together, stores, strict=True)
        ]
        return lambda: require_marks(register), acts

    for processes in orders(begin):
        for process in processes:
            assert process.error is None or isinstance(process.error, EXPECTED)


def test_a_job_that_is_over_leaves_the_index(jobs: JobStore) -> None:
    """Every sweep would read every job that there ever was."""
    jobs.submit(job())
    jobs.open_jobs.tidy(JOB)
    assert list(jobs.open_jobs.ids()) == [JOB]
    jobs.change(JOB, end)
    jobs.open_jobs.tidy(JOB)
    assert list(jobs.open_jobs.ids()) == []
    jobs.open_jobs.tidy(JOB)


def test_a_job_that_owes_a_notice_stays(jobs: JobStore) -> None:
    """Its target would not be told where the message was lost."""
    jobs.submit(changed(job(), targets=("https://host/",)))
    jobs.change(JOB, end)
    jobs.open_jobs.tidy(JOB)
    assert list(jobs.open_jobs.ids()) == [JOB]


def test_a_retried_job_comes_back(jobs: JobStore) -> None:
    """Nobody would wake it, should it lose its message."""
    for move in (end, lambda record: record.retried()):
        jobs.submit(job())
        jobs.change(JOB, move)
        jobs.open_jobs.tidy(JOB)
    assert list(jobs.open_jobs.ids()) == [JOB]


def test_the_mark_of_a_missing_job_lasts_a_day(jobs: JobStore, clock: FakeClock) -> None:
    """A submission between its two writes would lose its mark; or marks would stay for ever."""
    jobs.open_jobs.mark(job())
    for _ in range(2):
        jobs.open_jobs.tidy(JOB)
        clock.sleep(MISSING_SECONDS - 1)
        jobs.open_jobs.tidy(JOB)
        assert list(jobs.open_jobs.ids()) == [JOB]
        jobs.open_jobs.mark(job())  # Another submission: its day begins anew.
    jobs.open_jobs.tidy(JOB)
    clock.sleep(MISSING_SECONDS)
    jobs.open_jobs.tidy(JOB)
    assert list(jobs.open_jobs.ids()) == []


def test_a_job_that_cannot_be_read_stays(
    jobs: JobStore, memory: MemoryRegister, clock: FakeClock
) -> None:
    """Mended, it would be found by nobody."""
    jobs.submit(job())
    memory.values[f"jobs/{JOB}"] = Stored(b"?", "0")
    for _ in range(2):
        jobs.open_jobs.tidy(JOB)
        clock.sleep(MISSING_SECONDS)
    assert list(jobs.open_jobs.ids()) == [JOB]


def test_a_damaged_mark_is_as_good_as_any(jobs: JobStore, memory: MemoryRegister) -> None:
    """One bad value would end every sweep."""
    jobs.submit(job())
    memory.values[f"open/{JOB}"] = Stored(b"?", "0")
    jobs.open_jobs.tidy(JOB)
    assert list(jobs.open_jobs.ids()) == [JOB]
