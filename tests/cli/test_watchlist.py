"""Which jobs are watched from look to look, and which changes show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.worker.cli.watchlist import LOOKS_TO_A_SEARCH, Watchlist
from outlast.worker.jobs.client import Client
from outlast.worker.jobs.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outlast.checkpoint.record import Record
    from tests.cli.process import Outlast


def statuses(records: Sequence[Record]) -> dict[str, str]:
    """The jobs with their status."""
    return {record.job_id: str(record.status) for record in records}


@pytest.mark.parametrize("looks", range(LOOKS_TO_A_SEARCH + 1))
def test_the_end_of_a_job_shows_at_any_look(looks: int, client: Client) -> None:
    """A job would vanish from the table, and a person not know what became of it."""
    client.create("tally", {"steps": 1}, job_id="a")
    watchlist = Watchlist(client, (), Selection(statuses={"queued"}), pytest.fail)
    assert statuses(watchlist.look()) == {"a": "queued"}
    for _ in range(looks):
        assert watchlist.look() == []
    client.cancel("a")
    assert statuses(watchlist.look()) == {"a": "cancelled"}
    assert watchlist.look() == []
    assert watchlist.jobs == {}
    assert not watchlist.is_over


def test_a_job_stays_when_the_choice_no_longer_fits(client: Client) -> None:
    """Between its slices a running job would leave the table of those that run."""
    client.create("tally", {"steps": 1}, job_id="a")
    watchlist = Watchlist(client, (), Selection(statuses={"queued"}), pytest.fail)
    watchlist.look()
    client.pause("a")
    assert statuses(watchlist.look()) == {"a": "paused"}
    for _ in range(LOOKS_TO_A_SEARCH):
        assert watchlist.look() == []
        assert list(watchlist.jobs) == ["a"]


def test_a_record_that_cannot_be_read_is_reported_once(client: Client) -> None:
    """One damaged record would hide the others, or fill the terminal."""
    for job_id in "ab":
        client.create("tally", {"steps": 1}, job_id=job_id)
    client.jobs._register.put("jobs/a", b"x", expected=client.jobs.load("a").version)
    lines: list[str] = []
    watchlist = Watchlist(client, (), Selection(), lines.append)
    for _ in range(2 * LOOKS_TO_A_SEARCH):
        watchlist.look()
    assert list(watchlist.jobs) == ["b"]
    assert lines == ["job a: not a record of Outlast: its first bytes are foreign"]


@pytest.mark.parametrize("steer", [Client.pause, Client.cancel], ids=["pause", "cancel"])
def test_a_change_between_two_looks_at_the_parts_has_their_figures(
    steer: Callable[[Client, str], Record],
    client: Client,
    outlast: Outlast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job of thousands of parts would lose its work for a line, or end with workers at work."""
    monkeypatch.setattr("outlast.worker.cli.watchlist.SHARE_OF_LOOKS", 1e-9)
    client.submit("flock", steps=400, parallel=2, job_id="a")
    assert outlast("worker", "--max-slices", "21").code == 0
    watchlist = Watchlist(client, ["a"], Selection(), pytest.fail)
    (job,) = watchlist.look()
    assert (job.usage.slices_begun, watchlist.parts["a"].succeeded) == (21, 20)
    steer(client, "a")
    (job,) = watchlist.look()
    assert job.usage.slices_begun == 21
    assert ("a" in watchlist.parts) is not job.status.is_final
