"""What every register promises, tried on every backend."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import CorruptRecord, VersionConflict
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.store_clock import StoreClock
from tests.fakes import FakeClock
from tests.records import job

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.register import Register
    from tests.checkpoint.conftest import Backend

YEAR = 365 * 86_400.0
KEY = "jobs/one"
ODD_KEYS = [
    "jobs/-",
    "jobs/A.b_c-d",
    "jobs/a%41",
    "jobs/a b",
    "jobs/a+b",
    "jobs/a*",
    "jobs/a@b:c=d&e",
    "jobs/[a]",
    "jobs/it's",
    "jobs/{a}",
    "jobs/~",
    "jobs/" + "x" * 200,
]
FOREIGN: dict[str, Callable[[Any], object]] = {
    "text": lambda register: _insert(register, "'a text that is longer than twenty-eight bytes'"),
    "no text": lambda register: _insert(register, "CAST(x'ff' AS TEXT)"),
    "number": lambda register: _insert(register, "42"),
    "string": lambda register: register._client.set("outlast:{jobs/one}", "theirs"),
    "list": lambda register: register._client.rpush("outlast:{jobs/one}", "theirs"),
    "hash": lambda register: register._client.hset(
        "outlast:{jobs/one}", mapping={"value": "theirs", "version": b"\xff"}
    ),
}
FOREIGN_TO = {
    "sqlite": ["text", "no text", "number"],
    "fakeredis": ["string", "list", "hash"],
    "valkey": ["string", "list", "hash"],
}


def _insert(register: Any, value: str) -> None:
    register._file.change(f"INSERT INTO outlast_register VALUES ('{KEY}', 'v1', {value})")


def test_a_written_value_is_read_back(register: Register) -> None:
    """Progress would be lost, or resumed from bytes that nobody wrote."""
    version = register.put(KEY, b"first", expected=None)
    assert register.read(KEY) == (b"first", version)


@pytest.mark.parametrize("ahead", [YEAR, -YEAR, 0.0])
def test_a_wrong_clock_is_set_right_by_that_of_the_store(backend: Backend, ahead: float) -> None:
    """A worker would lose its own jobs and take those of others, or a dead one keep a job."""
    register = backend.open()
    register.clock = StoreClock(lambda: time.time() + ahead)
    jobs = JobStore(register, clock=lambda: time.time() + ahead)
    jobs.submit(job(job_id="one"))
    jobs.load("one")
    if backend.name == "sqlite":  # All that use a file share one clock.
        assert register.clock.ahead_seconds == 0.0
    else:
        assert jobs.clock() == pytest.approx(time.time(), abs=3.0)


@pytest.mark.parametrize("ahead", [YEAR, -YEAR])
def test_a_clock_that_is_set_while_a_worker_lives_is_looked_at_again(
    backend: Backend, ahead: float
) -> None:
    """By what it saw before, it would set right a clock that is right, and take others' jobs."""
    clock = FakeClock(time.time() + ahead)
    register = backend.open()
    register.clock = StoreClock(clock)
    jobs = JobStore(register, clock=clock)
    jobs.submit(job(job_id="one"))
    for _ in range(2):
        jobs.load("one")
        if backend.name != "sqlite":
            assert jobs.clock() == pytest.approx(time.time(), abs=3.0)
        clock.now = time.time()


def test_a_missing_key_reads_as_none(register: Register) -> None:
    """An unknown job would look like a failing store."""
    assert register.read(KEY) is None


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
def test_bytes_of_any_size_and_value_survive(register: Register, size: int) -> None:
    """A kernel with a large or binary state could not be resumed."""
    value = os.urandom(size)
    version = register.write(KEY, value, expected=None)
    assert register.read(KEY) == (value, version)


def test_every_byte_survives(register: Register) -> None:
    """A store that treats values as text would damage compressed ones."""
    register.put(KEY, bytes(range(256)), expected=None)
    assert register.read(KEY) == (bytes(range(256)), register.read(KEY).version)


def test_a_replacement_needs_the_current_version(backend: Backend) -> None:
    """A worker that lost its lease would overwrite the work of the one that has it."""
    ours, theirs = backend.open(), backend.open()
    first = ours.put(KEY, b"first", expected=None)
    second = theirs.put(KEY, b"second", expected=first)
    with pytest.raises(VersionConflict, match=KEY):
        ours.put(KEY, b"ours", expected=first)
    assert ours.read(KEY) == (b"second", second)


def test_create_needs_the_key_to_be_missing(register: Register) -> None:
    """Submitting an id twice would wipe out the first job's progress."""
    register.put(KEY, b"first", expected=None)
    with pytest.raises(VersionConflict, match=KEY):
        register.put(KEY, b"second", expected=None)
    assert register.read(KEY).value == b"first"


def test_replace_needs_the_key_to_exist(register: Register) -> None:
    """A worker would bring a purged job back to life."""
    version = register.put(KEY, b"first", expected=None)
    register.delete(KEY, expected=version)
    with pytest.raises(VersionConflict, match=KEY):
        register.put(KEY, b"second", expected=version)
    assert register.read(KEY) is None


def test_delete_needs_the_current_version(register: Register) -> None:
    """A purge would remove a job that has just been started again."""
    first = register.put(KEY, b"first", expected=None)
    second = register.put(KEY, b"second", expected=first)
    with pytest.raises(VersionConflict, match=KEY):
        register.delete(KEY, expected=first)
    assert register.read(KEY) == (b"second", second)


