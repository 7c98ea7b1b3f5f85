"""outlast warmup: compile now what a job would have to wait for."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from worker.cli.options import Debug, Json
from worker.cli.output import put, put_json, reserved

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="KERNEL", help="Only these. Default: all installed kernels."),
]


def warmup(only: Names = None, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Compile the kernels now, so that no job has to wait for it.

    What is compiled is kept on this machine, in numba's cache, so the second time takes a moment.
    Run it when a container image is built or after an upgrade.

    Examples:
        outlast warmup
        outlast warmup nth-prime

    Exit codes:
        0  all kernels are ready
        1  a kernel cannot be prepared
        2  there is no such kernel, or its package is broken
    """
    from kernel.registry import load, names

    took: dict[str, float] = {}
    kernels = {name: load(name) for name in only or names()}
    for name, kernel in kernels.items():
        print(f"outlast: preparing kernel {name}", file=sys.stderr, flush=True)
        begun = time.monotonic()
        with reserved():
            kernel.prepare(None)
        took[name] = round(time.monotonic() - begun, 3)
        if not as_json:
            put(f"{name}  ready after {took[name]:.1f} s")
    if as_json:
        put_json([{"kernel": name, "seconds": seconds} for name, seconds in took.items()])
