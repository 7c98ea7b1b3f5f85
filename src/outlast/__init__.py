"""Runs one long computation on workers that each live only minutes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlast.checkpoint.errors import JobExists, StoreUnavailable, UnknownJob, WrongStatus
    from outlast.kernel import (
        Blob,
        Divisible,
        Estimate,
        InvalidParams,
        Kernel,
        MachineFault,
        Model,
        NonRetryable,
        Resources,
        UnknownKernel,
    )
    from outlast.kernel.array import Array
    from outlast.worker.jobs.async_client import AsyncClient
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.outcome import JobFailed, JobNotFinished
    from outlast.worker.queues.contract import QueueUnavailable

__all__ = [
    "Array",
    "AsyncClient",
    "Blob",
    "Client",
    "Divisible",
    "Estimate",
    "InvalidParams",
    "JobExists",
    "JobFailed",
    "JobNotFinished",
    "Kernel",
    "MachineFault",
    "Model",
    "NonRetryable",
    "QueueUnavailable",
    "Resources",
    "StoreUnavailable",
    "UnknownJob",
    "UnknownKernel",
    "WrongStatus",
]

_HOMES = {
    "Array": "outlast.kernel.array",
    "AsyncClient": "outlast.worker.jobs.async_client",
    "Client": "outlast.worker.jobs.client",
    "JobFailed": "outlast.worker.jobs.outcome",
    "JobNotFinished": "outlast.worker.jobs.outcome",
    "JobExists": "outlast.checkpoint.errors",
    "StoreUnavailable": "outlast.checkpoint.errors",
    "UnknownJob": "outlast.checkpoint.errors",
    "WrongStatus": "outlast.checkpoint.errors",
    "QueueUnavailable": "outlast.worker.queues.contract",
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
