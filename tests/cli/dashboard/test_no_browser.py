"""The tests in a browser, on a machine that has none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("ci", "word", "code"),
    [("", "SKIPPED", pytest.ExitCode.OK), ("true", "ERROR", pytest.ExitCode.INTERRUPTED)],
)
def test_without_a_browser_they_are_skipped_in_one_line_but_not_in_ci(
    ci: str, word: str, code: int, tmp_path: Path
) -> None:
    """A newcomer's `make test` would fail, or the dashboard land without having been opened."""
    nowhere = {"PATH": str(tmp_path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path), "CHROMIUM": ""}
    tests = ["tests/cli/dashboard/test_browser.py", "tests/cli/dashboard/test_words.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *tests],
        cwd=ROOT,
        env={**os.environ, **nowhere, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )
    summary = done.stdout.partition("short test summary info")[2]
    lines = [line.split()[0] for line in summary.splitlines() if "dashboard" in line]
    assert (lines, done.returncode) == ([word], code), done.stdout
