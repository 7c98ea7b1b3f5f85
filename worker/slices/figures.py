"""A kernel's own figures, in the form in which they are stored and shown."""

from __future__ import annotations

import logging
import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.fields import MAX_METRICS, is_metric_name
from outlast.worker.slices.held import Held
from outlast.worker.slices.kernel_errors import line
from outlast.worker.telemetry.events import METRIC_REFUSED, tell

if TYPE_CHECKING:
    from outlast.worker.slices.worker_process import AnyKernel

log = logging.getLogger("outlast.slice")


def figures(kernel: AnyKernel, params: Any, state: Any) -> dict[str, float]:
    """Return the kernel's `metrics` of a state, without those that break their rules.

    It never raises: each fault is logged once.
    """
    kept: dict[str, float] = {}
    try:
        told = state.metrics() if isinstance(state, Held) else kernel.metrics(params, state)
        every = dict(told)
    except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
        _refuse(kernel.name, line(error))
        return {}
    for name, value in every.items():
        if fault := _fault_of(name, value):
            _refuse(kernel.name, fault)
        elif len(kept) == MAX_METRICS:
            _refuse(kernel.name, f"they are more than {MAX_METRICS}")
        else:
            kept[name] = float(value)
    return kept


def _fault_of(name: object, value: Any) -> str | None:
    if not (isinstance(name, str) and is_metric_name(name)):
        return f"{name!r:.60} is no name"
    try:
        number = float(value)
    except BaseException as error:  # noqa: BLE001 - of a foreign class
        return f"{name} is no number: {line(error)}"
    return None if math.isfinite(number) else f"{name} is {number}"


@lru_cache(maxsize=256)
def _refuse(kernel: str, error: str) -> None:
    tell(log, METRIC_REFUSED, kernel=kernel, error=error)
