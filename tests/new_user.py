"""Virtual environments as new users have them, made without the network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from outlast.worker.settings import PREFIX

if TYPE_CHECKING:
    from importlib.metadata import Distribution

ROOT = Path(__file__).parent.parent
LIMIT_SECONDS = 120
COMMANDS = {"outlast": "outlast.worker.cli", "pip": "pip", "pytest": "pytest"}


def environment_in(folder: Path) -> dict[str, str]:
    """Make a virtual environment; return the variables of a shell in which it is active.

    All that the tests' own environment has is there; what pip installs goes into the new one.
    """
    outer = sysconfig.get_path("purelib")
    site = _made_in(folder)
    (site / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
    return _variables(folder)


def bare_environment_in(folder: Path) -> dict[str, str]:
    """Make a virtual environment with what a bare `pip install outlast` brings, and no more.

    Outlast is there by its wheel, as it is built now, and what the wheel asks for by links.
    Returns the variables of a shell in which the environment is active.
    """
    site = _made_in(folder)
    hatchling = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(hatchling, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (own,) = distributions(name="outlast", path=[str(site)])
    linked: set[str] = set()
    wanted = _needs_of(own)
    while wanted:
        name = wanted.pop()
        if name not in linked:
            linked.add(name)
            needed = distribution(name)
            _link(needed, site)
            wanted |= _needs_of(needed)
    return _variables(folder)


def _needs_of(package: Distribution) -> set[str]:
    """Return the names of what a package needs here, without its extras."""
    needs = map(Requirement, package.requires or ())
    return {
        need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})
    }


def _link(package: Distribution, site: Path) -> None:
    """Make the files of a package that is installed here importable from another folder."""
    for name in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
        (site / name).symlink_to(package.locate_file(name))


def _made_in(folder: Path) -> Path:
    """Make an empty virtual environment; return where its packages are."""
    venv.create(folder / "venv", with_pip=False)
    return folder / "venv" / os.path.relpath(sysconfig.get_path("purelib"), sys.prefix)


def _variables(folder: Path) -> dict[str, str]:
    """Add the commands to a virtual environment; return the variables in which it is active."""
    scripts = folder / "venv" / "bin"
    for command, module in COMMANDS.items():
        script = scripts / command
        script.write_text(f'#!/bin/sh\nexec "{scripts}/python" -m {module} "$@"\n')
        script.chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return own | {
        "PATH": f"{scripts}{os.pathsep}{own['PATH']}",
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as the value of --build-isolation
        "PIP_NO_DEPS": "1",
        "PIP_NO_INDEX": "1",
    }


def shell(
    commands: str,
    folder: Path,
    environment: dict[str, str],
    *,
    limit_seconds: float = LIMIT_SECONDS,
) -> str:
    """Run what a person types, all of which must succeed; return its standard output."""
    done = subprocess.run(
        ["sh", "-e"],
        input=commands,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=limit_seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
