"""outlast dlq: the messages that nobody could handle."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.dead_letters import (
    NoSuchLetter,
    dead_letters,
    for_each,
    opened,
    put_table,
    view,
)
from outlast.worker.cli.manual import manual
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.streams import put, put_fields, put_json, put_json_each

if TYPE_CHECKING:
    from collections.abc import Callable

LetterId = Annotated[
    str, typer.Argument(metavar="ID", help="The message, as `outlast dlq list` prints it.")
]
LetterIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="The messages, as `outlast dlq list` prints them."),
]
All = Annotated[bool, typer.Option("--all", help="Every dead letter.")]
Limit = Annotated[
    int,
    typer.Option(
        "--limit", min=0, max=10**9, metavar="N", help="Show at most so many; 0 shows all."
    ),
]

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


def dlq(context: typer.Context, *, _as_json: Json = False, _debug: Debug = False) -> None:
    """Look at the messages that nobody could handle.

    A message that was received many times and never acknowledged is a dead letter: one that is not
    Outlast's, one whose job the store does not know, or one that ended its worker each time. It
    carries no work, only a job's id. Dead letters stay in OUTLAST_QUEUE where that is a file; of
    an SQS queue they are in the queue that its redrive policy names. `redrive` sends them back,
    `drop` deletes them.

    Examples:
        outlast dlq list
        outlast dlq redrive --all

    Exit codes:
        0  done
        1  the queue has no dead-letter queue, or the store or the queue is at fault
        2  the command line or a setting is wrong
    """
    if context.invoked_subcommand is None:
        put(context.get_help())


def list_letters(*, limit: Limit = 100, as_json: Json = False, _debug: Debug = False) -> None:
    """List the dead letters, and what their jobs' records say.

    RECEIVES counts deliveries; on SQS each look at the dead letters is one. AGE is the time since
    the message was sent or, on an embedded or FIFO queue, given up. On SQS a look takes a second
    and hides what it shows from others until it ends (two minutes at most, if it is killed).

    Examples:
        outlast dlq list
        outlast dlq list --json | jq '.[] | select(.job_id == null) | .body'

    Exit codes:
        0  they are listed, even if there are none
        1  the queue has no dead-letter queue, or the store or the queue is at fault
        2  the command line or a setting is wrong
    """
    letters, say = opened()
    with letters.look() as found:
        views = (view(letter, say) for letter in islice(found, limit or None))
        if as_json:
            put_json_each(views)
        else:
            put_table(views)


def show(letter_id: LetterId, *, as_json: Json = False, _debug: Debug = False) -> None:
    """Show one dead letter in full.

    That is its body, what the queue says of it, and what its job's record says of the job. What
    could take over the terminal is shown escaped.

    Examples:
        outlast dlq show 17
        outlast dlq show 17 --json | jq -r .body

    Exit codes:
        0  it is shown
        1  there is no such dead letter, the queue has no dead-letter queue, or the store or the
           queue is at fault
        2  the command line or a setting is wrong
    """
    letters, say = opened()
    with letters.look() as found:
        letter = next((letter for letter in found if letter.letter_id == letter_id), None)
    if letter is None:
        raise NoSuchLetter(f"there is no dead letter {letter_id!r}; outlast dlq list shows them")
    found_out = view(letter, say) | {"attributes": dict(letter.attributes)}
    if as_json:
        put_json(found_out)
    else:
        put_fields(found_out | {"attributes": found_out["attributes"] or None})


def redrive(
    letter_ids: LetterIds = None,
    *,
    every: All = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Send dead letters to the queue again, as new messages.

    Do so once what made the workers give up is mended; `outlast dlq list` says what it knows. A
    message that has nothing left to do is harmless: whoever receives it drops it. One that is no
    dead letter any more is passed over.

    Examples:
        outlast dlq redrive 17 18
        outlast dlq redrive --all

    Exit codes:
        0  they are sent, or were no dead letters
        1  the queue has no dead-letter queue, or the queue is at fault
        2  the command line or a setting is wrong; nothing was done
    """
    letters = dead_letters()
    for_each(letters, letters.redrive, "sent again", letter_ids, every=every, as_json=as_json)


def drop(
    letter_ids: LetterIds = None,
    *,
    every: All = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Delete dead letters for good.

    A job loses nothing by it: its progress is in the store, and one that waits for a message is
    sent a new one by `outlast resume` or by a sweep. The body of a message of someone else's is
    lost. One that is no dead letter any more is passed over.

    Examples:
        outlast dlq drop 17 18
        outlast dlq drop --all

    Exit codes:
        0  they are deleted, or were no dead letters
        1  the queue has no dead-letter queue, or the queue is at fault
        2  the command line or a setting is wrong; nothing was done
    """
    letters = dead_letters()
    for_each(letters, letters.drop, "dropped", letter_ids, every=every, as_json=as_json)


COMMANDS: dict[str, Callable[..., Any]] = {
    "list": list_letters,
    "show": show,
    "redrive": redrive,
    "drop": drop,
}
for _name, _command in COMMANDS.items():
    app.command(_name, help=manual(_command))(_command)
app.callback(help=manual(dlq))(dlq)
