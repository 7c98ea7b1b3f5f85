"""A process that another command has started: a worker that ends when that command does.

Its first word is the id of the process that started it, the second what it is to be: `worker`, with
the words of that command after it, or `run`, a helper of one run, which works through a queue that
only the processes of this run read.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import NoReturn

LOOK_SECONDS = 0.25


def main() -> NoReturn:
    """Be that process."""
    from outlast.worker.slices.deadline import STOP_SIGNALS

    parent, role, *words = sys.argv[1:]
    # Until something listens a stop signal ends it, without a word. They were held back so far.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    threading.Thread(target=_end_with, args=[int(parent)], daemon=True).start()
    if role == "worker":
        from outlast.worker.cli import program

        sys.argv = ["outlast", role, *words]
        program()
    from outlast.worker.cli.together import help_run

    help_run(*words)
    if os.getppid() != int(parent):
        _remove_queue()
    sys.exit()


def _end_with(parent: int) -> None:
    """Send this process a stop signal once its parent has ended, whatever has ended that."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _remove_queue() -> None:
    """Remove the queue of a run whose command was killed."""
    import shutil

    from outlast.checkpoint.sqlite_url import sqlite_path
    from outlast.worker.settings import read_settings

    if path := sqlite_path(read_settings().queue):
        shutil.rmtree(path.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