def test_a_deleted_key_is_gone_and_cannot_be_deleted_again(register: Register) -> None:
    """A purged job would stay in the list, or a second purge would pretend to have done it."""
    version = register.put(KEY, b"first", expected=None)
    register.delete(KEY, expected=version)
    assert (register.read(KEY), list(register.keys(""))) == (None, [])
    with pytest.raises(VersionConflict, match=KEY):
        register.delete(KEY, expected=version)


def test_versions_never_repeat(register: Register) -> None:
    """A worker that slept through several writes would take the record for the one it knew."""
    versions = []
    for count in range(20):
        expected = versions[-1] if versions and count != 10 else None
        if count == 10:
            register.delete(KEY, expected=versions[-1])
        versions.append(register.put(KEY, f"value {count}".encode(), expected=expected))
    assert len(set(versions)) == len(versions)


def test_a_version_holds_for_its_own_key_only(register: Register) -> None:
    """A mistaken key would overwrite another job."""
    version = register.put(KEY, b"one", expected=None)
    register.put("jobs/two", b"two", expected=None)
    with pytest.raises(VersionConflict, match="jobs/two"):
        register.put("jobs/two", b"three", expected=version)


def test_write_meets_its_own_value(register: Register) -> None:
    """A write that was sent twice would count as a lost lease, and the slice be thrown away."""
    version = register.write(KEY, b"ours", expected=None)
    assert register.write(KEY, b"ours", expected=None) == version
    with pytest.raises(VersionConflict):
        register.write(KEY, b"another", expected=None)


def test_odd_keys_are_kept_apart_and_listed(register: Register) -> None:
    """Two jobs would share a record, or one be missing from the list."""
    for key in ODD_KEYS:
        register.put(key, key.encode(), expected=None)
    assert [register.read(key).value.decode() for key in ODD_KEYS] == ODD_KEYS
    assert list(register.keys("jobs/")) == sorted(ODD_KEYS)


def test_keys_by_prefix_in_order(register: Register) -> None:
    """`outlast list` would show another program's keys, or leave out jobs."""
    jobs = ["jobs/1", "jobs/10", "jobs/2", "jobs/B", "jobs/a", "jobs/a-b", "jobs/a.b"]
    for key in reversed([*jobs, "job", "jobs-", "jobs.x", "old/jobs/1"]):
        register.put(key, key.encode(), expected=None)
    assert list(register.keys("jobs/")) == jobs
    assert list(register.keys("jobs/1")) == ["jobs/1", "jobs/10"]
    assert list(register.keys("jobs/a-b")) == ["jobs/a-b"]
    assert list(register.keys("nothing/")) == []


def test_a_prefix_is_no_pattern(register: Register) -> None:
    """A job id with a star would list, and let someone purge, the jobs of others."""
    for key in ["jobs/a*b", "jobs/axb", "jobs/[a]b", "jobs/ab"]:
        register.put(key, key.encode(), expected=None)
    assert list(register.keys("jobs/a*")) == ["jobs/a*b"]
    assert list(register.keys("jobs/[a]")) == ["jobs/[a]b"]


@pytest.mark.parametrize(
    ("after", "expected"),
    [("", "abcd"), ("jobs/", "abcd"), ("jobs/b", "cd"), ("jobs/bb", "cd"), ("jobs/d", "")],
)
def test_keys_go_on_after_one(register: Register, after: str, expected: str) -> None:
    """A long list or a sweep that is taken page by page would skip or repeat jobs."""
    for name in "dbca":
        register.put(f"jobs/{name}", name.encode(), expected=None)
    assert list(register.keys("jobs/", after=after)) == [f"jobs/{name}" for name in expected]


def test_keys_written_lately_are_not_left_out(register: Register) -> None:
    """A full sweep would pass over a job that was stored since the last one."""
    register.put("jobs/a", b"a", expected=None)
    assert list(register.keys("jobs/", since=time.time() - 3600.0)) == ["jobs/a"]


def test_the_first_bytes_of_many_values(register: Register) -> None:
    """A list of jobs would show one job's progress as another's, or stop at one just deleted."""
    values = {f"jobs/{n}": os.urandom(n) for n in (100_000, 0, 99, 100, 101)}
    for key, value in values.items():
        register.put(key, value, expected=None)
    keys = [*values, "jobs/missing", *reversed(values)]
    assert register.peek(keys, 100) == [
        None if key == "jobs/missing" else values[key][:100] for key in keys
    ]
    assert register.peek([], 100) == []


@pytest.mark.parametrize(
    ("backend", "foreign"),
    [(name, foreign) for name, kinds in FOREIGN_TO.items() for foreign in kinds],
    indirect=["backend"],
)
def test_a_foreign_value_is_named(backend: Backend, foreign: str) -> None:
    """One value of another program's would hide all jobs from a list, or end every worker."""
    register = backend.open()
    FOREIGN[foreign](register)
    jobs = JobStore(register)
    with pytest.raises(CorruptRecord, match=r"one\b"):
        jobs.load("one")
    assert list(jobs.ids()) == ["one"]
    errors: list[CorruptRecord] = []
    assert list(jobs.heads(on_corrupt=errors.append)) == []
    assert str(errors[0]).startswith("job one: ")


def test_values_are_removed_together_whatever_their_versions(register: Register) -> None:
    """The parts of a job that is over would stay, or another job's go with them."""
    keys = [f"parts/a/{number}" for number in range(30)]
    for key in [*keys, "parts/b/0"]:
        register.write(key, key.encode(), expected=None)
    register.remove([*keys, "parts/a/none"])
    register.remove([])
    assert list(register.keys("parts/")) == ["parts/b/0"]
    assert register.read(keys[0]) is None
    register.write(keys[0], b"again", expected=None)
