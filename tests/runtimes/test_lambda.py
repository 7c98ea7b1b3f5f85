"""Our Lambda handler under AWS's own runtime client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.status import Status
from outlast.worker.settings import InvalidSettings
from tests.kernels import ROOT
from tests.runtimes import lambda_api
from tests.runtimes.event_source import record_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtimes.lambda_api import Function
    from tests.runtimes.system import System

EXTENSION = ROOT / "deploy/lambda/extensions/outlast-stop"


@pytest.fixture
def function(system: System) -> Iterator[Function]:
    """The handler, warm from test to test within one."""
    with lambda_api.function(system.folder, system.env) as function:
        yield function


def test_slices_follow_each_other_to_the_result(system: System, function: Function) -> None:
    """A job longer than one invocation would never end."""
    source = system.source(lambda event: function.invoke(event, timeout_seconds=1.5))
    system.client.submit("adder", job_id="j", steps=60, step_seconds=0.05)
    while system.record("j").status is Status.QUEUED:
        assert source.turn() == {"batchItemFailures": []}
    assert system.client.result("j") == {"total": 1830}
    assert system.record("j").usage.slices_begun > 2
    assert source.turn(wait_seconds=0) is None


def test_a_direct_call_submits_runs_and_answers(function: Function) -> None:
    """A person would have to learn the queue to try the function out."""
    answer = function.invoke({"kernel": "adder", "params": {"steps": 4}})
    assert answer["status"] == "succeeded"
    assert answer["result"] == {"total": 10}


def test_the_position_of_a_prime_is_a_request(function: Function) -> None:
    """The event that the article shows would be refused."""
    answer = function.invoke({"position": 1000})
    assert answer["result"] == {"position": 1000, "prime": 7919}


def test_a_direct_call_that_is_not_done_goes_on_by_the_queue(
    system: System, function: Function
) -> None:
    """A long job started by hand would stop with the invocation that started it."""
    params = {"steps": 30, "step_seconds": 0.05}
    asked = {"kernel": "adder", "params": params, "job_id": "j", "max_seconds": 0.5}
    answer = function.invoke(asked)
    assert answer["status"] == "queued"
    assert 0 < answer["progress"] < 1
    source = system.source(function.invoke)
    assert source.turn() == {"batchItemFailures": []}
    assert function.invoke({"job_id": "j"})["result"] == {"total": 465}


def test_a_call_that_lambda_repeats_is_the_same_job(system: System, function: Function) -> None:
    """An asynchronous invocation that Lambda tries again would compute everything twice."""
    asked = {"kernel": "adder", "params": {"steps": 4}}
    first = function.invoke(asked, request_id="r-1")
    assert function.invoke(asked, request_id="r-1")["job_id"] == first["job_id"]
    assert function.invoke(asked, request_id="r-2")["job_id"] != first["job_id"]
    assert len(list(system.client.records())) == 2


@pytest.mark.parametrize(
    ("event", "kind", "complaint"),
    [
        ({"position": 0}, "InvalidRequest", "position: "),
        ({"kernel": "adder", "params": {"steps": "x"}}, "InvalidParams", "steps"),
        ({"kernel": "none"}, "UnknownKernel", "'none'"),
        ({"job_id": "never-was"}, "UnknownJob", "never-was"),
        ({"job_id": "j", "spare": 1}, "InvalidRequest", "spare: "),
        ({}, "InvalidRequest", "'job_id'"),
        ([], "InvalidRequest", "'job_id'"),
        ({"Records": [{"eventSource": "aws:s3"}]}, "InvalidRequest", "SQS"),
        ({"Records": None}, "InvalidRequest", "the Records of a batch are a list"),
        ({"Records": "jobs"}, "InvalidRequest", "the Records of a batch are a list"),
        ({"Records": {"body": "x"}}, "InvalidRequest", "the Records of a batch are a list"),
        ({"Records": ["jobs", None]}, "InvalidRequest", "another source than SQS"),
    ],
)
def test_bad_input_is_told_and_nothing_is_done(
    system: System, function: Function, event: Any, kind: str, complaint: str
) -> None:
    """A person would not learn what to correct, or half a job would be left."""
    answer = function.api.invoke(event)
    assert answer.kind == "error"
    assert answer.body["errorType"] == kind
    assert complaint in answer.body["errorMessage"]
    assert list(system.client.records()) == []


def test_only_the_messages_at_fault_come_again(system: System, function: Function) -> None:
    """One bad message would make SQS deliver all others of its batch again, for nothing."""
    system.client.create("adder", {"steps": 3}, job_id="good")
    bodies = {
        "foreign": "hello",
        "unknown": '{"job_id": "never-was", "slice": 1}',
        "good": '{"job_id": "good", "slice": 1}',
    }
    records = [
        record_of({"MessageId": name, "ReceiptHandle": name, "Body": body})
        for name, body in bodies.items()
    ]
    answer = function.invoke({"Records": records})
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert failed == ["foreign", "unknown"]
    assert system.record("good").status is Status.SUCCEEDED


def without(name: str, message_id: str) -> dict[str, Any]:
    """Return a record of SQS that lacks one of its fields."""
    record = record_of({"MessageId": message_id, "ReceiptHandle": "r", "Body": "hello"})
    del record[name]
    return record


def test_a_record_that_is_none_keeps_no_other_one_from_its_slice(
    system: System, function: Function
) -> None:
    """A malformed record would take all good messages of its batch to the dead-letter queue."""
    system.client.create("adder", {"steps": 3}, job_id="good")
    body = '{"job_id": "good", "slice": 1}'
    good = record_of({"MessageId": "good", "ReceiptHandle": "good", "Body": body})
    named = [without(name, name) for name in ("body", "receiptHandle", "eventSource")]
    answer = function.invoke({"Records": [*named, good]})
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert failed == ["body", "receiptHandle", "eventSource"]
    assert system.record("good").status is Status.SUCCEEDED


@pytest.mark.parametrize("nameless", [without("messageId", "x"), "jobs"])
def test_a_record_without_an_id_makes_its_batch_come_again(
    system: System, function: Function, nameless: object
) -> None:
    """SQS would delete a message that nobody has looked at."""
    system.client.create("adder", {"steps": 3}, job_id="good")
    body = '{"job_id": "good", "slice": 1}'
    good = record_of({"MessageId": "good", "ReceiptHandle": "good", "Body": body})
    answer = function.api.invoke({"Records": [nameless, good]})
    assert answer.kind == "error"
    assert "without a messageId" in answer.body["errorMessage"]
    assert system.record("good").status is Status.SUCCEEDED


def test_a_batch_shares_the_time(system: System, function: Function) -> None:
    """The first job of a batch would use up the time, and the others be tried for nothing."""
    function.invoke({"position": 1})  # so that its start takes none of the time
    records = []
    for name in ("a", "b"):
        params = {"steps": 1000, "step_seconds": 0.02}
        system.client.create("adder", params, job_id=name)
        body = json.dumps({"job_id": name, "slice": 1})
        records.append(record_of({"MessageId": name, "ReceiptHandle": name, "Body": body}))
    answer = function.invoke({"Records": records}, timeout_seconds=4.0)
    assert answer == {"batchItemFailures": []}
    for name in ("a", "b"):
        assert system.record(name).usage.steps > 10


def test_a_lost_message_is_found_by_the_sweep(system: System) -> None:
    """A job whose message was lost would wait for ever."""
    system.client.create("adder", {"steps": 3}, job_id="lost")
    env = system.env | {"OUTLAST_SWEEP_SECONDS": "0.001"}
    with lambda_api.function(system.folder, env) as function:
        assert function.invoke({"sweep": True}) == {"woken": ["lost"]}
        source = system.source(function.invoke)
        assert source.turn() == {"batchItemFailures": []}
    assert system.client.result("lost") == {"total": 6}


def test_sigterm_saves_the_slice(system: System, function: Function) -> None:
    """Where an extension lets SIGTERM through, what was done since the last save would be lost."""
    stepped = system.folder / "stepped"
    params = {"steps": 10**6, "step_seconds": 0.005, "stepped": str(stepped)}
    function.api.begin({"kernel": "adder", "params": params, "job_id": "j"})
    function.program.wait_until(stepped.exists)
    os.kill(function.program.process.pid, signal.SIGTERM)
    answer = function.api.answers.get(timeout=30)
    assert answer.kind == "response"
    assert system.record("j").status is Status.QUEUED
    assert system.record("j").usage.steps > 0


def test_the_extension_registers_for_the_end_only() -> None:
    """SIGTERM would never come, or the extension be woken, and billed, at every invocation."""
    with lambda_api.api() as server:
        env = {"AWS_LAMBDA_RUNTIME_API": server.address}
        with subprocess.Popen([sys.executable, EXTENSION], env=env) as process:
            registered = server.registered.get(timeout=30)
            assert registered == ("outlast-stop", {"events": ["SHUTDOWN"]})
            server.shutdown_event.set()
            assert process.wait(30) == 0


def test_a_missing_setting_is_named_at_the_start(system: System) -> None:
    """Jobs would be kept on the function's own disk and be gone with it."""
    del system.env["OUTLAST_STORE"]
    with lambda_api.function(system.folder, system.env) as function:
        answer = function.api.answers.get(timeout=30)
    assert answer.kind == "init/error"
    assert "OUTLAST_STORE" in answer.body["errorMessage"]


