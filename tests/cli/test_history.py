"""`outlast history`, and what `status` and `checkpoints` tell a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.history import MAX_ROWS
from outlast.checkpoint.parts import Checkpoint, Lease, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from tests.cli.process import Ended

    Outlast = Callable[..., Ended]

START = 1_800_000_000.0
LEASE = Lease(
    worker="w\x1b[2J", platform="lambda/arm64/1769", token="t", claimed_at=START,
    expires_at=START + 9, at_risk_seconds=1.0,
)  # fmt: skip


def slice_done(record: Record, state: bytes, progress: float, seconds: float) -> Record:
    """The job after one more slice."""
    end = START + seconds
    checkpoint = Checkpoint(
        state=state, digest=digest_of(state), version=1, slice=record.slice_number,
        progress=progress, saved_at=end,
    )  # fmt: skip
    running = record.claimed(LEASE)
    return running.saved(checkpoint).released().after_slice(running, "deadline", end)


@pytest.fixture
def two_slices(client: Client) -> None:
    """Job `a` after two slices, with tags."""
    client.create("tally", {"steps": 3}, job_id="a", tags=["x", "y=1"])
    client.jobs.change("a", lambda r: slice_done(r, b"1", 0.25, 2.0))
    client.jobs.change("a", lambda r: slice_done(r, b"2", 0.5, 1500.5))


@pytest.mark.usefixtures("two_slices")
def test_each_slice_has_a_line(outlast: Outlast, outlast_json: Callable[..., Any]) -> None:
    """A person would not see where a job was slow, or why its slices ended."""
    ended = outlast("history", "a")
    assert (ended.code, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    heading, first, second = (line.split() for line in ended.out.splitlines())
    assert heading == ["SLICE", "BEGAN", "SECONDS", "PROGRESS", "WHERE", "WORKER", "ENDING"]
    began = "2027-01-15T08:00:00.000Z"
    where = ["Lambda", "arm64", "1769", "MB", "w", "[2J", "deadline"]
    assert first == ["1", began, "2.00", "0.00%", "to", "25.00%", *where]
    assert second == ["2", began, "1,500.50", "25.00%", "to", "50.00%", *where]
    found = outlast_json("history", "a")
    assert [(one["slice"], one["slices"], one["progress_before"]) for one in found] == [
        (1, 1, 0.0),
        (2, 1, 0.25),
    ]
    assert (found[1]["seconds"], found[1]["ending"]) == (1500.5, "deadline")
    assert found[1]["platform"] == "lambda/arm64/1769"


def test_slices_that_were_merged_are_told_as_such(outlast: Outlast, client: Client) -> None:
    """A person would take a hundred slices for one long one."""
    client.create("tally", {"steps": 3}, job_id="a")
    for number in range(MAX_ROWS + 1):
        client.jobs.change(
            "a", lambda r, n=number: slice_done(r, f"{n}".encode(), n / 100, n + 1.0)
        )
    lines = outlast("history", "a").out.splitlines()[1:]
    assert len(lines) < MAX_ROWS
    assert lines[0].split()[0] == "1-2"
    assert lines[-1].split()[0] == str(MAX_ROWS + 1)


def test_nothing_to_show_is_said(
    outlast: Outlast, outlast_json: Callable[..., Any], client: Client
) -> None:
    """A person would wonder whether the command works."""
    client.create("tally", {"steps": 3}, job_id="a")
    for command, told in (
        ("history", "no slice of job a has ended yet"),
        ("checkpoints", "job a has no checkpoint yet"),
    ):
        assert outlast(command, "a") == (0, "", f"outlast: {told}\n")
        assert outlast_json(command, "a") == []


@pytest.mark.usefixtures("two_slices")
def test_status_names_tags_and_place_where_there_are_any(outlast: Outlast, client: Client) -> None:
    """A person would have to know how Outlast spells platforms, or read empty fields."""
    fields = dict(line.split(maxsplit=1) for line in outlast("status", "a").out.splitlines())
    assert fields["tags"] == "x y=1"
    assert "platform" not in fields
    client.jobs.change("a", lambda record: record.claimed(LEASE))
    assert "\nplatform         Lambda arm64 1769 MB\n" in outlast("status", "a").out
    client.create("tally", {"steps": 3}, job_id="b")
    assert "tags" not in outlast("status", "b").out
