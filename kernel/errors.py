"""The message of an error that foreign code raises."""

from __future__ import annotations

from traceback import TracebackException


def message_of(error: BaseException) -> str:
    """Return the message of an error, even if its class fails to give one."""
    try:
        # Python's own formatting survives an error whose __str__ raises.
        return str(TracebackException.from_exception(error, limit=0))
    except BaseException:  # noqa: BLE001 - but not one whose attributes raise
        return "<exception cannot be shown>"
