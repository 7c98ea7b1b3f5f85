"""outlast dlq: the messages that no worker could handle."""

from __future__ import annotations

import json
import time
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.checkpoint.safe_text import one_line
from outlast.worker.cli.job_ids import read_ids
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.output import (
    LINE_CHARACTERS,
    print_fields,
    print_json,
    print_json_array,
    print_lines,
    say,
)
from outlast.worker.cli.tables import Columns, wrapped
from outlast.worker.telemetry.rate import clock_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from outlast.worker.queues.dead_letters import DeadLetter, DeadLetters

    View = dict[str, Any]

COLUMNS = Columns(
    "{:<36} {:<24} {:>6} {:>8} {:>8}  {}",
    *("ID", "JOB", "SLICE", "RECEIVES", "AGE", "REASON"),
    first_out=("SLICE", "RECEIVES", "AGE", "REASON"),
    narrow="JOB",  # A person copies the id.
)
BODY_CHARACTERS = 60

MessageId = Annotated[
    str, typer.Argument(metavar="ID", help="The message, as `outlast dlq list` prints it.")
]
MessageIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="The messages, as `outlast dlq list` prints them."),
]
All = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
Limit = Annotated[
    int,
    typer.Option(
        "--limit", min=0, max=10**9, metavar="N", help="Show at most this many; 0 shows all."
    ),
]


class NoSuchMessage(Exception):
    """No dead letter has this id. List those that there are."""


def dlq(context: typer.Context, *, _as_json: Json = False, _debug: Debug = False) -> None:
    """Look at the messages that no worker could handle.

    A message that was received many times and never acknowledged is a dead letter. It is not
    Outlast's, the store does not know its job, the job's record is of a newer version, the workers
    lack its kernel or a package, or it ended its worker each time. It carries no work, only a job's
    id. Dead letters stay in OUTLAST_QUEUE where that is a file or a server of Redis, which keeps
    the last 10,000; those of an SQS queue are in the queue that its redrive policy names.
    `redrive` sends them back, `drop` deletes them.

    Examples:
        outlast dlq list
        outlast dlq redrive --all

    Exit codes:
        0  done
        1  the queue has no dead-letter queue, or the queue is at fault
        2  the command line or a setting is wrong
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


def list_messages(*, limit: Limit = 100, as_json: Json = False, _debug: Debug = False) -> None:
    """List the dead letters, and what their jobs' records say, such as the last error.

    RECEIVES counts deliveries; on SQS each look at the dead letters is one. AGE is the time since
    the message was sent or, in a file, in Redis or on a FIFO queue, given up. On SQS a look takes a
    second and hides what it shows from others until it ends (two minutes at most, if it is killed).

    Examples:
        outlast dlq list
        outlast dlq list --json | jq '.[] | select(.job_id == null) | .body'

    Exit codes:
        0  they are listed, even if there are none, or the store does not answer
        1  the queue has no dead-letter queue, or the queue is at fault
        2  the command line or a setting is wrong
    """
    with _open().look() as dead_letters:
        views = map(_viewer(), islice(dead_letters, limit or None))
        if as_json:
            print_json_array(views)
        else:
            _print_or_say_none(map(_lines, views), COLUMNS.heading)


def show(message_id: MessageId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Show one dead letter in full.

    That is its body, what the queue says of it, and what its job's record says of the job, such as
    its last error. What could take over the terminal is shown escaped.

    Examples:
        outlast dlq show 17
        outlast dlq show 17 --json | jq -r .body

    Exit codes:
        0  it is shown, even if the store does not answer
        1  there is no such dead letter, the queue has no dead-letter queue, or it is at fault
        2  the command line or a setting is wrong
    """
    with _open().look() as dead_letters:
        letter = next((letter for letter in dead_letters if letter.letter_id == message_id), None)
    if letter is None:
        raise NoSuchMessage(f"there is no dead letter {message_id!r}; outlast dlq list shows them")
    fields = _viewer()(letter) | {"attributes": dict(letter.attributes)}
    if as_json:
        print_json(fields)
    else:
        print_fields(fields | {"attributes": fields["attributes"] or None})


