"""The commands that look at jobs, or change them by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.heads import HEADS_AT_ONCE
from outlast.checkpoint.jobs import JobStore
from outlast.checkpoint.parts import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from tests.cli.process import Ended
    from tests.servers import Server

    Outlast = Callable[..., Ended]
    OutlastJson = Callable[..., Any]


def test_submit_prints_the_id_and_nothing_else(outlast: Outlast, client: Client) -> None:
    """`id=$(outlast submit ...)` would not hold an id."""
    ended = outlast("submit", "tally", "steps=3")
    assert (ended.code, ended.err) == (0, "")
    assert client.status(ended.out.removesuffix("\n")).params["steps"] == 3


def test_submit_again_sends_no_second_message_once_the_job_runs(
    outlast_json: OutlastJson, outlast: Outlast, client: Client
) -> None:
    """A retried submission would run the job twice."""
    for _ in range(2):
        found = outlast_json("submit", "tally", "steps=3", "--job-id", "a")
    assert (found["job_id"], found["status"], found["progress"]) == ("a", "queued", 0.0)
    assert outlast("worker", "--max-idle-seconds", "0.1").err.count("ended") == 1
    assert client.status("a").usage.slices_begun == 1
    outlast_json("submit", "tally", "steps=3", "--job-id", "a")
    assert client.queue.receive(visibility_seconds=1, wait_seconds=0) is None


def test_a_queue_that_nobody_else_sees_is_told(
    outlast: Outlast, valkey_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs in a shared store would wait for workers that are never woken."""
    monkeypatch.setenv("OUTLAST_STORE", f"{valkey_server.url}/9")
    ended = outlast("submit", "tally", "steps=1")
    assert ended.code == 0
    assert ended.err.endswith("find its jobs by their sweep only; set OUTLAST_QUEUE\n")


def test_status_reads_well(outlast: Outlast, client: Client) -> None:
    """A person would have to read JSON."""
    client.create("tally", {"steps": 3}, job_id="a")
    lines = dict(line.split(maxsplit=1) for line in outlast("status", "a").out.splitlines())
    assert lines["job_id"] == "a"
    assert lines["params"].startswith("steps=3 ")
    assert (lines["status"], lines["progress"]) == ("queued", "0.00%")
    assert "error" not in lines


def test_status_says_how_near_a_job_is_to_being_given_up(
    outlast: Outlast, outlast_json: OutlastJson, client: Client
) -> None:
    """A person would learn of it when the job has failed, and its nights are lost."""
    client.create("tally", {"steps": 3}, job_id="a")
    assert not {"stalls", "failures"} & set(outlast("status", "a").out.split())

    def stalled(record: Record) -> Record:
        for at in (0.0, 20.0):
            lease = Lease(worker="w", token="t", claimed_at=at, expires_at=at, at_risk_seconds=0)
            record = record.claimed(lease).errored("E: x", not_before=0.0)
        return record

    client.jobs.change("a", stalled)
    lines = dict(line.split(maxsplit=1) for line in outlast("status", "a").out.splitlines())
    assert lines["stalls"] == "2 of 10 (slices in a row without progress)"
    assert lines["failures"] == "2 of 5 (errors in a row without progress)"
    assert not {"max_stalls", "max_failures"} & set(lines)
    found = outlast_json("status", "a")
    assert (found["stalls"], found["max_stalls"]) == (2, 10)
    assert (found["failures"], found["max_failures"]) == (2, 5)
    lease = Lease(worker="w", token="t", claimed_at=40.0, expires_at=9e9, at_risk_seconds=0)
    client.jobs.change("a", lambda record: record.claimed(lease))
    assert "stalls           2 of 10 (" in outlast("status", "a").out


def test_a_result_that_is_not_there_yet_has_its_own_code(outlast: Outlast, client: Client) -> None:
    """A script could not tell "not yet" from "never"."""
    client.create("tally", {"steps": 3}, job_id="a")
    for words in (("result", "a"), ("result", "a", "--json")):
        assert outlast(*words) == (3, "", "outlast: job a is queued, 0.0% done\n")


def test_wait_gives_up_in_time(outlast: Outlast, client: Client) -> None:
    """A script would hang on a job that nobody works on."""
    client.create("tally", {"steps": 3}, job_id="a")
    ended = outlast("wait", "a", "--timeout-seconds", "0.05", "--json")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.splitlines() == [
        "outlast: job a is queued, 0.0% done",
        "outlast: gave up after 0.05 s: job a is queued, 0.0% done",
    ]


def test_result_and_wait_print_the_result_as_json(
    outlast: Outlast, outlast_json: OutlastJson
) -> None:
    """A program would have to parse text."""
    outlast("run", "nth-prime", "position=1", "--job-id", "a")
    assert outlast_json("result", "a") == {"position": 1, "prime": 2}
    assert outlast_json("wait", "a") == {"position": 1, "prime": 2}


