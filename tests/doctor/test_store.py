"""What every store must do, tried on a key of doctor's own."""

from __future__ import annotations

import sqlite3
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.registers import open_register
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.worker.doctor.store import PREFIX, scratch_findings
from outlast.worker.jobs.client import Client
from tests.checkpoint.conftest import BACKENDS, make_backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from outlast.checkpoint.register import Register
    from outlast.worker.doctor.finding import Finding
    from tests.checkpoint.conftest import Backend

RIGHTS = ["store.write", "store.read", "store.compare-and-set", "store.list", "store.delete"]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every store in turn."""
    with ExitStack() as opened:
        yield make_backend(request.param, request, opened)


def levels(register: Register) -> dict[str, str]:
    """Return how each right is found."""
    return {f.check: str(f.level) for f in scratch_findings(register, "store")}


def test_a_store_that_is_well(backend: Backend) -> None:
    """Doctor would cry wolf, leave rubbish behind, or show its key as a job."""
    register = backend.open()
    assert levels(register) == dict.fromkeys(["store.reach", *RIGHTS], "ok")
    assert list(register.keys("")) == []


class Broken(SqliteRegister):
    """A store with one fault."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(path)
        self.fault = fault

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Write, or as the fault has it."""
        if self.fault == "refuses writes" or (self.fault == "refuses changes" and expected):
            raise StoreUnavailable("store: refused; allow it")
        ignored = "ignores that it exists" if expected is None else "ignores versions"
        if self.fault == ignored and (stored := self.read(key)):
            expected = stored.version
        kept = b"5\r\n" + value if self.fault == "keeps the framing" else value
        return super().put(key, kept, expected=expected)

    def delete(self, key: str, *, expected: str) -> None:
        """Delete, or as the fault has it."""
        if self.fault == "refuses deletes":
            raise StoreUnavailable("store: refused; allow it")
        if self.fault == "deletes anything" and (stored := self.read(key)):
            expected = stored.version
        super().delete(key, expected=expected)

    def keys(self, prefix: str, **how: Any) -> Iterator[str]:
        """List, or as the fault has it."""
        if self.fault == "refuses lists":
            raise StoreUnavailable("store: refused; allow it")
        return iter(()) if self.fault == "lists nothing" else super().keys(prefix, **how)


@pytest.mark.parametrize(
    ("fault", "check", "expected"),
    [
        ("refuses writes", "store.write", "error"),
        ("refuses changes", "store.write", "error"),
        ("keeps the framing", "store.read", "error"),
        ("ignores that it exists", "store.compare-and-set", "error"),
        ("ignores versions", "store.compare-and-set", "error"),
        ("refuses lists", "store.list", "error"),
        ("lists nothing", "store.list", "error"),
        ("refuses deletes", "store.delete", "warning"),
        ("deletes anything", "store.delete", "warning"),
    ],
)
def test_a_store_with_a_fault(fault: str, check: str, expected: str, folder: Path) -> None:
    """Jobs would be lost or stand still, after a deployment that looked well."""
    with closing(Broken(folder / "a.db", fault)) as register:
        findings = levels(register)
        assert {name: level for name, level in findings.items() if level != "ok"} == {
            check: expected
        }
        left = list(SqliteRegister.keys(register, ""))
    assert len(left) == (1 if fault == "refuses deletes" else 0)


def test_a_key_that_is_left_behind_is_no_job(folder: Path) -> None:
    """Each list would show a job that nobody submitted, or fail on it."""
    with closing(Broken(folder / "outlast.db", "refuses deletes")) as register:
        levels(register)
        assert [key[: len(PREFIX)] for key in SqliteRegister.keys(register, "")] == [PREFIX]
        assert list(JobStore(register).ids()) == []
    client = Client()
    client.submit("nth-prime", position=5, job_id="a")
    assert [record.job_id for record in client.records()] == ["a"]


def test_a_doctor_that_is_stopped_leaves_nothing(folder: Path) -> None:
    """Ctrl-C would leave a key behind each time."""
    with closing(open_register(f"sqlite:///{folder}/outlast.db")) as register:
        looking = scratch_findings(register, "store")
        assert [next(looking).check, next(looking).check] == ["store.reach", "store.write"]
        assert len(list(register.keys(PREFIX))) == 1
        looking.close()
        assert list(register.keys("")) == []


def test_jobs_are_not_disturbed(
    folder: Path, run_doctor: Callable[..., dict[str, Finding]]
) -> None:
    """An operator would not dare to look at a system that works."""
    client = Client()
    client.submit("nth-prime", position=5, job_id="a")
    with closing(open_register(f"sqlite:///{folder}/outlast.db")) as register:
        before = register.read("jobs/a")
        run_doctor()
        assert register.read("jobs/a") == before
        assert list(register.keys("")) == ["jobs/a", "open/a"]
    with closing(sqlite3.connect(folder / "outlast.db")) as other:
        (message,) = other.execute("SELECT receives, visible_at FROM outlast_messages")
        assert message[0] == 0
        assert message[1] <= time.time()
