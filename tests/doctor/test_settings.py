"""Settings that are valid each, and wrong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.worker.doctor.settings import settings_findings
from outlast.worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.doctor.finding import Finding

FILE, REDIS, SQS = "sqlite:///a.db", "redis://h/0", "sqs://jobs"


def level(store: str, queue: str, *, is_remote: bool = False, **environment: str) -> str:
    """Return how bad doctor finds these two places."""
    settings = Settings(store=store, queue=queue)
    found = list(settings_findings(settings, is_remote=is_remote, environment=environment))
    return next(f.level for f in found if f.check == "settings.places")


@pytest.mark.parametrize(
    ("store", "queue", "expected"),
    [
        (FILE, FILE, "ok"),
        (REDIS, SQS, "ok"),
        (REDIS, FILE, "warning"),  # found by a sweep only
        (FILE, SQS, "error"),
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
    found = settings_findings(
        Settings(store=FILE, queue=FILE, threads=1024), is_remote=False, environment={}
    )
    assert [f.level for f in found if f.check == "settings.threads"] == ["warning"]


@pytest.mark.parametrize(
    ("subject", "url"), [("store", "postgres://me:s3cret@db"), ("queue", "kafka://q")]
)
def test_a_place_of_no_known_kind(
    subject: str, url: str, findings: Callable[..., dict[str, Finding]]
) -> None:
    """A typo would be told as a network that is down."""
    every = findings(**{f"OUTLAST_{subject.upper()}": url})
    assert "settings.places" not in every, "it would be taken for one that others see"
    found = every[f"{subject}.reach"]
    assert found.level == "error"
    assert "sqlite:///path" in found.found + found.mend
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    ("name", "value"), [("OUTLAST_SPEED", "11"), ("OUTLAST_SLICE_SECONDS", "soon")]
)
def test_a_setting_that_stops_the_start(
    name: str, value: str, findings: Callable[..., dict[str, Finding]]
) -> None:
    """Doctor itself would not start, though it is there to tell."""
    found = findings(**{name: value})
    assert list(found) == ["settings.values"]
    assert found["settings.values"].level == "error"
    assert name in found["settings.values"].found
