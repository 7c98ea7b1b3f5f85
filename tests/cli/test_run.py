"""outlast run, from its start to its result."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Lease
from outlast.worker.cli import preparing
from tests.cli.process import OUTLAST, until

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, OutlastJson, Start

VIEW = [
    "job_id", "kernel", "params", "status", "progress", "slices", "steps", "saves",
    "compute_seconds", "redone_seconds", "stalls", "max_stalls", "failures", "max_failures",
    "result", "error", "created_at", "updated_at",
]  # fmt: skip


def test_the_result_is_all_there_is_on_standard_output(outlast: Outlast) -> None:
    """A script could not use the answer."""
    ended = outlast("run", "nth-prime", "position=10_000")
    assert (ended.code, ended.out) == (0, "position=10000 prime=104729\n")
    assert "outlast: job nth-prime-" in ended.err


def test_json_is_one_document_with_all_there_is_to_know(outlast: Outlast) -> None:
    """A program that reads the output would fail on the first other byte, or miss a field."""
    ended = outlast("run", "nth-prime", "position=10_000", "--json")
    job = json.loads(ended.out)
    assert [name for name in VIEW if name not in job] == []
    assert job["result"] == {"position": 10000, "prime": 104729}
    assert (job["status"], job["progress"], job["slices"]) == ("succeeded", 1.0, 1)
    assert job["created_at"].endswith("Z")


@pytest.mark.parametrize("words", [("--json", "run"), ("run", "--json")])
def test_json_may_stand_anywhere(words: tuple[str, ...], outlast: Outlast) -> None:
    """A person would have to remember where an option of all commands belongs."""
    assert json.loads(outlast(*words, "tally", "steps=2").out)["result"] == {"total": 2}


def test_the_same_id_again_prints_the_result_at_once(outlast: Outlast, client: Client) -> None:
    """A long job would be computed twice."""
    line = ("run", "tally", "steps=3", "--job-id", "a")
    first, before = outlast(*line), client.status("a")
    again = outlast(*line)
    assert again == (0, first.out, "")
    assert client.status("a") == before


def test_a_job_is_cut_into_slices(outlast_json: OutlastJson) -> None:
    """A run would not behave as workers do, and --slice-seconds be without effect."""
    line = ("run", "tally", "steps=40", "step_seconds=0.01", "--slice-seconds", "0.1")
    job = outlast_json(*line)
    assert job["result"] == {"total": 40}
    assert job["slices"] >= 4
    assert job["steps"] == 40
    assert job["redone_seconds"] == 0


def test_the_lines_can_be_turned_down(outlast: Outlast, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that holds for workers would be ignored here."""
    monkeypatch.setenv("OUTLAST_LOG_LEVEL", "ERROR")
    assert "ended at" not in outlast("run", "tally", "steps=3").err


def test_a_submitted_job_can_be_run_here(outlast: Outlast) -> None:
    """A person who has no worker at hand could not finish what they submitted."""
    outlast("submit", "tally", "steps=3", "--job-id", "a")
    assert outlast("run", "tally", "steps=3", "--job-id", "a").out == "total=3\n"
    assert outlast("worker", "--max-idle-seconds", "0.1").code == 0


