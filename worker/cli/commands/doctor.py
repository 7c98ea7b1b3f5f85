"""outlast doctor: what will break in a deployment, and how to mend it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.checkpoint.safe_text import one_line
from outlast.worker.cli.errors import FAULT
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.output import LINE_CHARACTERS, print_json

if TYPE_CHECKING:
    from outlast.worker.doctor.finding import Finding

Function = Annotated[
    str | None,
    typer.Option("--function", metavar="NAME", help="Also look at this AWS Lambda function."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="ID", help="Also look at this RunPod endpoint; needs RUNPOD_API_KEY."
    ),
]

Stack = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        help="Look at the whole deployment of this CloudFormation stack: its own store, queue and "
        "function, whatever OUTLAST_STORE and OUTLAST_QUEUE are.",
    ),
]
Every = Annotated[
    bool, typer.Option("--all", help="Read every record for damage, not a sample of them.")
]


def doctor(
    *,
    stack: Stack = None,
    function: Function = None,
    endpoint: Endpoint = None,
    every: Every = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Examine store, jobs and queue, and say what will break.

    It looks at what OUTLAST_STORE, OUTLAST_QUEUE and the other settings name, and at this machine's
    NVIDIA GPUs. To the store it writes one key of its own and removes it again; it changes no job,
    and neither sends nor receives a message.

    Each finding has a level: ok; warning, for what costs time, money or safety; error, for what
    stops or loses jobs; unknown, where the right to look is missing. All but ok say what breaks
    and how to mend it. `outlast help security` lists the rights that doctor needs.

    Examples:
        outlast doctor
        outlast doctor --stack outlast
        outlast doctor --all
        outlast doctor --endpoint jpnw0v75y3qoql --json | jq '.[] | select(.level != "ok")'

    Exit codes:
        0  no error; there may be warnings
        1  an error was found, a wrong setting too
        2  the command line is wrong
    """
    from outlast.worker.cli.logs import log_to_stderr
    from outlast.worker.doctor.examine import examine, has_errors

    if stack is not None and function is not None:
        raise typer.BadParameter("a stack has a function of its own: give one of them")
    log_to_stderr("DEBUG" if debug else "WARNING", debug=debug)
    findings = []
    for finding in examine(function=function, endpoint=endpoint, stack=stack, every=every):
        findings.append(finding)
        if not as_json:
            _print(finding)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        counts = Counter(finding.level for finding in findings)
        print(", ".join(_count(count, level) for level, count in counts.items()))
    if has_errors(findings):
        raise typer.Exit(FAULT)


def _count(count: int, level: str) -> str:
    return f"{count} {level}{'s' if count > 1 and level in {'error', 'warning'} else ''}"


def _print(finding: Finding) -> None:
    print(f"{finding.level:<8} {finding.check}: {one_line(finding.found, LINE_CHARACTERS)}")
    if finding.breaks:
        print(f"{'':8}   breaks: {one_line(finding.breaks, LINE_CHARACTERS)}")
    if finding.mend:
        print(f"{'':8}   mend: {one_line(finding.mend, LINE_CHARACTERS)}")
