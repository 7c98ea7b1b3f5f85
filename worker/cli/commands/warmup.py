"""outlast warmup: compile now what a job would have to wait for."""

from __future__ import annotations

import sys
import time
import traceback
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.checkpoint.lines import one_line
from outlast.worker.cli.commands.kernels import loaded
from outlast.worker.cli.errors import FAULT, LINE_CHARACTERS
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.streams import put, put_json, reserved

if TYPE_CHECKING:
    from outlast.worker.slices.process import AnyKernel

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="KERNEL", help="Only these. Default: all installed kernels."),
]


def warmup(only: Names = None, *, as_json: Json = False, debug: Debug = False) -> None:
    """Compile the kernels now, so that no job has to wait for it.

    What is compiled is kept on this machine, in numba's cache, so the second time takes a moment.
    Run it when a container image is built or after an upgrade. A kernel that cannot be made ready
    is told and keeps no other one from it; name those that you need, and only they count.

    Examples:
        outlast warmup
        outlast warmup nth-prime

    Exit codes:
        0  all kernels are ready
        1  a kernel cannot be loaded or prepared; the others are ready
        2  there is no kernel of a given name; nothing was done
    """
    from outlast.kernel.registry import load, names

    known = names()
    for name in only or ():
        if name not in known:
            load(name)  # which says which ones there are
    took: dict[str, float] = {}
    wanted = list(dict.fromkeys(only or known))
    for name in wanted:
        kernel = loaded(name)
        if kernel is None:
            continue
        print(f"outlast: preparing kernel {name}", file=sys.stderr, flush=True)
        begun = time.monotonic()
        if not _prepared(kernel, debug=debug):
            continue
        took[name] = round(time.monotonic() - begun, 3)
        if not as_json:
            put(f"{name}  ready after {took[name]:.1f} s")
    if as_json:
        put_json([{"kernel": name, "seconds": seconds} for name, seconds in took.items()])
    if len(took) < len(wanted):
        raise typer.Exit(FAULT)


def _prepared(kernel: AnyKernel, *, debug: bool) -> bool:
    """Prepare a kernel; return False, after a line that says why, if it cannot be."""
    try:
        with reserved():
            kernel.prepare(None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
        from outlast.worker.slices.kernel_output import line

        if debug:
            traceback.print_exception(error)
        told = one_line(f"kernel {kernel.name} did not prepare: {line(error)}", LINE_CHARACTERS)
        print(f"outlast: {told}", file=sys.stderr)
        return False
    return True
