"""Tables at a terminal that is narrower than they are, and in a pipe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from outlast.worker.cli import tables
from outlast.worker.cli.commands.listing import PAGE_JOBS
from outlast.worker.cli.tables import Columns, cut

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from tests.cli.process import AtTerminal, Outlast

LONG = "a-job-with-a-name-that-somebody-has-made-up-for-a-nightly-run-of-november"
COLUMNS = Columns("{:<6} {:>4}  {:<5} {}", "NAME", "SIZE", "KIND", "WHAT", first_out=["KIND"])


@pytest.fixture
def jobs(client: Client, outlast: Outlast) -> None:
    """A job that is done, and one that has failed."""
    client.submit("tally", job_id=LONG, steps=3)
    client.submit("tally", job_id="bad", steps=3, fails_at=1)
    outlast("worker", "--max-slices", "2")


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("width", [60, 80, 132])
@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("history", "bad"),
        ("checkpoints", LONG),
        ("cost", "--all"),
        ("kernels",),
        ("status", "bad"),
        ("prune", "--older-than", "0s", "--dry-run"),
        ("estimate", "nth-prime", "position=1e9"),
        ("estimate", "nth-prime", "position=1e12", "--parallel", "1,10,100,1000"),
    ],
    ids=" ".join,
)
def test_no_row_is_wider_than_the_terminal(
    words: tuple[str, ...], width: int, outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table would be broken into pieces that nobody can read."""
    monkeypatch.setattr(tables, "terminal_columns", lambda: width)
    ended = outlast(*words)
    assert ended.code == 0
    prose = ("prices of", "nth-prime ", "1 job", "2 jobs")
    rows = [line for line in ended.out.splitlines() if not line.startswith(prose)]
    assert rows
    assert [row for row in rows if len(row) > width] == []


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("width", [80, 100, 130])
def test_how_a_slice_ended_is_told_whole(
    width: int, outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would see that there was an error, and not which."""
    whole = json.loads(outlast("history", "bad", "--json").out)[-1]["ending"]
    assert len(whole) > 40
    monkeypatch.setattr(tables, "terminal_columns", lambda: width)
    heading, *rows = outlast("history", "bad").out.splitlines()
    column = heading.index("ENDING")
    assert width - column >= 30
    assert " ".join(row[column:] for row in rows).endswith(whole)


def test_a_list_fits_a_real_terminal(terminal: AtTerminal, client: Client) -> None:
    """The width that the terminal has would not be the one that is used."""
    client.submit("tally", job_id=LONG, steps=3)
    at = terminal("list", columns=60, whole=True)
    assert at.end()[0] == 0
    heading, row = at.seen.splitlines()
    assert heading == "JOB                              STATUS     PROGRESS SLICES"
    assert row == f"{LONG[:31]}… queued         0.0%      0"


@pytest.mark.parametrize(
    ("width", "columns", "what"),
    [
        (100, "JOB STATUS PROGRESS SLICES UPDATED WHAT", "nth-prime position=1000000000"),
        (80, "JOB STATUS PROGRESS SLICES WHAT", "nth-prime position=1000000000"),
        (60, "JOB STATUS PROGRESS SLICES WHAT", "nth-prime position=10000…"),
        (40, "JOB STATUS PROGRESS SLICES", "0"),
    ],
)
def test_short_ids_leave_room_for_what_a_job_is_asked_for(
    width: int,
    columns: str,
    what: str,
    outlast: Outlast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A person would see spaces, and not which of two jobs is which."""
    outlast("submit", "nth-prime", "position=1e9", "--job-id", "billion")
    monkeypatch.setattr(tables, "terminal_columns", lambda: width)
    heading, row = outlast("list").out.splitlines()
    assert heading.split() == columns.split()
    assert row.startswith("billion queued ")
    assert row.endswith(f" {what}")


def test_a_longer_id_after_the_first_page_is_whole(client: Client, outlast: Outlast) -> None:
    """The id of a later job could not be used, or its row would stand out."""
    for number in range(PAGE_JOBS):
        client.create("tally", {"steps": 1}, job_id=f"a{number:02}")
    client.create("tally", {"steps": 1}, job_id="b-longer")
    rows = outlast("list", "--limit", "0").out.splitlines()
    assert rows[0].startswith(f"{'JOB':<32} STATUS ")
    assert rows[PAGE_JOBS].startswith(f"{'a99':<32} queued ")
    assert rows[PAGE_JOBS + 1].startswith(f"{'b-longer':<32} queued ")


def test_a_pipe_gets_every_row_whole(client: Client, outlast: Outlast) -> None:
    """`outlast list | grep` would miss what was cut, and the id could not be used."""
    client.submit("tally", job_id=LONG, steps=3)
    (row,) = outlast("list").out.splitlines()[1:]
    assert row.startswith(f"{LONG} queued ")
    assert row.endswith(
        "tally steps=3 step_seconds=0.0 prepare_seconds=0.0 fails_at=null label=null"
    )


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (None, ["NAME   SIZE  KIND  WHAT", "abc-abc-abc   10  large anything at all"]),
        (40, ["NAME   SIZE  KIND  WHAT", "abc-abc-abc   10  large anything at all"]),
        (34, ["NAME   SIZE  KIND  WHAT", "abc-a…   10  large anything at all"]),
        (27, ["NAME   SIZE  KIND  WHAT", "abc-a…   10  large anythin…"]),
        (24, ["NAME   SIZE WHAT", "abc-a…   10 anything at…"]),
    ],
)
def test_what_is_left_out_is_what_matters_least(
    width: int | None, rows: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heading would stand above other columns, or the dollars be cut off a bill."""
    monkeypatch.setattr(tables, "terminal_columns", lambda: width)
    assert [COLUMNS.heading, COLUMNS.row("abc-abc-abc", 10, "large", "anything at all")] == rows


def test_a_wide_character_counts_for_two() -> None:
    """A row of Chinese would be twice as wide as the terminal."""
    assert cut("数学", 4) == "数学"
    assert cut("数学素数", 4) == "数…"
