"""What is raised where a promise was broken."""

from __future__ import annotations


class Violation(BaseException):
    """A promise was broken. No worker code may catch this."""


def require(condition: object, complaint: str) -> None:
    """Raise the complaint unless the condition holds."""
    if not condition:
        raise Violation(complaint)
