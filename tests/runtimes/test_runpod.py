"""Our RunPod handler under RunPod's own SDK."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.status import Status
from outlast.worker.jobs.client import Client
from outlast.worker.runpod_handler import Handler
from outlast.worker.slices.worker_process import make_process
from tests import servers
from tests.kernels import ROOT
from tests.runtimes import runpod_jobs
from tests.runtimes.programs import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runtimes.programs import Program
    from tests.runtimes.runpod_jobs import JobServer
    from tests.runtimes.system import System

DEPLOY = ROOT / "deploy/runpod"


@pytest.fixture
def worker(system: System) -> Iterator[tuple[JobServer, Program]]:
    """The SDK's production loop."""
    with runpod_jobs.worker(system.folder, system.env) as worker:
        yield worker


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"kernel": "adder", "params": {"steps": 4}}, 0, "'total': 10"),
        ({"position": 0}, 1, "InvalidRequest: position: "),
        ({"kernel": "none"}, 1, "UnknownKernel: "),
        ({"job_id": "never-was"}, 1, "UnknownJob: "),
        ({"drain": True, "max_seconds": -1}, 1, "InvalidRequest: max_seconds: "),
        ({"nonsense": 1}, 1, "InvalidRequest: "),
    ],
)
def test_a_trial_on_the_command_line(system: System, asked: Any, code: int, words: str) -> None:
    """A build that tries its image out would pass a broken one, or fail a good one."""
    command = [*runpod_jobs.COMMAND, "--test_input", json.dumps({"input": asked})]
    ran = subprocess.run(
        command, env=runpod_jobs.sdk_env(system.env), capture_output=True, text=True, check=False
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert words in ran.stdout


NO_PARTS = 'InvalidRequest: a job of RunPod has an "id" and an "input"'
TO_NOBODY = {"kernel": "nth-prime", "params": {"position": 5}, "notify": ["ftp://x"]}


@pytest.mark.parametrize(
    ("job", "complaint"),
    [
        ({}, NO_PARTS),
        ({"id": "1"}, NO_PARTS),
        ({"input": {"position": 5}}, NO_PARTS),
        ({"id": "1", "input": None}, "InvalidRequest: a request is a JSON object with one of the"),
        ({"id": "1", "input": TO_NOBODY}, "InvalidTarget: notify 'ftp://x': give sqs://"),
    ],
)
def test_a_job_that_cannot_be_right_is_told_in_one_line(
    system: System, job: dict[str, Any], complaint: str
) -> None:
    """A person would get the traceback of an internal error, and not what to correct."""
    process = make_process(system.client.settings, system.client.jobs, system.client.queue)
    answer = Handler(system.client, process, lambda _job, _progress: None).handle(job)
    assert answer["error"].startswith(complaint)
    assert "\n" not in answer["error"]


def test_the_input_that_the_hub_tries_is_a_good_one(system: System) -> None:
    """The listing on RunPod's Hub would be refused, or its users begin with an error."""
    (system.folder / "test_input.json").write_text((DEPLOY / "test_input.json").read_text())
    ran = subprocess.run(
        runpod_jobs.COMMAND,
        env=runpod_jobs.sdk_env(system.env),
        cwd=system.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "15485863" in ran.stdout


@pytest.mark.parametrize(("folder", "machine"), [("runpod", "CPU"), ("gpu", "GPU")])
def test_what_the_hub_reads_is_whole(folder: str, machine: str) -> None:
    """The listing on RunPod's Hub would be refused, or its tests run on the wrong machines."""
    hub, tests = (
        json.loads((ROOT / "deploy" / folder / ".runpod" / name).read_text())
        for name in ("hub.json", "tests.json")
    )
    assert hub["config"]["runsOn"] == machine
    for config in (hub["config"], tests["config"]):
        assert ("gpuCount" in config) == ("allowedCudaVersions" in config) == (machine == "GPU")
    assert hub["type"] == "serverless"
    assert {"title", "description", "category", "config"} <= hub.keys()
    assert all({"name", "input", "timeout"} <= test.keys() for test in tests["tests"])


def test_a_local_server_answers(system: System) -> None:
    """A person could not try the worker out over HTTP, as RunPod's guide tells them to."""
    port = servers.free_ports(1)[0]
    command = [*runpod_jobs.COMMAND, "--rp_serve_api", "--rp_api_port", str(port)]
    url = f"http://{servers.HOST}:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def is_up() -> bool:
        try:
            return bool(opener.open(f"{url}/docs", timeout=1).close() is None)
        except OSError:
            return False

    env = runpod_jobs.sdk_env(system.env)
    with running(command, log=system.folder / "serve.log", env=env) as program:
        program.wait_until(is_up)
        body = json.dumps({"input": {"kernel": "adder", "params": {"steps": 4}}}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/runsync", body, headers)
        with opener.open(request, timeout=60) as answer:
            reply = json.loads(answer.read())
    assert reply["status"] == "COMPLETED"
    assert reply["output"]["result"] == {"total": 10}


def test_a_call_submits_runs_tells_of_progress_and_answers(
    worker: tuple[JobServer, Program],
) -> None:
    """A RunPod user would not get their result, nor see how far it is."""
    server, program = worker
    answer = server.call({"kernel": "adder", "params": {"steps": 20}, "job_id": "j"})
    assert answer["output"]["result"] == {"total": 210}
    program.wait_until(lambda: bool(server.progress))
    assert server.progress[0]["job_id"] == "j"


def test_a_call_ends_in_its_time_and_the_job_goes_on(
    system: System, worker: tuple[JobServer, Program]
) -> None:
    """RunPod would end the call at its executionTimeout and count it as failed."""
    server, _ = worker
    params = {"steps": 40, "step_seconds": 0.05}
    asked = {"kernel": "adder", "params": params, "job_id": "j", "max_seconds": 0.7}
    assert server.call(asked)["output"]["status"] == "queued"
    drained = server.call({"drain": True})["output"]
    assert drained == {"drained": True, "jobs": ["j"]}
    assert system.client.result("j") == {"total": 820}


def test_one_variable_is_enough_where_it_names_redis(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet on RunPod would need an account at AWS, although its Redis could wake it."""
    del system.env["OUTLAST_QUEUE"]
    monkeypatch.delenv("OUTLAST_QUEUE")
    client = Client()
    client.submit("adder", job_id="j", steps=4)
    with runpod_jobs.worker(system.folder, system.env) as (server, _):
        assert server.call({"drain": True})["output"] == {"drained": True, "jobs": ["j"]}
    assert client.result("j") == {"total": 10}


def test_draining_ends_when_its_time_is_up(
    system: System, worker: tuple[JobServer, Program]
) -> None:
    """A call that drains a long queue would be ended by RunPod in the middle of a slice."""
    server, _ = worker
    system.client.submit("adder", job_id="j", steps=10**6, step_seconds=0.01)
    drained = server.call({"drain": True, "max_seconds": 1.5})["output"]
    assert drained == {"drained": False, "jobs": ["j"]}
    assert system.record("j").status is Status.QUEUED


def test_a_failed_job_is_an_error(worker: tuple[JobServer, Program]) -> None:
    """RunPod would show a call as completed whose job has failed."""
    server, _ = worker
    answer = server.call({"kernel": "adder", "params": {"steps": "x"}})
    assert answer["error"].startswith("InvalidParams: adder: ")


def test_sigterm_in_mid_slice_saves_it(system: System, worker: tuple[JobServer, Program]) -> None:
    """A worker that RunPod takes away would take the work since the last save with it."""
    server, program = worker
    stepped = system.folder / "stepped"
    params = {"steps": 10**6, "step_seconds": 0.005, "stepped": str(stepped)}
    server.calls.put({"id": "1", "input": {"kernel": "adder", "params": params, "job_id": "j"}})
    program.wait_until(stepped.exists)
    os.kill(program.process.pid, signal.SIGTERM)
    assert program.process.wait(60) == 0  # the SDK's own handler was called as well
    record = system.record("j")
    assert record.status is Status.QUEUED
    assert record.usage.steps > 0
    assert record.announced


def test_a_missing_setting_is_named_at_the_start(system: System) -> None:
    """Jobs would be kept on the worker's own disk and be gone with it."""
    del system.env["OUTLAST_STORE"]
    with runpod_jobs.worker(system.folder, system.env) as (_, program):
        assert program.process.wait(60) == 1
        assert "outlast: set OUTLAST_STORE: " in program.tail()
