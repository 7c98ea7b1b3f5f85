"""Dead letters as `outlast dlq` shows them, and takes them."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from outlast.checkpoint.lines import one_line
from outlast.worker.cli.errors import LINE_CHARACTERS
from outlast.worker.cli.job_ids import given
from outlast.worker.cli.streams import put, put_json_each
from outlast.worker.jobs.rate import clock_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.worker.queues.dead_letters import DeadLetter, DeadLetters

COLUMNS = "{:<36} {:<24} {:>6} {:>8} {:>8}  {}"
BODY_CHARACTERS = 60


class NoSuchLetter(Exception):
    """No dead letter has this id. Look which ones there are."""


def dead_letters() -> DeadLetters:
    """Return the dead letters of OUTLAST_QUEUE."""
    from outlast.worker.queues import open_dead_letters
    from outlast.worker.settings import read_settings

    return open_dead_letters(read_settings().queue)


def opened() -> tuple[DeadLetters, Callable[[str], Any]]:
    """Return the dead letters, and what tells of the job of a body."""
    from outlast.kernel.registry import names
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.dead_letters import diagnose

    client, kernels = Client(read_only=True), names()
    return dead_letters(), lambda body: diagnose(client.jobs, kernels, body)


def view(letter: DeadLetter, say: Callable[[str], Any]) -> dict[str, Any]:
    """Return what there is to know of a dead letter, as a JSON object."""
    from outlast.worker.jobs.view import moment

    job_id, number, condition, advice = say(letter.body)
    return {
        "id": letter.letter_id,
        "job_id": job_id,
        "slice": number,
        "receives": letter.receives,
        "since": moment(letter.since),
        "reason": letter.reason,
        "finding": condition,
        "advice": advice,
        "body": letter.body,
    }


def put_table(views: Iterator[dict[str, Any]]) -> None:
    """Print two or three lines for each dead letter; where there is none, say so."""
    heading = COLUMNS.format("ID", "JOB", "SLICE", "RECEIVES", "AGE", "REASON")
    for view in views:
        if heading:
            put(heading)
            heading = ""
        job, number = view["job_id"] or "-", view["slice"] or "-"
        row = (view["id"], job, number, view["receives"], _age(view["since"]), view["reason"])
        put(COLUMNS.format(*row))
        if view["job_id"] is None:
            put(f"    body: {json.dumps(view['body'][:BODY_CHARACTERS])}")
        put(f"    {one_line(view['finding'], LINE_CHARACTERS)}: {view['advice']}")
    if heading:
        _tell_none()


def _tell_none() -> None:
    print("outlast: there is no dead letter", file=sys.stderr)


def _age(since: str) -> str:
    seconds = max(time.time() - datetime.fromisoformat(since).timestamp(), 0.0)
    return clock_time(seconds)


def for_each(
    letters: DeadLetters,
    act: Callable[[DeadLetter], None],
    outcome: str,
    letter_ids: list[str] | None,
    *,
    every: bool,
    as_json: bool,
) -> None:
    """Do `act` with the dead letters of these ids, or with every one; print what became of each."""
    if every == bool(letter_ids):
        raise typer.BadParameter("give the ids of dead letters, or --all")
    wanted = None if every else dict.fromkeys(given(letter_ids or ()))
    outcomes = _outcomes(letters, act, outcome, wanted)
    if as_json:
        put_json_each({"id": letter_id, "outcome": what} for letter_id, what in outcomes)
    else:
        is_any = False
        for letter_id, what in outcomes:
            put(f"message {one_line(letter_id, LINE_CHARACTERS)}: {what}")
            is_any = True
        if not is_any:
            _tell_none()


def _outcomes(
    letters: DeadLetters,
    act: Callable[[DeadLetter], None],
    outcome: str,
    wanted: dict[str, None] | None,
) -> Iterator[tuple[str, str]]:
    """Do `act` with each dead letter that is wanted (None: all); yield what became of which."""
    is_any = True
    while is_any:  # A FIFO queue shows the next ones of a job when the first are gone.
        is_any = False
        with letters.look() as found:
            for letter in found:
                if wanted is None or letter.letter_id in wanted:
                    act(letter)
                    yield letter.letter_id, outcome
                    is_any = True
                if wanted is not None:
                    wanted.pop(letter.letter_id, None)
                    if not wanted:
                        return
    yield from ((letter_id, "no dead letter") for letter_id in wanted or ())
