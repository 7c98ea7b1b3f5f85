"""Which jobs are followed from look to look, and which changes are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.worker.cli.watching import LOOKS_TO_A_SEARCH, Watching
from outlast.worker.jobs.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client


def statuses(records: Sequence[Record]) -> dict[str, str]:
    """The jobs with their status."""
    return {record.job_id: str(record.status) for record in records}


@pytest.mark.parametrize("looks", range(LOOKS_TO_A_SEARCH + 1))
def test_the_end_of_a_job_is_told_at_any_look(looks: int, client: Client) -> None:
    """A job would vanish from the table, and a person not know what became of it."""
    client.create("tally", {"steps": 1}, job_id="a")
    watching = Watching(client, (), Selection(statuses={"queued"}), pytest.fail)
    assert statuses(watching.look()) == {"a": "queued"}
    for _ in range(looks):
        assert watching.look() == []
    client.cancel("a")
    assert statuses(watching.look()) == {"a": "cancelled"}
    assert watching.look() == []
    assert watching.jobs == {}
    assert not watching.is_over


def test_a_job_stays_when_the_choice_no_longer_fits(client: Client) -> None:
    """Between its slices a running job would leave the table of those that run."""
    client.create("tally", {"steps": 1}, job_id="a")
    watching = Watching(client, (), Selection(statuses={"queued"}), pytest.fail)
    watching.look()
    client.pause("a")
    assert statuses(watching.look()) == {"a": "paused"}
    for _ in range(LOOKS_TO_A_SEARCH):
        assert watching.look() == []
        assert list(watching.jobs) == ["a"]


def test_a_record_that_cannot_be_read_is_told_once(client: Client) -> None:
    """One damaged record would hide the others, or fill the terminal."""
    for job_id in "ab":
        client.create("tally", {"steps": 1}, job_id=job_id)
    client.jobs._register.put("jobs/a", b"x", expected=client.jobs.load("a").version)
    told: list[str] = []
    watching = Watching(client, (), Selection(), told.append)
    for _ in range(2 * LOOKS_TO_A_SEARCH):
        watching.look()
    assert list(watching.jobs) == ["b"]
    assert told == ["job a: not a record of Outlast: its first bytes are foreign"]
