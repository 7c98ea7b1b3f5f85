"""How a command ends when something is wrong: one line, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback

from typer import Exit, TyperException

from outlast.checkpoint.safe_text import without_secrets
from outlast.worker.cli.output import say
from outlast.worker.cli.places import with_variable

FAULT = 1
USAGE = 2
UNFINISHED = 3

OURS = "outlast"


class Failures:
    """Says each error at once, lets the command go on, and fails it at its end.

    Attributes:
        count: how many there have been.
    """

    def __init__(self) -> None:
        self.count = 0
        self._is_only_early = True

    def __call__(self, error: Exception | str) -> None:
        """Say what went wrong and go on."""
        self.count += 1
        is_early = isinstance(error, Exception) and exit_code(error) == UNFINISHED
        self._is_only_early = self._is_only_early and is_early
        say(with_variable(error) if isinstance(error, Exception) else error)

    def exit_if_any(self) -> None:
        """End the command if anything went wrong: with 3 where jobs are not over yet, or with 1."""
        if self.count:
            raise Exit(UNFINISHED if self._is_only_early else FAULT)


def report(error: Exception, *, debug: bool) -> int:
    """Print what `error` says on one line, with `debug` its traceback first; return the code."""
    if isinstance(error, BrokenPipeError):
        # The reader of the output is gone; the last flush of the process must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    if debug and not _is_answer(error):
        print(without_secrets("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    say(_message(error))
    return exit_code(error)


def _is_answer(error: Exception) -> bool:
    """Whether `error` is the answer that a command was asked for, and no fault to look for."""
    from outlast.worker.jobs.outcome import JobFailed, JobNotFinished

    return isinstance(error, (JobFailed, JobNotFinished))


def exit_code(error: Exception) -> int:
    """Return the code that a shell sees for `error`."""
    # Imported here: a command that goes well does not need them all.
    from outlast.checkpoint.errors import InvalidJobId, InvalidStoreUrl, InvalidTag, NoBlobStore
    from outlast.kernel import InvalidParams, UnknownKernel
    from outlast.worker.cli.scaffolding import CannotScaffold
    from outlast.worker.jobs.outcome import JobNotFinished
    from outlast.worker.notify.target import InvalidTarget
    from outlast.worker.queues.contract import InvalidQueueUrl
    from outlast.worker.settings import InvalidSettings
    from outlast.worker.slices.health import BROKEN, BrokenWorker

    match error:
        case (
            CannotScaffold()
            | InvalidJobId()
            | InvalidParams()
            | InvalidQueueUrl()
            | InvalidSettings()
            | InvalidStoreUrl()
            | InvalidTag()
            | InvalidTarget()
            | NoBlobStore()
            | UnknownKernel()
        ):
            return USAGE
        case BrokenWorker():
            return BROKEN
        case JobNotFinished():
            return UNFINISHED
        case TyperException():
            return error.exit_code
        case _:
            return FAULT


def _message(error: Exception) -> str:
    """Return what to say: our own errors are whole sentences, others need their type."""
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "outlast"
        return f"{error.format_message().rstrip('.')}; see {command} --help"
    if type(error).__module__.partition(".")[0] == OURS:
        return with_variable(error)
    return f"{type(error).__name__}: {error}; --debug shows where"
