"""A virtual environment as a new user has it, made without the network."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from typing import TYPE_CHECKING

from outlast.worker.settings import PREFIX

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_SECONDS = 120
COMMANDS = {"outlast": "outlast.worker.cli", "pip": "pip", "pytest": "pytest"}


def environment_in(folder: Path) -> dict[str, str]:
    """Make a virtual environment; return the variables of a shell in which it is active.

    All that the tests' own environment has is there; what pip installs goes into the new one.
    """
    venv.create(folder / "venv", with_pip=False)
    site = folder / "venv" / os.path.relpath(sysconfig.get_path("purelib"), sys.prefix)
    outer = sysconfig.get_path("purelib")
    (site / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
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


def shell(commands: str, folder: Path, environment: dict[str, str]) -> str:
    """Run what a person types, all of which must succeed; return its standard output."""
    done = subprocess.run(
        ["sh", "-e"],
        input=commands,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
