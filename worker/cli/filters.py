"""The options that select jobs, and the way back from a selection to the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from outlast.checkpoint.status import Status
from outlast.worker.jobs.selection import Selection, format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence


def _require_statuses(words: list[str] | None) -> list[str] | None:
    for word in words or ():
        if word not in list(Status):
            raise typer.BadParameter(f"{word[:40]!r} is none of {', '.join(Status)}")
    return words


def _require_tags(tags: list[str] | None) -> list[str] | None:
    if tags:
        from outlast.checkpoint.names import checked_tags

        checked_tags(tags)
    return tags


def _complete_status(incomplete: str) -> list[str]:
    return [status for status in Status if status.startswith(incomplete)]


def age(text: str) -> float:
    """Return the seconds in `text`, such as 12h."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Statuses = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        callback=_require_statuses,
        autocompletion=_complete_status,
        help="Only jobs of this status; may be repeated.",
    ),
]
OfKernel = Annotated[
    str | None, typer.Option("--kernel", metavar="KERNEL", help="Only jobs of this kernel.")
]
WithTags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag",
        metavar="TAG",
        callback=_require_tags,
        help="Only jobs with this tag; if repeated, with all.",
    ),
]
OlderThan = Annotated[
    float | None,
    typer.Option(
        "--older-than",
        metavar="AGE",
        parser=age,
        help="Only jobs last changed longer ago than 90s, 15m, 12h, 7d or 2w.",
    ),
]
NewerThan = Annotated[
    float | None,
    typer.Option(
        "--newer-than",
        metavar="AGE",
        parser=age,
        help="Only jobs last changed less long ago than this.",
    ),
]


def selection_of(
    statuses: Sequence[str] | None,
    kernel: str | None,
    tags: Sequence[str] | None,
    older_than: float | None,
    newer_than: float | None,
) -> Selection:
    """Return the selection that the options describe."""
    return Selection(
        statuses=frozenset(statuses or ()),
        kernel=kernel,
        tags=frozenset(tags or ()),
        older_than_seconds=older_than,
        newer_than_seconds=newer_than,
    )


def options_of(selection: Selection) -> list[str]:
    """Return the options that describe the selection, as words of a command line."""
    ages = (
        ("--older-than", selection.older_than_seconds),
        ("--newer-than", selection.newer_than_seconds),
    )
    return [
        *(word for status in sorted(selection.statuses) for word in ("--status", status)),
        *(("--kernel", selection.kernel) if selection.kernel is not None else ()),
        *(word for tag in sorted(selection.tags) for word in ("--tag", tag)),
        *(w for name, age in ages if age is not None for w in (name, format_duration(age))),
    ]
