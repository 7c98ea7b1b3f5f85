"""Outlast takes one name, `outlast`: what people call worker, kernel or checkpoint is theirs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.new_user import bare_environment_in, environment_in, shell

ROOT = Path(__file__).parent.parent
FOLDERS = ("checkpoint", "kernel", "worker")
OWN = 'WHOSE = "the user\'s"\n'

SCRIPT = """
import checkpoint, kernel, worker
from outlast import Client
from outlast.testing import assert_resumable

assert {module.WHOSE for module in (checkpoint, kernel, worker)} == {"the user's"}
print(Client().submit("lucas-lehmer", exponent=521, job_id="script"))
"""
TEST = """
import kernel, worker
from outlast import Kernel
from outlast.worker.settings import Settings

def test_both_are_there():
    assert (kernel.WHOSE, worker.WHOSE) == ("the user's", "the user's")
    assert Kernel.__module__.startswith("outlast.") and Settings
"""


def give_own_modules(folder: Path) -> None:
    """Put modules of a user's into the folder, named as the folders of Outlast's source are."""
    for name in FOLDERS:
        (folder / f"{name}.py").write_text(OWN)


def test_beside_own_files_of_these_names_everything_works(tmp_path: Path) -> None:
    """The names are common: a project that has one could not use Outlast, or break it."""
    environment = environment_in(tmp_path)
    project = tmp_path / "project"
    project.mkdir()
    give_own_modules(project)
    (project / "script.py").write_text(SCRIPT)
    (project / "test_own.py").write_text(TEST)
    printed = shell(
        "python script.py\n"
        "outlast worker --max-idle-seconds 0.1\n"
        "outlast result script\n"
        "python -m outlast.worker.cli run nth-prime position=10\n"
        "pytest -q -p no:cacheprovider test_own.py | tail -n 1 | cut -d' ' -f1,2\n"
        "outlast new-kernel kernel-of-mine --into .\n"
        "cd kernel-of-mine && pip install --quiet --editable . && cd ..\n"
        "outlast run kernel-of-mine limit=10\n",
        project,
        environment,
    )
    lines = printed.splitlines()
    assert (lines[0], lines[2:4]) == ("script", ["position=10 prime=29", "1 passed"])
    assert "prime=true" in lines[1]
    assert lines[-1] == "start=9 steps=19"


def test_beside_installed_modules_of_these_names_everything_works(tmp_path: Path) -> None:
    """A package that another person wrote would hide Outlast, or be hidden by it."""
    environment = bare_environment_in(tmp_path)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    give_own_modules(site)
    printed = shell(
        "python -c 'import worker; print(worker.WHOSE)'\noutlast run nth-prime position=10\n",
        tmp_path,
        environment,
    )
    assert printed.splitlines() == ["the user's", "position=10 prime=29"]


@pytest.mark.parametrize("name", FOLDERS)
def test_no_module_exists_under_two_names(name: str) -> None:
    """Its classes would exist twice: an error of one would not be caught as that of the other."""
    command = [sys.executable, "-c", f"import outlast.{name}, {name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ImportError: import outlast.{name}"


def test_wheels_hold_the_package_and_nothing_beside_it(tmp_path: Path) -> None:
    """An archive could lack a folder without a word, or bring names that are other people's."""
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path)]
    subprocess.run([*build, "-t", "wheel", "-t", "sdist"], cwd=ROOT, check=True)
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    unpacked, again = tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "again"
    subprocess.run(["tar", "-xzf", sdist.name], cwd=tmp_path, check=True)
    build_again = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(again)]
    subprocess.run(build_again, cwd=unpacked, check=True)
    held = names_in(wheel)
    assert names_in(next(again.glob("*.whl"))) == held
    assert {name.partition("/")[0].partition("-")[0] for name in held} == {"outlast"}
    source = {
        f"outlast/{path.relative_to(ROOT)}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "cache" not in str(path.parent)
    }
    source |= {f"outlast/docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    own = {f"outlast/{path.name}" for path in (ROOT / "src/outlast").iterdir() if path.is_file()}
    assert {name for name in held if name.startswith("outlast/")} == source | own


def names_in(wheel: Path) -> set[str]:
    """The names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())
