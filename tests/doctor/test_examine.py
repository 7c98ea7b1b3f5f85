"""A check that fails hides no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outlast.worker.doctor.examine import has_errors, run_checks
from outlast.worker.doctor.finding import Denied, Unreachable, ok, unknown, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.doctor.finding import Finding


def well() -> Iterator[Finding]:
    """Find nothing wrong."""
    yield ok("thing.well", "it is")


def failing(error: Exception) -> Iterator[Finding]:
    """Find one thing, then fail."""
    yield ok("thing.first", "it is")
    raise error


@pytest.mark.parametrize("error", [Denied("may not"), KeyError("QueueArn"), OSError("no disk")])
def test_a_check_that_fails_hides_no_other(error: Exception) -> None:
    """One surprising answer of a service would leave all else unsaid."""
    findings = list(run_checks("thing", [lambda: failing(error), well]))
    assert [(f.check, f.level) for f in findings] == [
        ("thing.first", "ok"),
        ("thing.look", "unknown"),
        ("thing.well", "ok"),
    ]
    assert "may not" in findings[1].found or type(error).__name__ in findings[1].found


def test_an_unreachable_subject_is_one_finding() -> None:
    """One dead server would fill the screen."""
    gone = Unreachable("not there", mend="start it")
    findings = list(run_checks("thing", [lambda: failing(gone), well]))
    assert [(f.check, f.level) for f in findings] == [
        ("thing.first", "ok"),
        ("thing.reach", "error"),
    ]


def test_one_missing_right_is_one_finding() -> None:
    """The same line three times would look like three faults."""
    findings = list(run_checks("thing", [lambda: failing(Denied("may not"))] * 3))
    assert [f.level for f in findings].count("unknown") == 1


def test_only_errors_fail() -> None:
    """A script would stop a deployment for a warning, or go on after an error."""
    harmless = [
        ok("a", ""),
        warning("a", "", breaks="", mend=""),
        unknown("a", "", mend=""),
    ]
    assert not has_errors(harmless)
    assert has_errors([*harmless, *run_checks("a", [lambda: failing(Unreachable("", mend=""))])])
