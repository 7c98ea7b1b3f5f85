"""The wheel and the sdist, as a user installs them, on each Python that is supported."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import pytest

from outlast.worker.settings import PREFIX
from tests import new_user

ROOT = Path(__file__).parent.parent
FOLDERS = ("checkpoint", "kernel", "worker", "src/outlast")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
THIS = "{}.{}".format(*sys.version_info)
# Prints its version if it can make virtual environments: a link of pyenv's may lead nowhere.
WHICH = "import ensurepip, sys; print('%d.%d' % sys.version_info[:2])"
# A warning is an error for our own code; other packages have theirs.
WARNINGS = "error:::outlast"


shell = partial(new_user.shell, limit_seconds=600)  # The index of packages may be far away.


class Built(NamedTuple):
    """What is published."""

    wheel: Path
    sdist: Path


@cache
def python(version: str) -> str:
    """Return the interpreter of that version; skip the test where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{version}")
    for path in (on_path, *sorted(pyenv.glob(f"{version}*/bin/python"))):
        if path is not None:
            told = subprocess.run([path, "-c", WHICH], capture_output=True, text=True, check=False)
            if told.stdout.strip() == version:
                return str(path)
    pytest.skip(f"there is no Python {version} here")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Both, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    hatchling = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(hatchling, cwd=ROOT, check=True, capture_output=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


def environment_of(folder: Path, version: str) -> dict[str, str]:
    """Make a virtual environment; return the variables of a shell in which it is active."""
    subprocess.run([python(version), "-m", "venv", str(folder / "venv")], check=True)
    rest = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    path = f"{folder / 'venv/bin'}{os.pathsep}{rest['PATH']}"
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    return rest | home | {"PATH": path, "PIP_QUIET": "1", "PYTHONWARNINGS": WARNINGS}


def test_one_place_names_the_version_and_the_pythons() -> None:
    """A release would say that it is another one, or be kept from a Python that it supports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    images = re.findall(r"outlast-\w+:([\w.]+)", (ROOT / "docker-compose.yml").read_text())
    assert set(images) == {project["version"]}
    listed = [each.rpartition(" ")[2] for each in project["classifiers"] if "Python :: 3" in each]
    assert tuple(listed) == PYTHONS
    assert project["requires-python"] == f">={PYTHONS[0]}"


@pytest.mark.parametrize("version", PYTHONS)
def test_its_code_is_clean_on_each_python(version: str) -> None:
    """A user of another Python would meet a syntax error, or warnings that they cannot mend."""
    code = (
        "import pathlib, sys\n"
        "for path in sys.argv[1:]: compile(pathlib.Path(path).read_bytes(), path, 'exec')"
    )
    files = [str(path) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    words = [python(version), "-W", "error", "-c", code, *files]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.chaos
@pytest.mark.parametrize("kind", Built._fields)
@pytest.mark.parametrize("version", PYTHONS)
def test_it_works_where_it_is_installed(
    version: str, kind: str, built: Built, tmp_path: Path
) -> None:
    """A release would be broken on a Python that nobody had tried, or without a file."""
    environment = environment_of(tmp_path, version)
    printed = shell(
        f"pip install '{getattr(built, kind)}[primes]'\n"
        "outlast --version\n"
        "outlast run nth-prime position=1_000_000\n"
        "outlast run nth-prime position=1e9 --slice-seconds 0.5 --processes 2\n"
        "outlast run lucas-lehmer exponent=2203 --isolate\n"
        "outlast submit lucas-lehmer exponent=521 --job-id a\n"
        "outlast worker --isolate --max-idle-seconds 0.1\n"
        "outlast status a | grep ^status\n",
        tmp_path,
        environment,
    )
    printed += shell(
        "outlast new-kernel longest-walk\n"
        "cd longest-walk\n"
        "pip install --editable '.[dev]'\n"
        "pytest -q | tail -n 1\n"
        "outlast run longest-walk limit=1_000\n",
        tmp_path,
        environment,
    )
    for line in (
        f"outlast {built.wheel.name.split('-')[1]}",
        "position=1000000 prime=15485863",
        "position=1000000000 prime=22801763489",
        'exponent=2203 is_prime=true residue="0000000000000000" errors=0',
        "status           succeeded",
        "start=871 steps=178",
    ):
        assert line in printed.splitlines()
    assert re.search(r"\b8 passed", printed)


@pytest.mark.chaos
def test_its_types_serve_users(built: Built, tmp_path: Path) -> None:
    """A user's checker and editor would take all that comes from Outlast for Any, or for wrong."""
    environment = environment_of(tmp_path, THIS)
    shell(
        f"pip install '{built.wheel}[arrays]' mypy pytest 'pyright[nodejs]'\n",
        tmp_path,
        environment,
    )
    page = (ROOT / "docs/writing-a-kernel.md").read_text()
    for name, option in (("walk", ""), ("shared-walk", "--divisible")):
        commands = f"outlast new-kernel {name} {option}\ncd {name}\npython -m mypy\npyright .\n"
        checked = shell(commands, tmp_path, environment)
        assert "Success: no issues found in 2 source files" in checked
        assert "0 errors, 0 warnings" in checked
    arrays = next(
        text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "Array" in text
    )
    (tmp_path / "arrays.py").write_text(arrays)
    assert "0 errors, 0 warnings" in shell("pyright arrays.py\n", tmp_path, environment)
