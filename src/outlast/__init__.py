"""Runs one long computation on workers that each live only minutes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlast.kernel import (
        Estimate,
        InvalidParams,
        Kernel,
        Model,
        NonRetryable,
        Resources,
        UnknownKernel,
    )
    from outlast.worker.jobs.async_client import AsyncClient
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.outcome import JobFailed, JobNotFinished

__all__ = [
    "AsyncClient",
    "Client",
    "Estimate",
    "InvalidParams",
    "JobFailed",
    "JobNotFinished",
    "Kernel",
    "Model",
    "NonRetryable",
    "Resources",
    "UnknownKernel",
]

_HOMES = {
    "AsyncClient": "outlast.worker.jobs.async_client",
    "Client": "outlast.worker.jobs.client",
    "JobFailed": "outlast.worker.jobs.outcome",
    "JobNotFinished": "outlast.worker.jobs.outcome",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: no start pays for what it does not use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "outlast.kernel")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
