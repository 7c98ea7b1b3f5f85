"""`outlast watch`: a table that moves on a terminal, lines in a pipe, and how both end."""

from __future__ import annotations

import json
import re
import signal
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import redis

from outlast.worker.cli.live_table import cells_of
from tests.records import checkpoint, job, lease

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from tests.cli.process import AtTerminal, Start
    from tests.cli.terminal import Terminal
    from tests.servers import Server

WORKER = ("worker", "--slice-seconds", "0.5", "--max-idle-seconds", "0.5")
BAR = "━"
OUTAGE_MILLISECONDS = 2000
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save often, and let a job fail at its first error."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "0.2")
    monkeypatch.setenv("OUTLAST_MAX_FAILURES", "1")


@pytest.fixture
def two(client: Client) -> Client:
    """Jobs `good`, of two seconds, and `bad`, which fails."""
    client.submit("tally", job_id="good", steps=100, step_seconds=0.02)
    client.submit("tally", job_id="bad", steps=10, fails_at=3)
    return client


def assert_clean(at: Terminal) -> None:
    """Assert that the terminal is as it was: the cursor is there, no other screen is left."""
    assert at.seen.rfind(SHOW) > at.seen.rfind(HIDE) >= 0
    assert "\x1b[?1049h" not in at.seen
    assert "Traceback" not in at.seen


@pytest.mark.usefixtures("two")
def test_the_table_moves_and_ends_with_the_jobs(terminal: AtTerminal, start: Start) -> None:
    """A person would not see whether their jobs get on, or lose the cursor at the end."""
    at = terminal("watch", "good", "bad", "--interval", "0.1", whole=True, columns=160)
    at.await_text("JOB.*STATUS.*DONE.*RATE.*LEFT.*SLICE.*SAVED.*WHERE.*WORKER")
    start(*WORKER)
    code, _ = at.end()
    assert code == 1, "one of them failed"
    done = {float(percent) for percent in re.findall(r"running\S* .*?(\d+\.\d)%", at.seen)}
    assert len(done) > 3, "the progress does not move"
    bars = re.findall(rf"good +running +\x1b\[[0-9;]*m({BAR}+)", at.seen)
    assert len(set(bars)) > 3, "the bar does not move"
    assert re.search(r"\d %/s +0:0\d +\d+ +0:0\d ago +\w", at.seen), "no rate, time left or age"
    _, _, after = at.seen.partition("job good succeeded after ")
    assert after
    assert not re.search(r"good +running", after), "a row of a job that is over"
    assert "job bad failed after 1 slice: RuntimeError: told to fail" in at.seen
    assert_clean(at)


def test_a_job_whose_worker_is_gone_has_no_end_in_sight() -> None:
    """A person would wait for an end that is told as near for as long as no worker comes."""
    running = job().claimed(lease(at=100.0, seconds=10.0))
    for at in (101.0, 103.0):
        state = f"{at}".encode()
        running = running.spent(steps=1, seconds=at - 100.0).saved(
            checkpoint(state, progress=at / 1000, saved_at=at)
        )
    running = running.model_copy(update={"updated_at": 103.0})
    assert cells_of(running, 105.0)["RATE"] == "3.4 %/s"
    gone = cells_of(running, 1_000.0)
    assert (gone["RATE"], gone["LEFT"]) == ("-", "-")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
@pytest.mark.usefixtures("two")
def test_a_stop_leaves_the_terminal_clean(
    number: signal.Signals, code: int, terminal: AtTerminal
) -> None:
    """A person would have to reset their terminal."""
    at = terminal("watch", whole=True)
    at.await_text("good .*queued")
    at.process.send_signal(number)
    assert at.end()[0] == code
    assert_clean(at)


