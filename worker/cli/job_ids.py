"""Job ids on a command line or on standard input, and a command applied to each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.errors import Failures
from outlast.worker.cli.output import print_json, print_json_array, print_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

JobIds = Annotated[
    list[str],
    typer.Argument(
        metavar="JOB_ID",
        help="The jobs, as submit or list print them; - reads ids from standard input, one a line.",
    ),
]


def read_ids(words: Sequence[str]) -> list[str]:
    """Return the different ones of `words`, with those from standard input instead of "-"."""
    ids: list[str] = []
    for word in words:
        ids += _read_stdin() if word == "-" else [word]
    return list(dict.fromkeys(ids))


def _read_stdin() -> list[str]:
    # In quotes, too: so jq prints them without -r, and no id has one.
    lines = (line.strip().strip('"') for line in sys.stdin)
    return [line for line in lines if line]


def for_each(
    words: Sequence[str], act: Callable[[str], dict[str, Any]], outcome: str, *, as_json: bool
) -> None:
    """Do `act` with each job that `words` name; print the outcome, or the object that it returns.

    An error with one of several jobs is said on standard error and does not stop the others; the
    exit code is 1 then. JSON is one object for one id, and an array for several or for "-".

    Raises:
        InvalidJobId: one cannot be a job's; nothing was done.
        StoreUnavailable, QueueUnavailable: the remaining jobs would meet the same error.
    """
    from outlast.checkpoint.names import checked_id

    job_ids = [checked_id(job_id) for job_id in read_ids(words)]
    if len(words) == 1 and words != ["-"]:
        answer = act(job_ids[0])
        print_json(answer) if as_json else print(f"job {job_ids[0]} {outcome}")
        return
    failures = Failures()
    answers = _answers(job_ids, act, failures)
    if as_json:
        print_json_array(answer for _, answer in answers)
    else:
        print_lines(f"job {job_id} {outcome}" for job_id, _ in answers)
    failures.exit_if_any()


def _answers(
    job_ids: Sequence[str], act: Callable[[str], dict[str, Any]], failures: Failures
) -> Iterator[tuple[str, dict[str, Any]]]:
    from outlast.checkpoint.errors import CorruptRecord, UnknownJob, WrongStatus

    for job_id in job_ids:
        try:
            yield job_id, act(job_id)
        except (CorruptRecord, UnknownJob, WrongStatus) as error:
            failures(error)
