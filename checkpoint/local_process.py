"""Which process of which machine holds something, so that others there know when it is gone."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

PROC = Path("/proc")
# Killed, but its parent has not asked how it ended.
ENDED = {"Z", "X"}


def this_process() -> str:
    """Return a name of this process that no other one has or will have; "": there is none.

    It is made of the boot of the machine, the namespace of its process numbers, its number there,
    and when it began. There is none without Linux's /proc, and on Lambda, whose machines may be
    copies of one that had booted.
    """
    return _name_of(os.getpid())


def is_gone(process: str) -> bool:
    """Whether the process of this name was one of this very machine, and has ended.

    False: it lives, or it cannot be known from here.
    """
    machine, _, own = process.rpartition("#")
    if not machine or machine != this_process().rpartition("#")[0]:
        return False
    number, _, began = own.partition("@")
    try:
        os.kill(int(number), 0)  # Where /proc hides the processes of others, this still finds them.
        state, begun = _stat(int(number))
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return begun != began or state in ENDED


@lru_cache(1)  # After a fork it is another one.
def _name_of(number: int) -> str:
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        return ""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (PROC / "self/ns/pid").readlink().name
        _, began = _stat(number)
        if (PROC / "self").readlink().name != str(number):
            return ""  # It is the /proc of another namespace, where the number is another's.
    except OSError:
        return ""
    machine = hashlib.blake2b(f"{boot}/{namespace}".encode(), digest_size=6).hexdigest()
    return f"{machine}#{number}@{began}"


def _stat(number: int) -> tuple[str, str]:
    """Return the state of a process, and when it began: in ticks since the boot."""
    # The command, in parentheses, may have spaces and parentheses itself.
    fields = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    return fields[0], fields[19]
