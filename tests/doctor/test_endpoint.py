"""An endpoint at RunPod, as a small server of that interface describes it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from outlast.worker.doctor.finding import ok
from outlast.worker.doctor.runpod_endpoint import EndpointExamination
from outlast.worker.jobs.client import Client
from tests.doctor.between import Answer, Request, between
from tests.doctor.conftest import problems
from tests.servers import HOST, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from outlast.worker.doctor.finding import Finding

KEY = "rpa-key-of-this-test"
STORE, QUEUE = "redis://h:6379/0", "sqs://jobs"
WELL: dict[str, Any] = {
    "id": "abc",
    "name": "outlast",
    "executionTimeoutMs": 3_600_000,
    "workersMin": 0,
    "workersMax": 3,
    "idleTimeout": 5,
    "env": {},
    "template": {"env": {"OUTLAST_STORE": STORE, "OUTLAST_QUEUE": QUEUE}},
}


@contextmanager
def runpod(**change: Any) -> Iterator[str]:
    """Run the interface with one endpoint, well but for `change`; give its URL."""

    def answer(request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Answer(401, b"{}")
        if request.path != "/v1/endpoints/abc?includeTemplate=true":
            return Answer(404, b"{}")
        return Answer(200, json.dumps(WELL | change).encode())

    with between(answer) as url:
        yield f"{url}/v1"


@pytest.fixture
def look(run_doctor: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Examine the endpoint; return what is found about it."""
    monkeypatch.setenv("OUTLAST_STORE", STORE)
    monkeypatch.setenv("OUTLAST_QUEUE", QUEUE)
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{free_ports(1)[0]}")
    # Neither is there; nobody needs to wait for that.
    monkeypatch.setattr("outlast.worker.doctor.examine.store_checks", lambda _: [])
    monkeypatch.setattr("outlast.worker.doctor.sqs_queue.SqsExamination.checks", lambda _: [])
    monkeypatch.setattr(f"{EndpointExamination.__module__}.parallel_finding", no_job_is_divided)

    def run(url: str, endpoint: str = "abc") -> dict[str, Any]:
        findings = run_doctor(endpoint=endpoint, RUNPOD_REST_API_URL=url)
        assert KEY not in str(findings)
        return {name: f for name, f in findings.items() if name.startswith("endpoint.")}

    return run


def test_an_endpoint_that_is_well(look: Any) -> None:
    """Doctor would cry wolf."""
    with runpod() as url:
        findings = look(url)
    assert problems(findings) == {}
    assert {f"endpoint.{name}" for name in ("timeout", "workers", "idle", "store", "queue")} <= set(
        findings
    )


SECRET = {"OUTLAST_STORE": "{{ RUNPOD_SECRET_store }}"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"executionTimeoutMs": 300_000}, {"endpoint.timeout": "error"}),
        ({"executionTimeoutMs": None}, {}),  # RunPod's own 600 s
        ({"workersMax": 0}, {"endpoint.workers": "error"}),
        ({"workersMin": 1}, {"endpoint.workers": "warning"}),
        ({"idleTimeout": 600}, {"endpoint.idle": "warning"}),
        (
            {"template": None},
            {"endpoint.store": "error", "endpoint.queue": "error"},
        ),
        ({"env": {"OUTLAST_QUEUE": "sqs://other"}}, {"endpoint.queue": "error"}),
        ({"env": {"OUTLAST_STORE": "redis://other/0"}}, {"endpoint.store": "warning"}),
        ({"env": {"OUTLAST_STORE": "redis://u:p@h/1"}}, {"endpoint.store": "error"}),
        ({"env": {"OUTLAST_STORE": "redis://u:p@h"}}, {}),
        ({"env": SECRET}, {"endpoint.store": "unknown"}),
        ({"template": None, "env": {"OUTLAST_STORE": STORE}}, {"endpoint.queue": "error"}),
        ({"env": {"OUTLAST_SPEED": "11"}}, {"endpoint.settings": "error"}),
    ],
)
def test_an_endpoint_with_a_fault(
    change: dict[str, Any], expected: dict[str, str], look: Any
) -> None:
    """Calls would be ended before they save, never run, or be paid for while they idle."""
    with runpod(**change) as url:
        assert problems(look(url)) == expected


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"OUTLAST_STORE": STORE}, {}),
        ({"OUTLAST_STORE": STORE, "OUTLAST_QUEUE": f"{STORE}/jobs"}, {}),
        ({"OUTLAST_STORE": STORE, "OUTLAST_QUEUE": f"{STORE}/more"}, {"endpoint.queue": "error"}),
        (SECRET, {"endpoint.store": "unknown", "endpoint.queue": "unknown"}),
        ({"OUTLAST_STORE": "s3://bucket"}, {"endpoint.store": "error", "endpoint.queue": "error"}),
    ],
)
def test_an_endpoint_whose_store_is_its_queue(
    env: dict[str, str], expected: dict[str, str], look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor would say that no worker starts, of a fleet that one variable has made."""
    monkeypatch.delenv("OUTLAST_QUEUE")
    monkeypatch.setattr("outlast.worker.doctor.redis_queue.RedisExamination.checks", lambda _: [])
    with runpod(template=None, env=env) as url:
        assert problems(look(url)) == expected


def no_job_is_divided(check: str, *_: object, **__: object) -> Finding:
    """Look at no store."""
    return ok(check, "no open job is divided")


@pytest.mark.parametrize(("parallel", "expected"), [(3, "ok"), (12, "warning")])
def test_a_job_for_more_workers_than_there_may_be(
    parallel: int, expected: str, run_doctor: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A person would wait four times as long, and look for the fault in the job."""
    store = f"sqlite:///{tmp_path}/jobs.db"
    Client(store).create("nth-prime", {"position": 10**9}, job_id="a", parallel=parallel)
    monkeypatch.setenv("OUTLAST_STORE", store)
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    with runpod() as url:
        finding = run_doctor(endpoint="abc", RUNPOD_REST_API_URL=url)["endpoint.parallel"]
    assert finding.level == expected
    if expected == "warning":
        assert finding.found == "job a is meant for 12 workers, and 3 may run at once"
        assert '{"workersMax": N}' in finding.mend


def test_an_endpoint_that_is_not_there(look: Any) -> None:
    """A typo would be told as four errors."""
    with runpod() as url:
        assert problems(look(url, "xyz")) == {"endpoint.reach": "error"}


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_key_that_may_not_look(key: str, look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no key would be told of errors that are none."""
    monkeypatch.setenv("RUNPOD_API_KEY", key)
    with runpod() as url:
        findings = look(url)
    assert problems(findings) == {"endpoint.look": "unknown"}
    assert "RUNPOD_API_KEY" in findings["endpoint.look"].found


def test_an_interface_that_is_down(look: Any) -> None:
    """A person would correct an id that is right."""
    with between(lambda _: Answer(503, b"")) as url:
        findings = look(url)
    assert problems(findings) == {"endpoint.reach": "error"}
    assert "HTTP 503" in findings["endpoint.reach"].found
    assert "id" not in findings["endpoint.reach"].mend.split()


def test_an_interface_that_does_not_answer(look: Any) -> None:
    """A person would search for the fault in the endpoint."""
    url = f"http://{HOST}:{free_ports(1)[0]}"
    findings = look(url)
    assert problems(findings) == {"endpoint.reach": "error"}
    assert "RUNPOD_REST_API_URL" in findings["endpoint.reach"].mend
