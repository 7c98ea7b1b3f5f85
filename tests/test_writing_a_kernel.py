"""What docs/writing-a-kernel.md and a new package's README show works, in a new environment."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from outlast.worker.cli.scaffolding import DIVISIBLE, FILES, TEMPLATE
from tests.new_user import environment_in, shell

ROOT = Path(__file__).parent.parent
FOLDER = "outlast/worker/cli/scaffold/"
PAGE = (ROOT / "docs/writing-a-kernel.md").read_text()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new user."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def environment(home: Path) -> dict[str, str]:
    """Their virtual environment."""
    return environment_in(home)


def blocks(language: str, text: str) -> list[str]:
    """Return the code blocks of `language`, in order."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


COMMANDS = [line[2:] for line in PAGE.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def output(home: Path, environment: dict[str, str]) -> list[str]:
    """What the commands of the page print."""
    return shell("\n".join(COMMANDS), home, environment).splitlines()


def test_the_page_leads_from_nothing_to_a_running_kernel(
    home: Path, environment: dict[str, str], output: list[str]
) -> None:
    """An author would give up in their first ten minutes."""
    (console,) = blocks("console", PAGE)
    assert [words.split()[0] for words in COMMANDS] == ["outlast", "cd", "pip", "pytest", "outlast"]
    answers = [line for line in console.splitlines() if not line.startswith("$ ")]
    assert [line for line in output if line in answers] == answers
    assert any(re.search(r"\b\d+ passed", line) for line in output)
    # The page's own tests run, too.
    tests = blocks("python", PAGE)
    assert len(tests) == 7
    for test in tests:
        (home / "longest-walk/test_of_the_page.py").write_text(test)
        assert "1 passed" in shell("pytest test_of_the_page.py", home / "longest-walk", environment)


def answers_of_readme(folder: Path, environment: dict[str, str]) -> list[str]:
    """Return what the second block of a new package's README prints, of a shorter job."""
    _, as_a_job = blocks("sh", (folder / "README.md").read_text())
    return shell(as_a_job.replace("1_000_000", "100_000"), folder, environment).splitlines()


@pytest.mark.usefixtures("output")
def test_the_readme_of_a_new_package_says_what_works(
    home: Path, environment: dict[str, str]
) -> None:
    """An author would meet a wrong command in their new folder."""
    folder = home / "longest-walk"
    first, _ = blocks("sh", (folder / "README.md").read_text())
    assert first.splitlines() == [words.replace(" --quiet", "") for words in COMMANDS[2:]]
    assert answers_of_readme(folder, environment) == ["longest", "start=77031 steps=350"]


def test_a_divisible_kernel_to_begin_with_works(home: Path, environment: dict[str, str]) -> None:
    """An author whose work can be shared would begin with a package that is broken."""
    shell("outlast new-kernel shared-walk --divisible", home, environment)
    folder = home / "shared-walk"
    text = (folder / "README.md").read_text()
    first, _ = blocks("sh", text)
    printed = shell(first, folder, environment)
    assert re.search(r"\b8 passed", printed)
    assert printed.splitlines()[-1] == "start=837799 steps=524"
    assert answers_of_readme(folder, environment) == ["shared", "start=77031 steps=350"]
    kernel = (folder / "shared_walk.py").read_text()
    named = re.findall(r"`([A-Za-z]+)`", text.partition("To make it yours")[2])
    assert len(named) > 9
    assert [name for name in named if not re.search(rf"\b{name}\b", kernel)] == ["pytest"]


def test_the_wheel_holds_the_package_to_begin_with(tmp_path: Path) -> None:
    """`outlast new-kernel` would work only where Outlast is checked out."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = {n: archive.read(n) for n in archive.namelist() if n.startswith(FOLDER)}
    folders = {FOLDER: TEMPLATE, f"{FOLDER}divisible/": DIVISIBLE}
    assert files == {
        f"{inside}{name}": (folder / name).read_bytes()
        for inside, folder in folders.items()
        for name in FILES
        if (folder / name).exists()
    }
    assert f"{FOLDER}divisible/my_name.py" in files
