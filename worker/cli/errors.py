"""How a command ends when something is wrong: one line, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from typer import TyperException

from outlast.checkpoint.lines import one_line

if TYPE_CHECKING:
    from outlast.checkpoint.errors import CorruptRecord

FAULT = 1
USAGE = 2
UNFINISHED = 3

LINE_CHARACTERS = 1000
OURS = "outlast"


def report(error: Exception, *, debug: bool) -> int:
    """Print what `error` says on one line, with `debug` its traceback first; return the code."""
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has gone: nobody to tell, nor at the last flush of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    if debug and not _is_answer(error):
        traceback.print_exception(error)
    print(f"outlast: {one_line(_message(error), LINE_CHARACTERS)}", file=sys.stderr)
    return exit_code(error)


def _is_answer(error: Exception) -> bool:
    """Whether `error` is what a command was asked for, which is no fault to look for."""
    from outlast.worker.jobs.waiting import JobFailed, JobNotFinished

    return isinstance(error, (JobFailed, JobNotFinished))


def exit_code(error: Exception) -> int:
    """Return the code that a shell sees for `error`."""
    # Imported here: a command that goes well does not need them all.
    from outlast.checkpoint.errors import InvalidJobId, InvalidStoreUrl, InvalidTag
    from outlast.kernel import InvalidParams, UnknownKernel
    from outlast.worker.cli.scaffolding import CannotScaffold
    from outlast.worker.jobs.waiting import JobNotFinished
    from outlast.worker.notify.target import InvalidTarget
    from outlast.worker.queues.contract import InvalidQueueUrl
    from outlast.worker.settings import InvalidSettings

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
            | UnknownKernel()
        ):
            return USAGE
        case JobNotFinished():
            return UNFINISHED
        case TyperException():
            return error.exit_code
        case _:
            return FAULT


class Faults:
    """Tells of records that cannot be read, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: CorruptRecord) -> None:
        """Tell of one."""
        self.count += 1
        print(f"outlast: {one_line(str(error), LINE_CHARACTERS)}", file=sys.stderr)


def _message(error: Exception) -> str:
    """Return what to tell: the words of our own errors are whole, others need their type."""
    if isinstance(error, TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "outlast"
        return f"{error.format_message().rstrip('.')}; see {command} --help"
    if type(error).__module__.partition(".")[0] == OURS:
        return str(error)
    return f"{type(error).__name__}: {error}; --debug shows where"
