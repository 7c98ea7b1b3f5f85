"""Runs jobs in slices, on any of the runtimes."""

from typing import Any

__all__ = ["AsyncClient", "Client", "JobFailed", "JobNotFinished"]


def __getattr__(name: str) -> Any:
    """Import the clients when they are first asked for: a start should not pay for them."""
    if name == "AsyncClient":
        from worker.async_client import AsyncClient

        return AsyncClient
    if name in __all__:
        from worker import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
