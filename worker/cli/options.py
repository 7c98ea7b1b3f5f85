"""The arguments and options that several commands share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

# Beyond this, 30 years, the system's timers overflow.
LONGEST_SECONDS = 1e9


@dataclass
class Session:
    """The options that may stand anywhere on the command line."""

    json: bool = False
    debug: bool = False


def _json(context: typer.Context, value: bool) -> bool:  # noqa: FBT001 - the signature is typer's
    session: Session = context.obj
    session.json = session.json or value
    return session.json


def _debug(context: typer.Context, value: bool) -> bool:  # noqa: FBT001 - the signature is typer's
    session: Session = context.obj
    session.debug = session.debug or value
    return session.debug


def seconds_option(name: str, text: str) -> Any:
    """Return an option that takes seconds, more than 0 and no longer than systems can wait."""
    return typer.Option(name, metavar="SECONDS", callback=_require_duration, help=text)


def _require_duration(value: float | None) -> float | None:
    if value is not None and not (0 < value < LONGEST_SECONDS):
        raise typer.BadParameter(f"give seconds, more than 0 and less than {LONGEST_SECONDS:.0e}")
    return value


def kernel_names(incomplete: str) -> list[str]:
    """Return the names that a shell may complete to."""
    from outlast.kernel.registry import names

    return [name for name in names() if name.startswith(incomplete)]


Json = Annotated[
    bool,
    typer.Option(
        "--json",
        callback=_json,
        help="Print one JSON document and nothing else; on an error, nothing.",
    ),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", callback=_debug, help="Show the traceback of an error."),
]
JobId = Annotated[
    str,
    typer.Argument(metavar="JOB_ID", help="The job, as submit or list print it."),
]
Generation = Annotated[
    int | None,
    typer.Option(
        "--generation",
        min=1,
        metavar="N",
        help="The number of a checkpoint; `outlast checkpoints` lists them.",
    ),
]
NewJobId = Annotated[
    str | None,
    typer.Option(
        "--job-id",
        metavar="ID",
        help="The job's id: 1 to 128 letters, digits, '.', '_' or '-'. Default: a new one.",
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="TAG",
        help="A tag, by which `outlast list` finds the job; may be repeated.",
    ),
]
Notify = Annotated[
    list[str] | None,
    typer.Option(
        "--notify",
        metavar="TARGET",
        help="Tell this target when the job is over; may be repeated.",
    ),
]
KernelName = Annotated[
    str,
    typer.Argument(
        metavar="KERNEL",
        autocompletion=kernel_names,
        help="What to compute; `outlast kernels` lists them.",
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="The kernel's parameters: `outlast kernels nth-prime` lists those of nth-prime. A "
        "whole number may be written as 1_000_000, 1e6 or 10^6.",
    ),
]
SliceSeconds = Annotated[
    float | None,
    seconds_option("--slice-seconds", "Length of a slice. Default: OUTLAST_SLICE_SECONDS, or 60."),
]
PartSeconds = Annotated[
    float | None,
    seconds_option(
        "--part-seconds",
        "How long a part of a divided job may take: the last ones are shorter. Default: a minute, "
        "or less.",
    ),
]
Isolate = Annotated[
    bool | None,
    typer.Option(
        "--isolate",
        help="Run kernels in a child process, which can be killed. Default: OUTLAST_ISOLATE.",
    ),
]
