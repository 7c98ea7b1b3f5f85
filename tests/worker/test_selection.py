"""Which jobs a list shows and a prune removes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outlast.checkpoint.record import Record
from outlast.worker.jobs.selection import Selection, format_duration, parse_duration

NOW = 1_000_000.0
JOB = Record(
    job_id="a", kernel="k", params={}, tags=("x", "y"), created_at=0, updated_at=NOW - 3600
)
FITTING = Selection(
    statuses={"queued", "failed"},
    kernel="k",
    tags={"x", "y"},
    older_than_seconds=3599,
    newer_than_seconds=3601,
)


def test_without_a_filter_all_jobs_are_meant() -> None:
    """A job would be missing from the list."""
    assert Selection().takes(JOB, NOW)


def test_a_job_must_fit_every_filter() -> None:
    """A prune would remove jobs that a person wants to keep."""
    assert FITTING.takes(JOB, NOW)
    for change in (
        {"statuses": {"failed"}},
        {"kernel": "l"},
        {"tags": {"x", "z"}},
        {"older_than_seconds": 3600},
        {"newer_than_seconds": 3600},
    ):
        assert not replace(FITTING, **change).takes(JOB, NOW), change


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("90s", 90, "90s"),
        ("0s", 0, "0s"),
        ("15m", 900, "15m"),
        ("1.5h", 5400, "90m"),
        ("7d", 604_800, "1w"),
        ("30d", 2_592_000, "30d"),
        ("0.5s", 0.5, "0.5s"),
        ("1234567.25s", 1_234_567.25, "1234567.25s"),
    ],
)
def test_a_duration_is_read_and_written(text: str, seconds: float, shown: str) -> None:
    """Jobs of another age would be meant than the person said."""
    assert parse_duration(text) == seconds
    assert format_duration(seconds) == shown
    assert parse_duration(shown) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "d", "-1", "1y", "1 d", "1d12h", "nan", "inf", "1e9", "٣d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A slip would prune jobs of any age."""
    with pytest.raises(ValueError, match="is no duration: write 90s"):
        parse_duration(text)
