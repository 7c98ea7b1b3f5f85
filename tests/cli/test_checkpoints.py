"""Looking at a job's checkpoints, and starting another job from one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.parts import Checkpoint, digest_of
from outlast.worker.jobs.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outlast.checkpoint.record import Record
    from tests.cli.process import Ended

    Outlast = Callable[..., Ended]
    OutlastJson = Callable[..., Any]


def checkpoint_of(done: int) -> Checkpoint:
    """Return a checkpoint of the kernel `tally`."""
    state = b'{"done":%d}' % done
    digest = digest_of(state)
    return Checkpoint(state=state, digest=digest, version=1, slice=1, progress=done / 9, saved_at=0)


@pytest.fixture
def job(client: Client) -> Record:
    """A job of nine steps whose checkpoints are those after the third and the fourth."""
    client.create("tally", {"steps": 9}, job_id="a")
    for done in (2, 3, 4):
        job = client.jobs.change("a", lambda r, done=done: r.saved(checkpoint_of(done))).record
    return job


def damage(client: Client, *generations: int) -> None:
    """Damage checkpoints where they are stored."""

    def damaged(record: Record) -> Record:
        found = tuple(
            c.model_copy(update={"state": b"\xff" + c.state[1:]})
            if c.sequence in generations
            else c
            for c in record.checkpoints
        )
        return record.model_copy(update={"checkpoints": found})

    client.jobs.change("a", damaged)


@pytest.mark.usefixtures("job")
def test_the_checkpoints_are_listed(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A person could not tell what there is to go on from."""
    damage(client, 3)
    lines = [line.split() for line in outlast("checkpoints", "a").out.splitlines()]
    assert [line[:5] for line in lines[1:]] == [
        ["3", "damaged", "44.44%", "1", "1"],
        ["2", "intact", "33.33%", "1", "1"],
    ]
    assert outlast_json("checkpoints", "a", "--generation", "2") == [
        {
            "generation": 2,
            "condition": "intact",
            "progress": 3 / 9,
            "slice": 1,
            "version": 1,
            "bytes": 10,
            "saved_at": "1970-01-01T00:00:00.000Z",
        }
    ]
    assert outlast("checkpoints", "a", "--generation", "2", "--state").out == '{"done":3}\n'
    assert outlast("checkpoints", "a", "--state").out == '\\xff"done":4}\n'
    assert outlast_json("checkpoints", "a", "--generation", "2", "--state") == {"done": 3}
    ended = outlast("checkpoints", "a", "--state", "--json")
    assert (ended.code, ended.out) == (1, "")
    assert "job a: checkpoint 3 is damaged, so it is no JSON" in ended.err


def test_a_job_without_checkpoints_has_an_empty_list(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A script would fail on a job that has just begun."""
    client.create("tally", {"steps": 9}, job_id="a")
    assert outlast("checkpoints", "a") == (0, "", "outlast: job a has no checkpoint yet\n")
    assert outlast("checkpoints", "a", "--state") == (0, "", "")
    assert outlast_json("checkpoints", "a") == []
    assert outlast_json("checkpoints", "a", "--state") is None


def test_what_a_worker_found_damaged_is_kept_and_shown(
    outlast: Outlast, outlast_json: OutlastJson, client: Client, job: Record
) -> None:
    """The only trace of a failing disk would be thrown away."""
    damage(client, 3)
    client.submit("tally", job_id="a", steps=9)
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert client.result("a") == {"total": 9}
    found = outlast_json("checkpoints", "a")
    assert (found[-1]["generation"], found[-1]["condition"]) == (3, "quarantined")
    assert client.status("a").quarantine[0].digest == job.checkpoints[0].digest


@pytest.mark.parametrize(("words", "done"), [((), 4), (("--generation", "2"), 3)])
def test_a_fork_goes_on_from_the_checkpoint(
    words: tuple[str, ...], done: int, outlast: Outlast, client: Client, job: Record
) -> None:
    """A fault that shows only hours into a job could not be looked at."""
    assert outlast("fork", "a", "--job-id", "b", *words) == (0, "b\n", "")
    assert json.loads(client.status("b").checkpoints[0].state) == {"done": done}
    assert client.status("a") == job
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert client.result("b") == {"total": 9}
    assert client.status("b").usage.steps == 9 - done
    assert client.status("a") == job


@pytest.mark.usefixtures("job")
def test_a_fork_in_another_store_is_out_of_the_workers_reach(
    outlast: Outlast, client: Client, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at a fault would disturb what runs in production."""
    store = f"sqlite:///{place}/fault.db"
    assert outlast("fork", "a", "--job-id", "a", "--store", store).out == "a\n"
    assert client.queue.receive(visibility_seconds=1, wait_seconds=0) is None
    monkeypatch.setenv("OUTLAST_STORE", store)
    assert outlast("run", "tally", "steps=9", "--job-id", "a").out == "total=9\n"
    assert Client().status("a").usage.steps == 5


@pytest.mark.usefixtures("job")
def test_a_fork_takes_the_newest_that_is_intact(outlast: Outlast, client: Client) -> None:
    """A damaged state would be copied, and the new job be lost."""
    damage(client, 3)
    told = "outlast: job a: checkpoint 3 is damaged: an older one was taken\n"
    assert outlast("fork", "a", "--job-id", "b") == (0, "b\n", told)
    assert json.loads(client.status("b").checkpoints[0].state) == {"done": 3}


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fork", "a", "--generation", "1"), "job a has no checkpoint 1; it has: 3, 2"),
        (("checkpoints", "a", "--generation", "9"), "job a has no checkpoint 9; it has: 3, 2"),
        (
            ("fork", "a", "--generation", "3"),
            "job a: damaged, as its checksum does not fit: checkpoint 3",
        ),
        (("fork", "a"), "job a: damaged, as its checksum does not fit: checkpoint 3, 2"),
        (
            ("fork", "a", "--generation", "2", "--job-id", "a"),
            "damaged, as its checksum does not fit: checkpoint 2",
        ),
        (("fork", "none"), "there is no job 'none' in this store"),
    ],
)
def test_what_cannot_be_gone_on_from_is_told(
    words: tuple[str, ...], told: str, outlast: Outlast, client: Client
) -> None:
    """A new job would silently begin anew, or from a wrong state."""
    damage(client, 2, 3)
    ended = outlast(*words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert told in ended.err
    assert [*client.jobs.ids()] == ["a"]


@pytest.mark.usefixtures("job")
def test_the_id_of_a_fork_must_be_new(outlast: Outlast) -> None:
    """A person would look at another job than they think."""
    assert outlast("fork", "a", "--job-id", "a").err == (
        "outlast: job a exists; choose another job id\n"
    )
