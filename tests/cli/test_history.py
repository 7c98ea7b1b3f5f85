"""A job's past: its slices and checkpoints, and another job that starts from one of these."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.history import MAX_ROWS
from outlast.checkpoint.packed import Packed
from outlast.checkpoint.record_parts import Checkpoint
from outlast.worker.jobs.client import Client
from tests.cli.process import assert_one_line
from tests.cli.test_transcript import after_slice

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.checkpoint.record import Record
    from tests.cli.process import Outlast, OutlastJson


def checkpoint_of(done: int) -> Checkpoint:
    """Return a checkpoint of the kernel `tally`."""
    state = b'{"done":%d}' % done
    return Checkpoint.of(state, version=1, slice=1, progress=done / 9, saved_at=0)


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
        checkpoints = tuple(
            c.with_state(Packed.of(b"\xff" + c.state[1:])) if c.sequence in generations else c
            for c in record.checkpoints
        )
        return record.model_copy(update={"checkpoints": checkpoints})

    client.jobs.change("a", damaged)


@pytest.mark.usefixtures("job")
def test_checkpoints_and_states_come_as_json(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A program could not tell what there is to go on from, or take damage for a state."""
    damage(client, 3)
    damaged, intact = outlast_json("checkpoints", "a")
    assert (damaged["generation"], damaged["condition"]) == (3, "damaged")
    assert outlast_json("checkpoints", "a", "--generation", "2") == [intact]
    assert intact == {
        "generation": 2,
        "condition": "intact",
        "progress": 3 / 9,
        "slice": 1,
        "version": 1,
        "bytes": 10,
        "array_bytes": 0,
        "saved_at": "1970-01-01T00:00:00.000Z",
    }
    assert outlast("checkpoints", "a", "--generation", "2", "--state").out == '{"done":3}\n'
    assert outlast("checkpoints", "a", "--state").out == '\\xff"done":4}\n'
    assert outlast_json("checkpoints", "a", "--generation", "2", "--state") == {"done": 3}
    message = "job a: checkpoint 3 is damaged, so it is no JSON"
    assert_one_line(outlast("checkpoints", "a", "--state", "--json"), 1, message)


def test_where_there_is_nothing_to_show_it_is_said(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A person would wonder whether the command works; a script would fail on a new job."""
    client.create("tally", {"steps": 9}, job_id="a")
    assert outlast("history", "a") == (0, "", "outlast: no slice of job a has ended yet\n")
    assert outlast("checkpoints", "a") == (0, "", "outlast: job a has no checkpoint yet\n")
    assert outlast("checkpoints", "a", "--state") == (0, "", "")
    assert outlast_json("history", "a") == outlast_json("checkpoints", "a") == []
    assert outlast_json("checkpoints", "a", "--state") is None


def test_slices_in_one_line_are_shown_as_a_range(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A person would take a hundred slices for one long one."""
    client.create("tally", {"steps": 3}, job_id="a")
    for number in range(MAX_ROWS + 1):
        client.jobs.change(
            "a", lambda r, n=number: after_slice(r, f"{n}".encode(), n / 100, n + 1.0)
        )
    lines = outlast("history", "a").out.splitlines()[1:]
    assert len(lines) < MAX_ROWS
    assert (lines[0].split()[0], lines[-1].split()[0]) == ("1-2", str(MAX_ROWS + 1))
    slices = outlast_json("history", "a")
    assert (slices[0]["slice"], slices[0]["slices"], slices[0]["ending"]) == (1, 2, "deadline")
    assert slices[1]["progress_before"] == slices[0]["progress"]
    assert slices[1]["platform"] == "lambda/arm64/1769"


def test_a_damaged_checkpoint_is_kept_and_shown(
    outlast: Outlast, outlast_json: OutlastJson, client: Client, job: Record
) -> None:
    """The only trace of a failing disk would be thrown away."""
    damage(client, 3)
    client.submit("tally", job_id="a", steps=9)
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0
    assert client.result("a") == {"total": 9}
    last = outlast_json("checkpoints", "a")[-1]
    assert (last["generation"], last["condition"]) == (3, "quarantined")
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
    outlast: Outlast, client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking at a fault would disturb what runs in production."""
    store = f"sqlite:///{folder}/fault.db"
    assert outlast("fork", "a", "--job-id", "a", "--store", store).out == "a\n"
    assert client.queue.receive(visibility_seconds=1, wait_seconds=0) is None
    monkeypatch.setenv("OUTLAST_STORE", store)
    assert outlast("run", "tally", "steps=9", "--job-id", "a").out == "total=9\n"
    assert Client().status("a").usage.steps == 5


@pytest.mark.usefixtures("job")
def test_a_fork_takes_the_newest_that_is_intact(outlast: Outlast, client: Client) -> None:
    """A damaged state would be copied, and the new job be lost."""
    damage(client, 3)
    message = "outlast: job a: checkpoint 3 is damaged: an older one was taken\n"
    assert outlast("fork", "a", "--job-id", "b") == (0, "b\n", message)
    assert json.loads(client.status("b").checkpoints[0].state) == {"done": 3}


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("words", "message"),
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
def test_a_checkpoint_that_cannot_be_used_is_refused(
    words: tuple[str, ...], message: str, outlast: Outlast, client: Client
) -> None:
    """A new job would silently begin anew, or from a wrong state."""
    damage(client, 2, 3)
    assert_one_line(outlast(*words), 1, message)
    assert [*client.jobs.ids()] == ["a"]


@pytest.mark.usefixtures("job")
def test_the_id_of_a_fork_must_be_new(outlast: Outlast) -> None:
    """A person would look at another job than they think."""
    assert outlast("fork", "a", "--job-id", "a").err == (
        "outlast: job a exists; choose another job id\n"
    )
