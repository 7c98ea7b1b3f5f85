"""outlast new-kernel: a package to begin with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.streams import put, put_json

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="What jobs will call it, for example longest-walk."),
]
Into = Annotated[
    Path | None,
    typer.Option("--into", metavar="FOLDER", help="Put the package in here. Default: this folder."),
]


def new_kernel(
    name: Name,
    *,
    into: Into = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Write a package with a kernel of your own to begin with.

    It is a folder called NAME with a kernel that runs, its test, a pyproject.toml that registers
    it, and a README with the commands. The kernel finds the longest Collatz walk below a limit: put
    your computation in its place. "Writing a kernel" in the documentation goes on from there.

    Examples:
        outlast new-kernel longest-walk
        outlast new-kernel longest-walk --into ~/kernels

    Exit codes:
        0  the package is written
        1  it could not be written; nothing is left of it
        2  the name cannot be used, or there is such a folder already; nothing was written
    """
    from outlast.worker.cli.scaffolding import scaffold

    folder = scaffold(name, into or Path())
    files = sorted(path.name for path in folder.iterdir())
    if as_json:
        put_json({"name": name, "folder": str(folder), "files": files})
        return
    put(f"{folder}: {', '.join(files)}")
    put(f"next: cd {shlex.quote(str(folder))} && pip install -e '.[dev]' && pytest")
    put(f"then: outlast run {name} limit=1_000_000")