# What some invocations need, or other workers.
LATE = {
    "boto3",
    "llvmlite",
    "numba",
    "numpy",
    "sqlite3",
    "outlast.worker.jobs.forking",
    "outlast.worker.jobs.sweep",
    "outlast.worker.jobs.waiting",
    "outlast.worker.loops.consumer",
    "outlast.worker.slices.isolation.parent",
}
READY = """
import gc, sys, outlast.worker.lambda_handler
from pydantic import BaseModel

def built(model):
    if model.__pydantic_complete__ and model.__module__.startswith("outlast"):
        yield model.__name__
    for each in model.__subclasses__():
        yield from built(each)

print(gc.isenabled(), *sys.modules)
print(*built(BaseModel))
"""


def test_a_handler_is_ready_with_what_every_invocation_needs(system: System) -> None:
    """Every cold start would take longer; with what is compiled, by a quarter of a second."""
    command, env = [sys.executable, "-c", READY], os.environ | system.env
    ran = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    first, last = ran.stdout.splitlines()
    collects, *modules = first.split()
    assert LATE & {*modules} == set()
    assert {"Record", "Head", "Body", "Mark", "Turn", "Submit"} & {*last.split()} == set()
    assert len(last.split()) <= 19, "each of them takes a third of a millisecond"
    assert collects == "True", "kernels leave garbage behind"


def test_a_function_takes_no_queue_by_default(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs would send their continuations to Redis, from where none comes back to the function."""
    from outlast.worker.lambda_handler import settings_of

    monkeypatch.setenv("OUTLAST_STORE", system.env["OUTLAST_STORE"])
    monkeypatch.delenv("OUTLAST_QUEUE")
    with pytest.raises(InvalidSettings, match=r"^set OUTLAST_QUEUE: only SQS brings messages"):
        settings_of({})


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize(
    ("megabytes", "threads"), [(128, 1), (1769, 1), (3008, 2), (5307, 3), (10_240, 6)]
)
def test_threads_follow_from_the_memory_size(
    monkeypatch: pytest.MonkeyPatch, megabytes: int, threads: int
) -> None:
    """Cores that are paid for would be idle, or share their time with threads too many."""
    from outlast.worker.lambda_handler import settings_of

    size = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(megabytes)}
    assert settings_of(size).threads == threads
    monkeypatch.setenv("OUTLAST_THREADS", "5")
    assert settings_of(size).threads == 5
