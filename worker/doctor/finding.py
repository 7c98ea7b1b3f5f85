"""What a check has to say, and how it gives up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters; `unknown` is what there was no right or no way to look at."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One line about one thing.

    Attributes:
        level: whether something breaks.
        check: the stable name of what was looked at: subject, dot, detail.
        found: what is there.
        breaks: what goes wrong for it; "" where nothing does.
        mend: the command, setting or template line that mends it; "" where nothing is to mend.
    """

    level: Level
    check: str
    found: str
    breaks: str = ""
    mend: str = ""


# A check asks its questions while it is iterated; what it raises, `guarded` turns into a finding.
Check = Callable[[], Iterable[Finding]]


RIGHTS = "docs/security.md lists the rights that doctor needs"
DEAD_LETTERS = "outlast dlq list tells why; once that is mended: outlast dlq redrive --all"


class Denied(Exception):
    """These credentials may not look at it; the message names the operation."""

    def __init__(self, found: str, *, mend: str = RIGHTS) -> None:
        super().__init__(found)
        self.mend = mend


class Unreachable(Exception):
    """It does not answer or is not there: no further check of this subject can do any better."""

    def __init__(self, found: str, *, mend: str) -> None:
        super().__init__(found)
        self.mend = mend


def ok(check: str, found: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, check, found)


def warning(check: str, found: str, *, breaks: str, mend: str) -> Finding:
    """Return a finding about what costs time, money or safety, but does not stop jobs."""
    return Finding(Level.WARNING, check, found, breaks, mend)


def error(check: str, found: str, *, breaks: str, mend: str) -> Finding:
    """Return a finding about what stops jobs or loses them."""
    return Finding(Level.ERROR, check, found, breaks, mend)


def unknown(check: str, found: str, *, mend: str) -> Finding:
    """Return a finding that this could not be looked at."""
    return Finding(Level.UNKNOWN, check, found, "whether it is right is not known", mend)
