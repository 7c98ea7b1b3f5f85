"""Whatever one job's kernel does to the worker, the job ends clearly and the others go on."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.status import Status
from outlast.worker.jobs.client import Client
from outlast.worker.queues.message import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outlast.checkpoint.record import Record
    from tests.cli.process import Ended, Start

POISONOUS = Path(__file__).with_name("poisonous")
INSTALLED = Path(__file__).with_name("installed")

# None: the job succeeds, as what its kernel does is no business of the worker.
IN_THE_WORKER = {
    "prints": None,
    "closes the output": None,
    "puts away the output": None,
    "leaves a thread": None,
    "leaves a process": None,
    "takes the signals": None,
    "calls exit": "SystemExit:",
    "raises": "ZeroDivisionError: division by zero",
    "grows": "its state of 100,000,0",
}
IN_A_CHILD = {
    "hoards": "MemoryError",
    "exits": "Crashed: the kernel's process exited with code 9",
}


@pytest.fixture(autouse=True)
def _poisonous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{POISONOUS}:{INSTALLED}")
    monkeypatch.syspath_prepend(POISONOUS)
    monkeypatch.setenv("OUTLAST_MAX_FAILURES", "1")


def work_off(client: Client, start: Start, ways: Mapping[str, str | None]) -> Ended:
    """Let one worker work a job for each way, and a good one last; check how each ends."""
    names = {how: how.replace(" ", "-") for how in ways}
    for how, name in names.items():
        client.submit("poison", job_id=name, how=how)
    client.submit("tally", job_id="good", steps=3)
    ended = start("worker", "--max-idle-seconds", "0.5", "--json").end()
    for how, error in ways.items():
        record = client.status(names[how])
        if error is None:
            assert record.result == {"did": how}
        else:
            assert (record.status, error in str(record.error)) == (Status.FAILED, True), record
    assert client.result("good") == {"total": 3}
    assert client.queue.receive(visibility_seconds=1, wait_seconds=0) is None
    return ended


def test_one_worker_survives_them_all(client: Client, start: Start) -> None:
    """One bad job would take a worker from all others, or its answer be no JSON."""
    ended = work_off(client, start, IN_THE_WORKER)
    assert (ended.code, json.loads(ended.out)["stopped_by"]) == (0, None)
    assert "42 is the answer\n" in ended.err
    assert "or so\n" in ended.err


def test_isolated_it_survives_what_no_process_could(
    client: Client, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in native code, or one greedy job, would take the worker along."""
    monkeypatch.setenv("OUTLAST_ISOLATE", "true")
    monkeypatch.setenv("OUTLAST_MEMORY_BYTES", str(128 << 20))
    assert work_off(client, start, IN_A_CHILD).code == 0


@pytest.mark.parametrize("how", ["takes the signals", "leaves a thread", "leaves a process"])
def test_a_worker_stops_when_asked_whatever_a_kernel_has_left_behind(
    how: str, client: Client, start: Start
) -> None:
    """Every deploy would wait for such a worker until it is killed."""
    client.submit("poison", job_id="a", how=how)
    worker = start("worker", "--json")
    worker.await_line("job a slice 1 ended")
    client.submit("poison", job_id="b", how="prints")  # By its end the slice before is long over.
    worker.await_line("job b slice 1 ended")
    worker.send(signal.SIGTERM)
    ended = worker.end()
    assert (ended.code, json.loads(ended.out)["stopped_by"]) == (0, "SIGTERM")


