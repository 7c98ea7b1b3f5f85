"""What our Lambda handler writes for CloudWatch, under AWS's runtime client and in its emulator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.runtimes import emulator, lambda_api
from tests.worker.emf_schema import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from tests.runtimes.system import System

SAID = "at work"
AS_DEPLOYED = {"OUTLAST_LOG_FORMAT": "json", "OUTLAST_METRICS": "emf"}


def objects(log: Path) -> list[dict[str, Any]]:
    """Return the lines of the log that are JSON objects."""
    lines = log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def check(lines: list[dict[str, Any]]) -> None:
    """Check what one job that took several slices has left in the log."""
    metrics = [line for line in lines if "_aws" in line]
    events = [line for line in lines if "event" in line]
    ended = [line for line in events if line["event"] == "slice_ended"]
    for document in metrics:
        jsonschema.validate(document, SCHEMA)
    assert [line["slice"] for line in ended] == list(range(1, len(ended) + 1))
    assert sum(line.get("SlicesEnded", 0) for line in metrics) == len(ended) > 1
    assert sum(line.get("JobsSucceeded", 0) for line in metrics) == 1
    assert all(line["platform"].startswith("lambda/") for line in ended)
    assert all(line["platform"].endswith("/1769") for line in metrics)
    assert all(line["requestId"] for line in ended)
    assert all(line["level"] == "INFO" and line["timestamp"].endswith("Z") for line in ended)
    said = [line for line in lines if line.get("message") == SAID]
    assert [(line["job_id"], line["slice"]) for line in said] == [
        ("j", line["slice"]) for line in ended
    ]
    assert all(line["requestId"] for line in said)


def work(system: System, invoke: Any) -> None:
    """Run a job of several slices."""
    source = system.source(invoke)
    system.client.submit("adder", job_id="j", steps=60, step_seconds=0.05, says=SAID)
    while not system.record("j").status.is_final:
        assert source.turn() == {"batchItemFailures": []}


@pytest.mark.parametrize("format_", ["Text", "JSON"])
def test_under_the_runtime_client(system: System, format_: str) -> None:
    """A line would be wrapped in another, or broken in two, and no metric be extracted."""
    system.env |= AS_DEPLOYED | {"AWS_LAMBDA_LOG_FORMAT": format_}
    with lambda_api.function(system.folder, system.env) as function:
        work(system, lambda event: function.invoke(event, timeout_seconds=2.0))
        check(objects(system.folder / "lambda.log"))


def test_in_the_emulator(system: System) -> None:
    """What is tested under a stand-in would not hold on the platform's own runtime."""
    system.env |= AS_DEPLOYED
    with emulator.function(system.folder, system.env, timeout_seconds=2) as function:
        work(system, function.invoke)
        check(objects(system.folder / "emulator.log"))


def test_a_log_turned_down_keeps_the_metrics(system: System) -> None:
    """Fewer log lines would mean no alarms."""
    system.env |= AS_DEPLOYED | {"OUTLAST_LOG_LEVEL": "ERROR"}
    with lambda_api.function(system.folder, system.env) as function:
        assert function.invoke({"kernel": "adder", "params": {"steps": 3}})["status"] == "succeeded"
        lines = objects(system.folder / "lambda.log")
    assert len(lines) == 2
    assert all("_aws" in line for line in lines)
