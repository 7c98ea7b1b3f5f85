"""The result of a check, and the errors that end one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from outlast.checkpoint.safe_text import without_secrets


class Level(StrEnum):
    """How much a finding matters; `unknown`: there was no right or no way to check."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One fact about a deployment, and what follows from it.

    Attributes:
        level: whether something breaks.
        check: the stable name of the check: subject, dot, detail.
        found: the fact.
        breaks: what goes wrong because of it; "": nothing.
        mend: the command, setting or template line that mends it; "": nothing to mend.
    """

    level: Level
    check: str
    found: str
    breaks: str = ""
    mend: str = ""


# A check runs while its findings are iterated; `run_checks` turns its errors into findings.
Check = Callable[[], Iterable[Finding]]


RIGHTS = "docs/security.md lists the rights that doctor needs"
DEAD_LETTERS = "outlast dlq list tells why; once that is mended: outlast dlq redrive --all"


class _Failure(Exception):
    def __init__(self, fact: str, *, mend: str = RIGHTS) -> None:
        super().__init__(fact)
        self.mend = mend


class Denied(_Failure):
    """These credentials may not read something; the message names the operation."""


class Unreachable(_Failure):
    """The subject does not answer or does not exist: none of its other checks can succeed."""


def ok(check: str, fact: str) -> Finding:
    """Return the finding that all is well."""
    return _finding(Level.OK, check, fact)


def warning(check: str, fact: str, *, breaks: str, mend: str) -> Finding:
    """Return a finding that costs time, money or safety, but does not stop jobs."""
    return _finding(Level.WARNING, check, fact, breaks, mend)


def error(check: str, fact: str, *, breaks: str, mend: str) -> Finding:
    """Return a finding that stops jobs or loses them."""
    return _finding(Level.ERROR, check, fact, breaks, mend)


def unknown(check: str, fact: str, *, mend: str) -> Finding:
    """Return the finding that something could not be checked."""
    return _finding(Level.UNKNOWN, check, fact, "whether it is right is not known", mend)


def _finding(level: Level, check: str, fact: str, breaks: str = "", mend: str = "") -> Finding:
    # Both may quote a URL, also one in what a server or botocore says.
    return Finding(level, check, without_secrets(fact), breaks, without_secrets(mend))
