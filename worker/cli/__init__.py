"""The `outlast` command: one file a command, and what they share.

Nothing heavy is imported before a command needs it: `outlast --help` and `outlast status` should
answer at once.
"""

from worker.cli.app import main, program

__all__ = ["main", "program"]
