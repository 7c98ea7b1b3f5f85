"""One of several processes that race for a key: `python -m tests.checkpoint.contender URL WINS`.

It counts the key up until it has won so often, and prints each version it has replaced.
"""

from __future__ import annotations

import sys

from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.registers import open_register

KEY = "jobs/raced"


def main(url: str, wins: int) -> None:
    """Win `wins` times; a loser reads again."""
    register = open_register(url)
    won = 0
    while won < wins:
        current = register.read(KEY)
        count, version = (int(current.value), current.version) if current else (0, None)
        try:
            register.put(KEY, str(count + 1).encode(), expected=version)
        except VersionConflict:
            continue
        print(version)  # noqa: T201 - this is its answer
        won += 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
