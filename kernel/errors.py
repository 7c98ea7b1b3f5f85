"""Errors that code of others raises."""

from __future__ import annotations

from traceback import TracebackException


def message_of(error: BaseException) -> str:
    """Return what an error says, also where its class refuses to."""
    try:
        # Python's own way of showing an error survives one that cannot show itself.
        return str(TracebackException.from_exception(error, limit=0))
    except BaseException:  # noqa: BLE001 - but not one whose attributes raise
        return "<exception cannot be shown>"
