"""Two stores whose arrays are in one place, as two settings of one team may have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from outlast import Client
from outlast.checkpoint.blobs.orphans import orphans
from outlast.checkpoint.errors import CorruptRecord
from outlast.checkpoint.job_store import IDENTITY, JobStore
from outlast.worker.settings import Settings
from tests.fakes import MemoryRegister
from tests.field import Field

if TYPE_CHECKING:
    from pathlib import Path

SEED = np.arange(100_000, dtype="f4")


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.worker.jobs.new_job.load", lambda _: Field())


def client(folder: Path, name: str) -> Client:
    """Return a client of a store of its own, with a place that others have chosen, too."""
    url = f"sqlite:///{folder}/{name}.db"
    return Client(settings=Settings(store=url, queue=url, blobs=f"{folder}/shared"))


def test_no_store_deletes_the_arrays_of_another(tmp_path: Path) -> None:
    """To prune the jobs of a trial would delete the arrays of production, under the same ids."""
    trial, production = client(tmp_path, "trial"), client(tmp_path, "production")
    for each in (trial, production):
        each.submit("field", job_id="same", steps=4, seed=SEED)
    assert trial.blobs
    assert production.blobs
    assert [*orphans(trial.blobs, trial.jobs, grace_seconds=0)] == []
    trial.delete("same", force=True)
    assert [*trial.blobs.names()] == []
    assert len([*production.blobs.names()]) == len(production.status("same").chunks)


def test_all_who_open_a_store_find_its_arrays(tmp_path: Path) -> None:
    """A worker would look for the arrays of its job in a part where there are none."""
    names = [found.name for found in _names_after_submit(tmp_path)]
    other = client(tmp_path, "store").blobs
    assert other
    assert [found.name for found in other.names()] == names != []


def _names_after_submit(folder: Path):
    one = client(folder, "store")
    one.submit("field", steps=4, seed=SEED)
    assert one.blobs
    return [*one.blobs.names()]


def test_two_who_draw_an_identity_at_once_have_one() -> None:
    """The arrays of a new store's first jobs would be in two parts of their place."""
    register = MemoryRegister()
    others = JobStore(register)

    def draws(operation: str) -> None:
        if operation == "put":
            register.before = lambda _: None
            assert others.identity

    register.before = draws
    assert JobStore(register).identity == others.identity


def test_a_damaged_identity_is_no_path() -> None:
    """Chunks would be written, and deleted, outside of their place."""
    register = MemoryRegister()
    register.put(IDENTITY, b"../../etc", expected=None)
    with pytest.raises(CorruptRecord, match="identity"):
        _ = JobStore(register).identity


def test_looking_at_a_store_draws_nothing(tmp_path: Path) -> None:
    """A dry run of prune would fail in a store that has no arrays yet, or change it."""
    client(tmp_path, "store").submit("field", steps=4)
    url = f"sqlite:///{tmp_path}/store.db"
    settings = Settings(store=url, queue=url, blobs=f"{tmp_path}/shared")
    looking = Client(settings=settings, read_only=True)
    assert looking.blobs is None
    assert looking.jobs.known_identity() is None
