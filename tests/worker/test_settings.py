"""Settings: what the environment says is taken, or refused by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.record_parts import Limits
from outlast.worker.jobs.client import Client
from outlast.worker.settings import (
    InvalidSettings,
    Settings,
    overridden,
    read_settings,
    require_remote,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("OUTLAST_")]:
        monkeypatch.delenv(name)


def test_nothing_needs_to_be_set() -> None:
    """A stranger could not run the first command."""
    settings = read_settings()
    assert settings.store == settings.queue
    assert settings.store.startswith("sqlite:///")
    assert settings.limits == Limits()
    assert settings.threads >= 1


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("STORE", "redis://h", "store", "redis://h"),
        ("QUEUE", "sqs://q", "queue", "sqs://q"),
        ("BLOBS", "s3://bucket/arrays", "blobs", "s3://bucket/arrays"),
        ("THREADS", "3", "threads", 3),
        ("SLICE_SECONDS", "0.25", "slice_seconds", 0.25),
        ("CHECKPOINT_SECONDS", "5", "checkpoint_seconds", 5.0),
        ("MAX_SLICES", "7", "max_slices", 7),
        ("MAX_SLICES", "none", "max_slices", None),
        ("MAX_COMPUTE_SECONDS", "none", "max_compute_seconds", None),
        ("LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
    ],
)
def test_a_variable_is_taken(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, expected: object
) -> None:
    """An operator's setting would be ignored."""
    monkeypatch.setenv(f"OUTLAST_{name}", value)
    assert getattr(read_settings(), field) == expected


def test_a_store_brings_its_own_place_of_arrays() -> None:
    """A command with --store would look for the arrays of that store's jobs in another's folder."""
    settings = read_settings()
    assert settings.blobs == settings.store.removeprefix("sqlite:///") + ".blobs"
    assert overridden(settings, store="s3://bucket/jobs").blobs == "s3://bucket/jobs"
    assert overridden(settings, store="redis://h").blobs is None
    chosen = Settings(store="redis://h", blobs="/mnt/arrays")
    assert overridden(chosen, store="s3://bucket/jobs").blobs == "/mnt/arrays"


@pytest.mark.parametrize(
    "name",
    ["OUTLAST_SLICE_SECOND", "OUTLAST_", "OUTLAST_REDIS_URL", "outlast_slice_seconds"],
)
def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A slip in a name would silently leave the default in force."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(InvalidSettings, match=f"unknown setting {name};.*OUTLAST_SLICE_SECONDS"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLICE_SECONDS", "0"),
        ("SLICE_SECONDS", "-1"),
        ("SLICE_SECONDS", "nan"),
        ("SLICE_SECONDS", "inf"),
        ("SLICE_SECONDS", "soon"),
        ("SLICE_SECONDS", ""),
        ("CHECKPOINT_SECONDS", "0"),
        ("THREADS", "0"),
        ("THREADS", "1.5"),
        ("MAX_STATE_BYTES", str(1 << 40)),
        ("MAX_SLICES", "0"),
        ("MAX_SLICES", ""),
        ("MAX_FAILURES", "none"),
        ("MAX_FAILURES", "0"),
        ("MAX_COMPUTE_SECONDS", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("STOP_FILE", ""),
        ("PRICES", ""),
        ("SPOT", "azure"),
    ],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A worker would run with a limit that nobody meant, or end in a traceback."""
    monkeypatch.setenv(f"OUTLAST_{name}", value)
    with pytest.raises(InvalidSettings) as caught:
        read_settings()
    assert str(caught.value).startswith(f"OUTLAST_{name}={value!r}: ")
    assert "\n" not in str(caught.value)


def test_a_bad_word_is_told_with_the_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would have to read a pattern."""
    monkeypatch.setenv("OUTLAST_LOG_LEVEL", "debug")
    with pytest.raises(InvalidSettings, match=r"'DEBUG', 'INFO', 'WARNING' or 'ERROR'$"):
        read_settings()


def test_guards_reach_the_job() -> None:
    """A ceiling on cost would not hold."""
    settings = Settings(max_failures=1, max_stalls=2, max_slices=3, max_compute_seconds=4.0)
    assert settings.limits == Limits(
        max_failures=1, max_stalls=2, max_slices=3, max_compute_seconds=4.0
    )


@pytest.mark.parametrize("name", ["THREADS", "PLATFORM", "TRACES"])
def test_a_url_in_the_wrong_variable_shows_no_password(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in a deployment would put the store's password into its log."""
    monkeypatch.setenv(f"OUTLAST_{name}", "redis://me:s3cr3t@host:1/0?password=s3cr3t")
    with pytest.raises(InvalidSettings, match=rf"OUTLAST_{name}='redis://\*\*\*@host") as caught:
        read_settings()
    assert "s3cr3t" not in str(caught.value)


def queue_of(store: str) -> str:
    """Return the queue of a person who sets the store only."""
    return Settings(store=store).queue


def test_a_file_and_a_server_are_their_own_queue() -> None:
    """One variable would not make a fleet: the workers of other machines would never be woken."""
    for store in ("sqlite:////a.db", "redis://h", "rediss://me:s3cr3t@h:1/2?socket_timeout=3"):
        assert queue_of(store) == store


def test_a_bucket_has_one_queue_however_its_url_is_written() -> None:
    """Messages would wait in a file that no worker reads."""
    assert queue_of("s3://bucket/jobs/") == queue_of("s3://bucket/jobs")


def test_no_two_stores_have_one_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker would report the jobs of one store as errors in the other."""
    stores = ["redis://h", "redis://h/1", "redis://h?db=2", "redis://h:1", "redis://g", "s3://b-u"]
    stores += ["s3://b/u", "s3://b/U", "s3://b/u/v", "sqlite:///a.db", "sqlite:////a.db"]
    queues = [queue_of(store) for store in stores]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    queues.append(queue_of("s3://b/u"))
    assert len(set(queues)) == len(stores) + 1


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({}, "OUTLAST_STORE"),
        ({"OUTLAST_QUEUE": "sqs://q"}, "OUTLAST_STORE"),
        ({"OUTLAST_STORE": "s3://bucket"}, "OUTLAST_QUEUE"),
        ({"OUTLAST_STORE": "sqlite:////tmp/a.db"}, "OUTLAST_QUEUE"),
        ({"OUTLAST_STORE": "redis://h"}, None),
        ({"OUTLAST_STORE": "sqlite:////tmp/a.db", "OUTLAST_QUEUE": "sqlite:////tmp/a.db"}, None),
    ],
)
def test_a_worker_whose_disk_ends_with_it_takes_no_file_by_default(
    variables: dict[str, str], missing: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its jobs or messages would be gone with it; or one variable would not be enough on RunPod."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if missing is None:
        require_remote(read_settings())
        return
    with pytest.raises(InvalidSettings, match=f"^set {missing}: its default is a file"):
        require_remote(read_settings())


def test_another_store_brings_its_own_queue(tmp_path: Path) -> None:
    """A program with a store of its own would send its messages to everybody's queue."""
    first, second = (f"sqlite:///{tmp_path / name}" for name in ("a.db", "b.db"))
    assert Client(second, settings=Settings(store=first)).settings.queue == second
    assert Client(second, settings=Settings(queue="sqs://q")).settings.queue == "sqs://q"
    changed = overridden(Settings(store=first, max_stalls=7), slice_seconds=3.0)
    assert (changed.queue, changed.max_stalls, changed.slice_seconds) == (first, 7, 3.0)
