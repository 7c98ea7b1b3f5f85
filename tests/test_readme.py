"""What the README and docs/usage.md show works as it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.worker.settings import PREFIX

ROOT = Path(__file__).parent.parent
README, USAGE = ROOT / "README.md", ROOT / "docs/usage.md"
LIMIT_SECONDS = 120


def blocks(language: str, page: Path = README) -> list[str]:
    """Return the code blocks of `language`, in order."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A new user's environment: no settings, an empty data folder, `outlast` on the path."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{rest['PATH']}"
    return rest | {"PATH": path, "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}


def run(words: list[str], environment: dict[str, str]) -> str:
    """Run a command that must succeed; return its standard output."""
    process = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_the_commands_answer_as_shown(environment: dict[str, str]) -> None:
    """A stranger's first minute would fail, or end in another answer than the page shows."""
    commands = _commands("\n".join(blocks("console")))
    assert len(commands) >= 4
    for command, answer in commands:
        assert run(command, environment).splitlines() == answer, command


def test_the_job_shown_takes_several_slices(environment: dict[str, str]) -> None:
    """A reader who repeats the first example would not see a job outlast its workers."""
    transcript = blocks("console")[0]
    command = _commands(transcript)[0][0]
    slow = [*command[:-1], "slow", "--slice-seconds", "0.2"]  # however fast the machine is
    process = subprocess.run(
        slow, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
    )
    line = re.compile(r"outlast: job \w+ slice \d+ ended at \d+\.\d\d% after \d+\.\d\d s: \w+")
    assert len(line.findall(transcript)) >= 3
    assert len(line.findall(process.stderr)) >= 3


def test_the_python_example_runs(environment: dict[str, str], tmp_path: Path) -> None:
    """A reader who copies the six lines would get an error in place of a prime."""
    example, *_ = blocks("python", USAGE)
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
    for part in ("class Sum", "assert_resumable"):
        exec(next(block for block in blocks("python") if part in block), names)


@pytest.mark.chaos
def test_the_demonstration_shows_what_it_says(environment: dict[str, str]) -> None:
    """A newcomer's first command would fail, or lose nothing because nothing was at stake."""
    there = environment | {"BIN": str(Path(sys.executable).parent)}
    shown = run(["sh", str(ROOT / "docs/demo.sh")], there)
    assert re.search(r"^ +\d+ .* lost$", shown, re.MULTILINE)
    assert re.search(r"^exponent=\d+ is_prime=true", shown, re.MULTILINE)
    assert "position=1000000000000000 prime=37124508045065437" in shown


def _commands(transcript: str) -> list[tuple[list[str], list[str]]]:
    """Return each command after a `$` with the lines of its answer; notices go to stderr."""
    commands: list[tuple[list[str], list[str]]] = []
    for line in transcript.splitlines():
        if line.startswith("$ "):
            commands.append((shlex.split(line[2:]), []))
        elif line and not line.startswith("outlast: "):
            commands[-1][1].append(line)
    return commands
