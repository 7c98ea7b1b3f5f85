"""Settings that are valid each, and wrong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.worker.doctor import settings as doctor
from outlast.worker.doctor.settings import settings_findings
from outlast.worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outlast.worker.doctor.finding import Finding

FILE, REDIS, SQS = "sqlite:///a.db", "redis://h/0", "sqs://jobs"


def level(store: str, queue: str, *, is_remote: bool = False, **environment: str) -> str:
    """Return how bad doctor finds these two places."""
    settings = Settings(store=store, queue=queue)
    findings = list(settings_findings(settings, is_remote=is_remote, environment=environment))
    return next(f.level for f in findings if f.check == "settings.places")


@pytest.mark.parametrize(
    ("store", "queue", "expected"),
    [
        (FILE, FILE, "ok"),
        (REDIS, SQS, "ok"),
        (REDIS, REDIS, "ok"),
        (REDIS, FILE, "warning"),  # findings by a sweep only
        (FILE, SQS, "error"),
        (FILE, REDIS, "error"),
    ],
)
def test_a_store_and_a_queue_that_others_see(store: str, queue: str, expected: str) -> None:
    """Workers elsewhere would be woken for jobs that they cannot see, or never."""
    assert level(store, queue) == expected


@pytest.mark.parametrize("variable", ["AWS_LAMBDA_FUNCTION_NAME", "RUNPOD_WEBHOOK_GET_JOB"])
def test_a_file_on_a_disk_that_does_not_last(variable: str) -> None:
    """All jobs would be gone with the machine, and nobody would know why."""
    assert level(FILE, FILE, **{variable: "f"}) == "error"
    assert level(REDIS, SQS, **{variable: "f"}) == "ok"
    assert level(FILE, FILE, is_remote=True) == "error"


def test_more_threads_than_cores() -> None:
    """Kernels would be slow, and the machine look too small."""
    findings = settings_findings(
        Settings(store=FILE, queue=FILE, threads=1024), is_remote=False, environment={}
    )
    assert [f.level for f in findings if f.check == "settings.threads"] == ["warning"]


@pytest.mark.parametrize(("name", "levels"), [("outlast", ["warning"]), ("docker-init", [])])
def test_a_container_without_an_init(
    name: str, levels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zombies would pile up in it until it can start no process."""
    monkeypatch.setattr(doctor, "FIRST_PROCESS", tmp_path / "comm")
    (tmp_path / "comm").write_text(f"{name}\n")
    findings = settings_findings(Settings(store=FILE, queue=FILE), is_remote=False)
    assert [f.level for f in findings if f.check == "settings.init"] == levels


@pytest.mark.parametrize(
    ("subject", "url"), [("store", "postgres://me:s3cret@db"), ("queue", "kafka://q")]
)
def test_a_place_of_no_known_kind(
    subject: str, url: str, run_doctor: Callable[..., dict[str, Finding]]
) -> None:
    """A typo would be told as a network that is down."""
    every = run_doctor(**{f"OUTLAST_{subject.upper()}": url})
    assert "settings.places" not in every, "it would be taken for one that others see"
    findings = every[f"{subject}.reach"]
    assert findings.level == "error"
    assert "sqlite:///path" in findings.found + findings.mend
    assert "s3cret" not in str(findings)


@pytest.mark.parametrize(
    ("name", "value"), [("OUTLAST_SPEED", "11"), ("OUTLAST_SLICE_SECONDS", "soon")]
)
def test_a_setting_that_stops_the_start(
    name: str, value: str, run_doctor: Callable[..., dict[str, Finding]]
) -> None:
    """Doctor itself would not start, though it is there to tell."""
    findings = run_doctor(**{name: value})
    assert list(findings) == ["settings.values"]
    assert findings["settings.values"].level == "error"
    assert name in findings["settings.values"].found
