"""Job ids on a command line or on standard input, and a command applied to each."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from outlast.worker.cli.errors import Failures
from outlast.worker.cli.output import print_json, print_json_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

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


def is_one(words: Sequence[str]) -> bool:
    """Whether a command names one job, and its answer is for that one alone."""
    return len(words) == 1 and words[0] != "-"


def for_each(
    words: Sequence[str],
    act: Callable[[str], T],
    show: Callable[[str, T], object],
    *,
    as_json: bool,
    apart: bool = False,
) -> None:
    """Do `act` with each job that `words` name; print what it returns by `show`, or as JSON.

    An error with one of several jobs is said on standard error and does not stop the others; the
    exit code tells of it. JSON is one document for one id, and an array for several or for "-".
    What is shown of several is `apart` by empty lines.

    Raises:
        InvalidJobId: one cannot be a job's; nothing was done.
        StoreUnavailable, QueueUnavailable: the remaining jobs would meet the same error.
    """
    job_ids = checked_ids(words)
    if is_one(words):
        answer = act(job_ids[0])
        print_json(answer) if as_json else show(job_ids[0], answer)
        return
    failures = Failures()
    answers = answers_of(job_ids, act, failures)
    if as_json:
        print_json_array(answer for _, answer in answers)
    else:
        for number, (job_id, answer) in enumerate(answers):
            if apart and number:
                print()
            show(job_id, answer)
    failures.exit_if_any()


def checked_ids(words: Sequence[str]) -> list[str]:
    """Return the ids of the jobs that `words` name.

    Raises:
        InvalidJobId: one cannot be a job's.
    """
    from outlast.checkpoint.names import checked_id

    return [checked_id(job_id) for job_id in read_ids(words)]


def answers_of(
    job_ids: Sequence[str], act: Callable[[str], T], failures: Failures
) -> Iterator[tuple[str, T]]:
    """Yield each id with what `act` returns for it; `failures` gets the errors of one job alone."""
    from outlast.checkpoint.blobs.contract import DamagedChunk
    from outlast.checkpoint.errors import CorruptRecord, UnknownJob, WrongStatus
    from outlast.worker.jobs.outcome import JobFailed, JobNotFinished

    of_one = (CorruptRecord, DamagedChunk, JobFailed, JobNotFinished, UnknownJob, WrongStatus)
    for job_id in job_ids:
        try:
            yield job_id, act(job_id)
        except of_one as error:
            failures(error)