def test_a_failed_job_tells_its_status_as_well(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program would have to parse the error line to know what became of the job."""
    monkeypatch.setenv("OUTLAST_MAX_FAILURES", "1")
    ended = outlast("run", "tally", "steps=3", "fails_at=2", "--json")
    assert ended.code == 1
    assert json.loads(ended.out)["status"] == "failed"


def test_a_cancelled_job_is_not_run(outlast: Outlast) -> None:
    """A job that was given up would be computed after all."""
    outlast("submit", "tally", "steps=3", "--job-id", "a")
    outlast("cancel", "a")
    ended = outlast("run", "tally", "steps=3", "--job-id", "a")
    assert (ended.code, ended.err) == (1, "outlast: job a cancelled: by request\n")


def test_a_paused_job_is_unfinished(outlast: Outlast, client: Client) -> None:
    """A run would wait for ever, or undo what somebody decided."""
    client.create("tally", {"steps": 3}, job_id="a")
    client.jobs.change("a", Record.paused)
    ended = outlast("run", "tally", "steps=3", "--job-id", "a")
    assert ended.code == 3
    assert "outlast: job a is paused" in ended.err


def test_a_run_that_has_only_waited_has_saved_nothing(start: Start, client: Client) -> None:
    """A person would believe that the work of another worker was saved, by a run that did none."""
    client.create("tally", {"steps": 3}, job_id="a")
    now = client.jobs.clock()
    lease = Lease(
        worker="elsewhere:7",
        token="t",
        claimed_at=now,
        expires_at=now + 60,
        seconds=60,
        at_risk_seconds=0.1,
    )
    before = client.jobs.change("a", lambda record: record.claimed(lease)).record
    run = start("run", "tally", "steps=3", "--job-id", "a")
    run.await_line("elsewhere:7 has the job: waiting")
    run.send(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130
    assert "saved" not in ended.err
    assert (
        "stopped by SIGINT, with nothing done here, while worker elsewhere:7 has the job at 0.0%\n"
        "outlast: to go on here: outlast run tally steps=3 --job-id a\n"
    ) in ended.err
    assert client.status("a").lease == before.lease


def test_a_run_says_once_that_its_job_failed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would look for as many errors as there are lines."""
    monkeypatch.setenv("OUTLAST_MAX_FAILURES", "1")
    ended = start("run", "tally", "steps=2", "fails_at=1", "--job-id", "a").end()
    assert ended.code == 1
    told = [line for line in ended.err.splitlines() if "told to fail" in line]
    assert len(told) == 2, "one when it happens, and one as the answer"
    assert told[-1].startswith("outlast: job a failed: RuntimeError: told to fail")
    assert ended.err.count("job a failed") == 1


def test_a_run_says_that_it_waits_for_another_worker(outlast: Outlast, client: Client) -> None:
    """A run after a kill -9 would look as if it hung."""
    client.create("tally", {"steps": 3}, job_id="a")
    now = client.jobs.clock()
    lease = Lease(
        worker="elsewhere:7", token="t", claimed_at=now, expires_at=now + 0.5, at_risk_seconds=0.1
    )
    client.jobs.change("a", lambda record: record.claimed(lease))
    ended = outlast("run", "tally", "steps=3", "--job-id", "a")
    lines = [line for line in ended.err.splitlines() if "waiting" in line]
    assert lines[0].startswith("outlast: worker elsewhere:7 has the job: waiting until it lets go")
    assert len(lines) <= 2
    assert ended.out == "total=3\n"


def test_a_first_run_says_what_it_compiles(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would stop a run that seems to do nothing for ten seconds."""
    monkeypatch.setattr(preparing, "PATIENCE_SECONDS", 0.05)
    ended = outlast("run", "tally", "steps=3", "prepare_seconds=0.2")
    assert "outlast: preparing kernel tally: on its first run on a machine it is comp" in ended.err
    assert "preparing" not in outlast("run", "tally", "steps=3").err


def test_another_terminal_sees_the_job(
    start: Start,
    outlast_json: OutlastJson,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody could look after a job that runs."""
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "0.05")
    process = start("run", "tally", "steps=10_000", "step_seconds=0.01", "--job-id", "a")
    process.await_line("slice 1")
    until(lambda: outlast_json("status", "a")["saves"] >= 2)
    job = outlast_json("status", "a")
    assert job["status"] == "running"
    assert 0 < job["progress"] < 1
    assert job["worker"]
    assert outlast_json("cancel", "a")["status"] == "cancelled"
    ended = process.end()
    assert (ended.code, ended.out) == (1, "")
    assert "job a cancelled" in ended.err


@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-"])
@pytest.mark.parametrize("isolate", [(), ("--isolate",)], ids=["here", "isolated"])
def test_a_closed_standard_error_costs_the_log_only(closed: str, isolate: tuple[str, ...]) -> None:
    """A supervisor that starts commands without one would find log lines in the result, or none."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" "$@" {closed}', OUTLAST, "run", "tally", "steps=3", "--json", *isolate],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(done.stdout)["result"] == {"total": 3}


def test_a_closed_standard_output_costs_the_answer_only(client: Client) -> None:
    """A job that is done would be told as failed."""
    done = subprocess.run(
        ["sh", "-c", f"{OUTLAST} run tally steps=3 --job-id a >&- <&-"],
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert "succeeded" in done.stderr
    assert "Error" not in done.stderr
    assert client.result("a") == {"total": 3}


def test_in_a_pipe_each_line_is_said_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel's prints would be lost, or each line of the command be taken for one of them."""
    monkeypatch.setenv("TALLY_TELLS", "1")
    ended = start("run", "tally", "steps=3", "--job-id", "a").end()
    assert (ended.code, ended.out) == (0, "total=3\n")
    assert "\noutlast: at work\n" in ended.err
    assert "\noutlast: job a slice 1 ended at 100.00%" in ended.err
    assert "outlast: outlast:" not in ended.err
