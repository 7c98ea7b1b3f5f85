"""A deployment that is well; each test breaks one part of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from outlast.worker.doctor.examine import examine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outlast.worker.doctor.finding import Finding


def problems(findings: dict[str, Finding], *subjects: str) -> dict[str, str]:
    """Return the level of each finding about these subjects that is not ok."""
    return {
        name: str(finding.level)
        for name, finding in findings.items()
        if finding.level != "ok" and name.startswith(subjects or "")
    }


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep jobs and messages in a folder of this test, without the tester's own settings."""
    for name in [name for name in os.environ if name.startswith(("OUTLAST_", "RUNPOD_"))]:
        monkeypatch.delenv(name)
    url = f"sqlite:///{tmp_path / 'outlast.db'}"
    monkeypatch.setenv("OUTLAST_STORE", url)
    monkeypatch.setenv("OUTLAST_QUEUE", url)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run_doctor(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Finding]]:
    """Examine with these variables set; return the findings by their checks."""

    def run(
        function: str | None = None,
        endpoint: str | None = None,
        *,
        stack: str | None = None,
        every: bool = False,
        **variables: str,
    ) -> dict[str, Finding]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        findings = list(examine(function=function, endpoint=endpoint, stack=stack, every=every))
        for finding in findings:
            is_well = finding.level == "ok"
            assert is_well == (not finding.breaks) == (not finding.mend), finding
        assert len(set(findings)) == len(findings), "a finding is repeated"
        return {finding.check: finding for finding in findings}

    return run