def test_cancel_is_idempotent_and_spares_what_is_done(outlast: Outlast) -> None:
    """A script that is run twice would fail, or a result be thrown away."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    for _ in range(2):
        assert outlast("cancel", "a") == (0, "job a is cancelled\n", "")
    assert outlast("result", "a").err == "outlast: job a cancelled: by request\n"
    outlast("run", "tally", "steps=1", "--job-id", "b")
    ended = outlast("cancel", "b")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "outlast: job b is succeeded: it cannot be cancelled\n"


def test_a_paused_job_waits_until_it_is_resumed(outlast: Outlast) -> None:
    """A worker would go on with what a person has stopped, or never with what they let go on."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    for _ in range(2):
        assert outlast("pause", "a") == (0, "job a is paused\n", "")
    outlast("worker", "--max-idle-seconds", "0.01")
    assert outlast("result", "a").code == 3
    for _ in range(2):
        assert outlast("resume", "a") == (0, "job a goes on\n", "")
    outlast("worker", "--max-slices", "1")
    assert outlast("result", "a").code == 0
    for command in ("pause", "resume", "retry"):
        ended = outlast(command, "a")
        assert ended.code == 1
        assert ended.err.startswith("outlast: job a is succeeded: it cannot be ")


def test_a_failed_job_goes_on_when_retried(outlast: Outlast, client: Client) -> None:
    """Hours of work would be lost to a fault that has been mended since."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    client.jobs.change("a", lambda record: record.failed("the disk was full"))
    assert outlast("retry", "a") == (0, "job a goes on\n", "")
    outlast("worker", "--max-slices", "1")
    assert outlast("result", "a").code == 0


def test_a_job_at_its_ceiling_goes_on_with_a_higher_one(outlast: Outlast, client: Client) -> None:
    """A job of days that reached its budget would have to be copied under another id."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    client.jobs.change("a", lambda record: record.retried(max_compute_seconds=1.0))
    client.jobs.change("a", lambda record: record.spent(steps=1, seconds=2.0).failed("ceiling"))
    ended = outlast("retry", "a")
    assert (ended.code, ended.out) == (1, "")
    assert "reached its ceiling of 1 compute seconds (max_compute_seconds): retry it" in ended.err
    assert outlast("retry", "a", "--max-compute-seconds", "60").code == 0
    outlast("worker", "--max-slices", "1")
    assert outlast("result", "a").code == 0


def test_list_shows_all_jobs_by_id(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person would lose sight of a job."""
    ended = outlast("list")
    assert (ended.code, ended.out) == (0, "")
    assert outlast_json("list") == []
    for job_id in ("b", "c", "a"):
        outlast("submit", "tally", "steps=1", "--job-id", job_id)
    assert [found["job_id"] for found in outlast_json("list")] == ["a", "b", "c"]
    lines = outlast("list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["JOB", "a", "b", "c"]


def test_a_list_that_ends_early_is_still_json(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program could not read even the jobs that were found before the store went away."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")

    def ids(_: JobStore, **__: str) -> Iterator[str]:
        yield from ["a"] * HEADS_AT_ONCE
        raise StoreUnavailable("away")

    monkeypatch.setattr(JobStore, "ids", ids)
    ended = outlast("list", "--limit", "0", "--json")
    assert (ended.code, ended.err) == (1, "outlast: away\n")
    assert {found["job_id"] for found in json.loads(ended.out)} == {"a"}


def test_kernels_tell_their_parameters(outlast: Outlast, outlast_json: OutlastJson) -> None:
    """A person would have to read the source of a kernel to use it."""
    shown = outlast("kernels").out
    assert "\n    position=...  integer from 1 to 1,000,000,000,000,000,000 - which prime" in shown
    assert "\ntally  Counts, one step after the other.\n    steps=...  integer from 1" in shown
    assert "(default: 0.0)" in shown
    found = {kernel["name"]: kernel for kernel in outlast_json("kernels")}
    assert found["tally"]["params"]["required"] == ["steps"]


def test_warmup_prepares_kernels(outlast: Outlast) -> None:
    """A container image would compile again at each start."""
    ended = outlast("warmup", "tally", "--json")
    assert json.loads(ended.out)[0]["kernel"] == "tally"
    assert ended.err == "outlast: preparing kernel tally\n"
    assert outlast("warmup", "tally").out.startswith("tally  ready after 0.")
    assert outlast("warmup", "no-such").code == 2


@pytest.mark.parametrize("words", [("sweep",), ("list",), ("kernels",)])
def test_json_is_pure(words: tuple[str, ...], outlast: Outlast) -> None:
    """A program that reads the output would fail on the first other byte."""
    assert json.loads(outlast(*words, "--json").out) is not None
