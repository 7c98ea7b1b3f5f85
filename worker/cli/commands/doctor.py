"""outlast doctor: what of a deployment will break, and how to mend it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.checkpoint.lines import one_line
from outlast.worker.cli.errors import FAULT, LINE_CHARACTERS
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.streams import put, put_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outlast.worker.doctor.finding import Finding

Function = Annotated[
    str | None,
    typer.Option("--function", metavar="NAME", help="Look at this AWS Lambda function, too."),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="ID", help="Look at this RunPod endpoint, too, by RUNPOD_API_KEY."
    ),
]


def doctor(
    *,
    function: Function = None,
    endpoint: Endpoint = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check settings, store and queue, and say what will break.

    Each finding is ok, a warning (costs time, money or safety), an error (stops or loses jobs) or
    unknown (no right to look). What breaks and how to mend it follow. The store is tried with a
    key of doctor's own, which is no job and is removed again; no message is sent or taken. The
    rights that are needed stand in docs/security.md.

    Examples:
        outlast doctor
        outlast doctor --function outlast
        outlast doctor --endpoint jpnw0v75y3qoql --json | jq '.[] | select(.level != "ok")'

    Exit codes:
        0  no error; there may be warnings
        1  an error was found, a wrong setting too
        2  the command line is wrong
    """
    from outlast.worker.cli.logs import log_to_stderr
    from outlast.worker.doctor.examine import examine, has_errors

    log_to_stderr("DEBUG" if debug else "WARNING", debug=debug)
    findings = examine(function=function, endpoint=endpoint)
    told = list(findings) if as_json else list(_told(findings))
    if as_json:
        put_json([asdict(finding) for finding in told])
    else:
        counts = Counter(finding.level for finding in told)
        put(", ".join(_counted(count, level) for level, count in counts.items()))
    if has_errors(told):
        raise typer.Exit(FAULT)


def _counted(count: int, level: str) -> str:
    return f"{count} {level}{'s' if count > 1 and level in {'error', 'warning'} else ''}"


def _told(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Print each finding as soon as it is there, and pass it on."""
    for finding in findings:
        put(f"{finding.level:<8} {finding.check}: {one_line(finding.found, LINE_CHARACTERS)}")
        if finding.breaks:
            put(f"{'':8}   breaks: {one_line(finding.breaks, LINE_CHARACTERS)}")
        if finding.mend:
            put(f"{'':8}   mend: {one_line(finding.mend, LINE_CHARACTERS)}")
        yield finding
