"""The `outlast` command: its commands, one file a topic, and what they share.

Nothing heavy is imported before a command needs it: `outlast --help` and `outlast status` should
answer at once.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> int:
    """Run `args` (None: those of the process) and return the exit code."""
    from outlast.worker.cli.app import main

    return main(args)


def program() -> NoReturn:
    """Be the process of a command; Ctrl-C ends it quietly also where nothing listens for it."""
    try:
        from outlast.worker.cli.app import program

        program()
    except KeyboardInterrupt:
        os._exit(128 + signal.SIGINT)
