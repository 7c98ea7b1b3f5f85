"""What the commands have in common that take several jobs, or their ids on standard input."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.checkpoint.lines import one_line
from outlast.worker.cli.errors import FAULT, LINE_CHARACTERS
from outlast.worker.cli.streams import put, put_json, put_json_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

JobIds = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB_ID",
        help="The jobs, as submit or list print them; - reads ids from standard input, one a line.",
    ),
]


def for_each(
    words: Sequence[str],
    act: Callable[[str], Any],
    view: Callable[[str, Any], dict[str, Any]],
    what: str,
    *,
    as_json: bool,
) -> None:
    """Do `act` with each job that `words` name, and print a line, or what `view` makes of it.

    A job with which it cannot be done is told on standard error and keeps it from no other one;
    the exit code is 1 then. JSON is one object for one id, and an array for several or for "-".

    Raises:
        InvalidJobId: one cannot be a job's; nothing was done.
        StoreUnavailable, QueueUnavailable: the rest would fare no better.
    """
    from outlast.checkpoint.names import checked_id

    job_ids = [checked_id(job_id) for job_id in given(words)]
    if len(words) == 1 and words != ["-"]:
        found = act(job_ids[0])
        put_json(view(job_ids[0], found)) if as_json else put(f"job {job_ids[0]} {what}")
        return
    each = _Each(act)
    if as_json:
        put_json_each(view(job_id, found) for job_id, found in each.done(job_ids))
    else:
        for job_id, _ in each.done(job_ids):
            put(f"job {job_id} {what}")
    if each.failures:
        raise typer.Exit(FAULT)


class _Each:
    def __init__(self, act: Callable[[str], Any]) -> None:
        self.failures = 0
        self._act = act

    def done(self, job_ids: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield each job with which it could be done, and what came of it."""
        from outlast.checkpoint.errors import CorruptRecord, UnknownJob, WrongStatus

        for job_id in job_ids:
            try:
                yield job_id, self._act(job_id)
            except (CorruptRecord, UnknownJob, WrongStatus) as error:
                self.failures += 1
                print(f"outlast: {one_line(str(error), LINE_CHARACTERS)}", file=sys.stderr)


def given(words: Sequence[str]) -> list[str]:
    """Return the different ones of `words`, with those from standard input in place of "-"."""
    found: list[str] = []
    for word in words:
        found += _read() if word == "-" else [word]
    return list(dict.fromkeys(found))


def _read() -> list[str]:
    # In quotes, too: so jq prints them unless it is told -r, and no id has one.
    lines = (line.strip().strip('"') for line in sys.stdin)
    return [line for line in lines if line]
