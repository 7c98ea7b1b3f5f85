"""Runs jobs in slices, on any of the runtimes."""

from typing import Any

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """Import `Client` when it is first asked for: a worker's start should not pay for it."""
    if name == "Client":
        from worker.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
