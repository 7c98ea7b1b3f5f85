"""What the README shows is done, as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.worker.settings import PREFIX, Settings

README = Path(__file__).parent.parent / "README.md"
LIMIT_SECONDS = 120


def blocks(language: str) -> list[str]:
    """Return the code blocks of `language`, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A new user's environment: no settings, an empty data folder, `outlast` on the path."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    return own | {"PATH": path, "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}


def run(words: list[str], environment: dict[str, str]) -> str:
    """Run a command that must succeed; return its standard output."""
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_commands_answer_as_shown(environment: dict[str, str]) -> None:
    """A stranger's first minute would fail, or end in another answer than the page shows."""
    shown = 0
    for command, answer in _commands("\n".join(blocks("console"))):
        shown += 1
        assert run(command, environment).splitlines() == answer, command
    assert shown >= 4


def test_the_job_shown_takes_several_slices(environment: dict[str, str]) -> None:
    """The page would show a job that outlasts its workers, and the reader see one that need not."""
    shown = blocks("console")[0]
    command = _commands(shown)[0][0]
    slow = [*command[:-1], "slow", "--slice-seconds", "0.2"]  # however fast the machine is
    done = subprocess.run(
        slow, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
    )
    line = re.compile(r"outlast: job \w+ slice \d+ ended at \d+\.\d\d% after \d+\.\d\d s: \w+")
    assert len(line.findall(shown)) >= 3
    assert len(line.findall(done.stderr)) >= 3


def test_the_python_example_runs(environment: dict[str, str], tmp_path: Path) -> None:
    """A reader who copies the six lines would get an error in place of a prime."""
    example = next(block for block in blocks("python") if "Client" in block)
    assert len(example.strip().splitlines()) <= 6
    script = tmp_path / "example.py"
    script.write_text(example)
    with subprocess.Popen(["outlast", "worker"], env=environment, stderr=subprocess.DEVNULL) as w:
        try:
            answer = run([sys.executable, str(script)], environment)
        finally:
            w.terminate()
    assert "15485863" in answer
    assert answer.splitlines()[1:] == ["1 2", "10 29", "100 541", "1000 7919"]
    assert w.returncode == 0


def test_the_kernel_shown_can_be_stopped_anywhere() -> None:
    """An author who begins with the kernel shown would begin with a wrong one."""
    names: dict[str, object] = {"__name__": "example"}
    for wanted in ("class Sum", "assert_resumable"):
        exec(next(block for block in blocks("python") if wanted in block), names)


def test_all_settings_are_listed() -> None:
    """An operator would not find a setting, or set one that does not exist."""
    listed = set(re.findall(rf"^\| `({PREFIX}\w+)`", README.read_text(), re.MULTILINE))
    assert listed == {PREFIX + name.upper() for name in Settings.model_fields}


def _commands(shown: str) -> list[tuple[list[str], list[str]]]:
    """Return each command after a `$` with the lines of its answer; notices go to stderr."""
    commands: list[tuple[list[str], list[str]]] = []
    for line in shown.splitlines():
        if line.startswith("$ "):
            commands.append((shlex.split(line[2:]), []))
        elif line and not line.startswith("outlast: "):
            commands[-1][1].append(line)
    return commands


def test_every_link_leads_somewhere() -> None:
    """A reader would meet a page that is not there."""
    root = README.parent
    pages = [README, *root.glob("docs/*.md"), *root.glob("deploy/*.md"), *root.glob("*.md")]
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"