@pytest.mark.usefixtures("two")
def test_a_narrow_and_low_terminal_shows_what_fits(terminal: AtTerminal, client: Client) -> None:
    """Lines would wrap, and the table be drawn over itself."""
    for number in range(20):
        client.create("tally", {"steps": 1}, job_id=f"more-{number:02}-{'x' * 100}")
    at = terminal("watch", whole=True, columns=40, rows=10)
    at.await_text(r"and 16 more")
    at.process.send_signal(signal.SIGINT)
    at.end()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", at.seen).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= 40
    assert "WORKER" not in at.seen
    assert re.search(r"more-00-x+… +queued +0\.0%", at.seen)
    assert_clean(at)


@pytest.mark.usefixtures("two")
def test_a_pipe_gets_a_line_for_each_change(start: Start) -> None:
    """A log would be filled with control characters, or with lines that say the same."""
    watch = start("watch", "good", "--interval", "0.1")
    watch.await_out("queued")
    start(*WORKER)
    ended = watch.end()
    lines = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.isascii()
    assert "\x1b" not in ended.out
    assert lines[0] == "job good queued 0.0%, slice 1"
    assert re.fullmatch(r"job good succeeded after \d slices?", lines[-1])
    assert any(re.search(r"%, slice \d on \S.* %/s, 0:0\d left", line) for line in lines), lines
    assert all(line != following for line, following in pairwise(lines))


@pytest.mark.usefixtures("two")
def test_json_is_one_object_a_line(start: Start) -> None:
    """A program could not follow jobs."""
    watch = start("watch", "good", "--interval", "0.1", "--json")
    watch.await_out("queued")
    start(*WORKER)
    changes = [json.loads(line) for line in watch.end().out.splitlines()]
    assert (changes[0]["status"], changes[-1]["status"]) == ("queued", "succeeded")


def test_without_names_new_jobs_are_followed_and_old_ones_not(start: Start, client: Client) -> None:
    """A person would not see the jobs that they submit while they watch."""
    client.create("tally", {"steps": 1}, job_id="over", tags=["x"])
    client.cancel("over")
    client.create("tally", {"steps": 1}, job_id="first", tags=["x"])
    client.create("tally", {"steps": 1}, job_id="other")
    seen = start("watch", "--tag", "x", "--interval", "0.1", "--json")
    seen.await_out('"first"')
    client.create("tally", {"steps": 1}, job_id="second", tags=["x"])
    seen.await_out('"second"')
    client.cancel("first")
    assert '"first"' in seen.await_out('.*"cancelled".*')[0]
    seen.send(signal.SIGINT)
    ended = seen.end()
    assert (ended.code, ended.err) == (130, "")
    assert "over" not in ended.out
    assert "other" not in ended.out


def test_a_job_that_goes_while_it_is_watched(start: Start, client: Client) -> None:
    """A watch would never end, or die, because another person tidies up."""
    client.create("tally", {"steps": 1}, job_id="a")
    watch = start("watch", "a", "--interval", "0.1")
    watch.await_out("job a queued")
    client.jobs.delete(client.jobs.load("a"))
    ended = watch.end()
    assert (ended.code, ended.err) == (1, "outlast: job a has gone from the store\n")


def test_an_outage_is_reported_once_and_survived(
    start: Start, valkey_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch or a wait would die with the first restart of the store."""
    from outlast.worker.jobs.client import Client

    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/8?socket_timeout=0.2")
    client = Client()
    client.create("tally", {"steps": 1}, job_id="a")
    watch, wait = start("watch", "a", "--interval", "0.1"), start("wait", "a")
    watch.await_out("job a queued")
    wait.await_line("job a is queued")
    with closing(redis.Redis.from_url(valkey_server.url)) as server:
        server.client_pause(OUTAGE_MILLISECONDS)
        for process in (watch, wait):
            process.await_line("outlast: redis at .*; trying again until it answers")
        server.ping()  # It is answered when the pause is over.
    watch.await_line("outlast: the store answers again")
    client.cancel("a")
    watched, waited = watch.end(), wait.end()
    assert watched.err.count("trying again") == waited.err.count("trying again") == 1
    assert (watched.code, waited.code) == (1, 1)
    assert watched.out.endswith("job a cancelled after 0 slices\n")
    assert waited.err.endswith("outlast: job a cancelled: by request\n")