def redrive(
    message_ids: MessageIds = None,
    *,
    every: All = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Send dead letters to the queue again, as new messages.

    First mend what made the workers give up; `outlast dlq list` says what it knows. A message that
    has nothing left to do is harmless: its receiver drops it. A message that is not a dead letter
    is skipped.

    Examples:
        outlast dlq redrive 17 18
        outlast dlq redrive --all

    Exit codes:
        0  they are sent, or were no dead letters
        1  the queue has no dead-letter queue, or the queue is at fault
        2  the command line or a setting is wrong; nothing was done
    """
    dead_letters = _open()
    _for_each(
        dead_letters, dead_letters.redrive, "sent again", message_ids, every=every, as_json=as_json
    )


def drop(
    message_ids: MessageIds = None,
    *,
    every: All = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Delete dead letters for good.

    A job loses nothing by it: its progress is in the store, and a job that waits for a message gets
    a new one from `outlast resume` or from a sweep. The body of someone else's message is lost. A
    message that is not a dead letter is skipped.

    Examples:
        outlast dlq drop 17 18
        outlast dlq drop --all

    Exit codes:
        0  they are deleted, or were no dead letters
        1  the queue has no dead-letter queue, or the queue is at fault
        2  the command line or a setting is wrong; nothing was done
    """
    dead_letters = _open()
    _for_each(dead_letters, dead_letters.drop, "dropped", message_ids, every=every, as_json=as_json)


COMMANDS: dict[str, Callable[..., Any]] = {
    "list": list_messages,
    "show": show,
    "redrive": redrive,
    "drop": drop,
}


def _open() -> DeadLetters:
    from outlast.worker.queues import open_dead_letters
    from outlast.worker.settings import read_settings

    return open_dead_letters(read_settings().queue)


def _viewer() -> Callable[[DeadLetter], View]:
    """Return a function that looks up a dead letter's job and returns both as a JSON object."""
    from outlast.checkpoint.view import moment
    from outlast.worker.cli.diagnoses import Diagnoses

    diagnoses = Diagnoses()

    def view(letter: DeadLetter) -> View:
        job_id, number, part, condition, advice, error = diagnoses.of(letter.body)
        return {
            "id": letter.letter_id,
            "job_id": job_id,
            "slice": number,
            "part": part,
            "receives": letter.receives,
            "since": moment(letter.since),
            "reason": letter.reason,
            "error": error,
            "finding": condition,
            "advice": advice,
            "body": letter.body,
        }

    return view


def _lines(view: View) -> str:
    """Return the lines of a dead letter, two or more."""
    since = datetime.fromisoformat(view["since"]).timestamp()
    age = clock_time(max(time.time() - since, 0.0))
    job, number = view["job_id"] or "-", view["slice"] or "-"
    if view["part"] is not None:
        job += f"/{view['part']}"
    lines = [COLUMNS.row(view["id"], job, number, view["receives"], age, view["reason"])]
    if view["job_id"] is None:
        lines.append(f"    body: {json.dumps(view['body'][:BODY_CHARACTERS])}")
    if view["error"] is not None:
        error = f"error: {one_line(view['error'], LINE_CHARACTERS)}"
        lines.append(f"    {wrapped(error, indent=4)}")
    finding = f"{one_line(view['finding'], LINE_CHARACTERS)}: {view['advice']}"
    lines.append(f"    {wrapped(finding, indent=4)}")
    return "\n".join(lines)


def _print_or_say_none(lines: Iterable[str], heading: str | None = None) -> None:
    if not print_lines(lines, heading):
        say("there is no dead letter")


def _for_each(
    dead_letters: DeadLetters,
    act: Callable[[DeadLetter], None],
    outcome: str,
    words: list[str] | None,
    *,
    every: bool,
    as_json: bool,
) -> None:
    """Do `act` with the dead letters of these ids, or with every one; print each one's outcome."""
    if every == bool(words):
        raise typer.BadParameter("give the ids of dead letters, or --all")
    outcomes = _outcomes(dead_letters, act, outcome, None if every else read_ids(words or ()))
    if as_json:
        print_json_array({"id": letter_id, "outcome": what} for letter_id, what in outcomes)
    else:
        _print_or_say_none(
            f"message {one_line(letter_id, LINE_CHARACTERS)}: {what}"
            for letter_id, what in outcomes
        )


def _outcomes(
    dead_letters: DeadLetters,
    act: Callable[[DeadLetter], None],
    outcome: str,
    ids: list[str] | None,
) -> Iterator[tuple[str, str]]:
    """Do `act` with the dead letters of these ids (None: all); yield each id and its outcome."""
    is_any = True
    while is_any:  # A FIFO queue shows the next ones of a job when the first are gone.
        is_any = False
        with dead_letters.look() as shown:
            for letter in shown:
                if ids is None or letter.letter_id in ids:
                    act(letter)
                    yield letter.letter_id, outcome
                    is_any = True
                    if ids is not None:
                        ids.remove(letter.letter_id)
                        if not ids:
                            return
    yield from ((letter_id, "no dead letter") for letter_id in ids or ())