@pytest.mark.parametrize("isolate", ["false", "true"])
def test_a_stop_of_a_program_that_a_kernel_waits_for_is_no_failure(
    isolate: str, client: Client, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fifth Ctrl-C at a worker would fail its job: it goes to all that the terminal runs."""
    monkeypatch.setenv("OUTLAST_ISOLATE", isolate)
    client.submit("poison", job_id="a", how="runs a program")
    worker = start("worker", start_new_session=True)
    worker.await_line("at work")
    worker.send_to_group(signal.SIGINT)
    assert worker.end().code == 0
    stopped = client.status("a")
    assert (stopped.status, stopped.guards.failures, stopped.progress) == (Status.QUEUED, 0, 0.5)


def test_what_a_kernel_prints_is_not_the_answer(start: Start) -> None:
    """A program that reads the answer would fail on the first word of the kernel."""
    ended = start("run", "poison", "how=prints", "--json").end()
    assert json.loads(ended.out)["result"] == {"did": "prints"}
    assert "42 is the answer\nor so\n" in ended.err


@pytest.mark.parametrize(
    "words", [["submit", "loud", "--json"], ["run", "loud", "--json"], ["kernels", "--json"]]
)
def test_what_a_package_prints_when_it_is_imported_is_not_the_answer(
    words: list[str], start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that submits a job would take the package's greeting for the job's id."""
    (tmp_path / "loud.py").write_text(
        "print('welcome')\nfrom tally import Tally\nclass Loud(Tally):\n    name = 'loud'\n"
        "class Params(Loud.Params):\n    steps: int = 1\nLoud.Params = Params\n"
    )
    info = tmp_path / "loud-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[outlast.kernels]\nloud = loud:Loud\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{INSTALLED}")
    ended = start(*words).end()
    assert json.loads(ended.out)
    assert "welcome\n" in ended.err


@pytest.mark.parametrize("how", ["closes the output", "puts away the output", "closes the errors"])
def test_a_kernel_does_not_take_the_output_along(how: str, start: Start) -> None:
    """The job would be done, and its result not be told."""
    ended = start("run", "poison", f"how={how}").end()
    assert (ended.code, ended.out) == (0, f"did={how}\n")


def test_a_kernel_that_closes_standard_error_ends_no_worker(client: Client, start: Start) -> None:
    """The first line of the log would end the worker, and all jobs behind it would wait."""
    assert work_off(client, start, {"closes the errors": None}).code == 0


def test_a_kernel_that_exits_while_it_prepares_does_not_end_the_command(start: Start) -> None:
    """A run would end without a word, with the kernel's own code and no result."""
    ended = start("run", "poison", "how=exits preparing").end()
    assert (ended.code, ended.out) == (0, "did=exits preparing\n")
    assert "did not prepare: SystemExit: no accelerator here" in ended.err


def test_parameters_whose_check_exits_are_refused_aloud(start: Start) -> None:
    """A submit would end without a word, and nobody know that there is no job."""
    ended = start("submit", "poison", "how=exits when asked").end()
    message = "outlast: poison: the check of its parameters calls sys.exit(5)\n"
    assert (ended.code, ended.out, ended.err) == (2, "", message)


def test_what_kills_its_worker_before_the_first_step_is_given_up(
    client: Client, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end every worker that there is, and its message come back for days."""
    monkeypatch.setenv("OUTLAST_MAX_STALLS", "3")
    Client().submit("poison", job_id="deadly", how="dies preparing")
    for died in range(3):
        assert start("worker").end().code == 9
        assert client.status("deadly").guards.stalls == died + 1
        client.jobs.change("deadly", without_the_wait)
        client.queue.send(Message(job_id="deadly"))
    client.submit("tally", job_id="good", steps=3)
    assert start("worker", "--max-idle-seconds", "0.5").end().code == 0
    record = client.status("deadly")
    assert (record.status, record.usage.slices_begun) == (Status.FAILED, 3)
    assert "gave up after 3 slices in a row without progress" in str(record.error)
    assert client.result("good") == {"total": 3}


def without_the_wait(record: Record) -> Record:
    """The job once the lease of the worker that died has ended, some minutes later."""
    assert record.lease is not None
    lease = record.lease.model_copy(update={"expires_at": record.lease.claimed_at})
    return record.model_copy(update={"lease": lease})
