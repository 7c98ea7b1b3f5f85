"""Stored jobs that are damaged, as a disk, a network or a person leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.blobs.contract import Chunk
from outlast.checkpoint.record_parts import Checkpoint
from outlast.checkpoint.registers import open_register
from outlast.worker.doctor import stored_jobs
from outlast.worker.jobs.client import Client
from tests.doctor.conftest import problems
from tests.records import NEWER, with_damaged_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def store(folder: Path) -> str:
    """The store of the tests around, which each test fills."""
    return f"sqlite:///{folder / 'outlast.db'}"


def make(store: str, *states: bytes, job_id: str = "a", **fields: Any) -> None:
    """Store a job with these states, the newest first, and these fields."""
    client = Client(store)
    client.create("nth-prime", {"position": 5}, job_id=job_id)
    job = client.jobs.load(job_id)
    checkpoints = tuple(
        Checkpoint.of(state, version=1, slice=1, progress=0.5, saved_at=1.0) for state in states
    )
    changed = {"checkpoints": checkpoints} | fields
    client.jobs.replace(job, job.record.model_copy(update=changed))


def damage(store: str, change: Callable[[bytes], bytes], job_id: str = "a") -> None:
    """Replace the stored bytes of a job."""
    register = open_register(store)
    stored = register.read(f"jobs/{job_id}")
    assert stored
    register.write(f"jobs/{job_id}", change(stored.value), expected=stored.version)


STATE = b'{"at": 1}'


def test_jobs_that_are_well(store: str, run_doctor: Any) -> None:
    """Doctor would cry wolf."""
    make(store, STATE, STATE)
    findings = run_doctor()
    assert problems(findings, "jobs.") == {}
    assert findings["jobs.records"].found == "none is damaged of 1 jobs, of which 1 were read whole"


def test_a_record_that_cannot_be_read(store: str, run_doctor: Any) -> None:
    """The job is in no list, sleeps for ever, and nobody knows."""
    make(store, STATE)
    damage(store, lambda value: value[:40] + bytes(30) + value[70:])
    findings = run_doctor()
    assert problems(findings, "jobs.") == {"jobs.records": "error"}
    assert findings["jobs.records"].found.startswith("1 record cannot be read: job a: ")


def test_a_record_of_a_newer_version(store: str, run_doctor: Any) -> None:
    """It would be taken for damage, and deleted."""
    make(store, STATE)
    damage(store, lambda _: NEWER)
    assert problems(run_doctor(), "jobs.") == {"jobs.format": "warning"}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((STATE, STATE), {"jobs.newest-states": "warning"}),
        ((STATE,), {"jobs.states": "error"}),
    ],
)
def test_a_state_that_is_damaged(
    states: tuple[bytes, ...], expected: dict[str, str], store: str, run_doctor: Any
) -> None:
    """With one left the job loses minutes, without it fails: a person could bring a backup back."""
    make(store, *states)
    damage(store, with_damaged_state)
    assert problems(run_doctor(), "jobs.") == expected


def test_damage_that_workers_have_met(store: str, run_doctor: Any) -> None:
    """The job goes on, and the disk that did it is never looked at."""
    bad = Checkpoint.of(STATE, version=1, slice=1, progress=0.5, saved_at=1.0)
    make(store, STATE, quarantine=(bad,))
    assert problems(run_doctor(), "jobs.") == {"jobs.quarantine": "warning"}


def test_arrays_that_are_gone(store: str, run_doctor: Any) -> None:
    """A rule of a bucket that deletes them would be noticed when every job has failed."""
    chunk = Chunk("a/1/0", 3, "0" * 64)
    checkpoint = Checkpoint.of(
        STATE, chunks=(chunk,), version=1, slice=1, progress=0.5, saved_at=1.0
    )
    make(store, checkpoints=(checkpoint,))
    findings = run_doctor()
    assert problems(findings, "jobs.") == {"jobs.arrays": "error"}
    assert "OUTLAST_BLOBS" in findings["jobs.arrays"].mend


@pytest.mark.parametrize("every", [False, True])
def test_a_look_is_bounded_unless_all_is_asked_for(
    every: bool, store: str, run_doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor would take hours on a store of a million jobs, or nothing tell of the rest."""
    monkeypatch.setattr(stored_jobs, "MOST_RECORDS", 2)
    for job_id in "abcd":
        make(store, STATE, job_id=job_id)
    damage(store, with_damaged_state, "d")
    findings = run_doctor(every=every)
    assert problems(findings, "jobs.") == ({"jobs.states": "error"} if every else {})
    if not every:
        told = "none is damaged of 4 jobs, of which 2 were read whole; --all reads every one"
        assert findings["jobs.records"].found == told


def test_with_all_the_records_of_parts_are_read(store: str, run_doctor: Any) -> None:
    """A damaged part would hold up a job of a thousand others."""
    make(store, STATE)
    assert problems(run_doctor(every=True), "jobs.") == {}
    open_register(store).write("parts/a/0123456789abcdef/1", b"torn", expected=None)
    findings = run_doctor(every=True)
    assert problems(findings, "jobs.") == {"jobs.records": "error"}
