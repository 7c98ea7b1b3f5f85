"""How a core of this machine compares with the one that a kernel's cost model is made for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from outlast.kernel import Resources
from outlast.kernel.registry import load
from outlast.worker.jobs.new_job import valid_params

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outlast.kernel import Estimate

RUNS = 3


class NoCostModel(Exception):
    """The kernel has no cost model. Run a small job, and see `outlast cost`."""


def estimate_of(kernel: str, params: Mapping[str, Any]) -> Estimate:
    """Return what a job will take by the kernel's own model.

    Raises:
        UnknownKernel, InvalidParams: the job could not be submitted either.
        NoCostModel: the kernel has none.
    """
    estimate = load(kernel).estimate(valid_params(kernel, params))
    if estimate is None:
        raise NoCostModel(
            f"kernel {kernel!r} has no cost model: run a small job, and ask outlast cost"
        )
    return estimate


def factor_of(kernel: str) -> float:
    """Return how many times longer a core here takes than the kernel's reference core.

    Runs the kernel's calibration job on one thread a few times. The least CPU time counts, as
    disturbances only add to it.

    Raises:
        UnknownKernel: there is no such kernel, or the job cannot run here.
        NoCostModel: it has no calibration job, or no model.
    """
    loaded = load(kernel)
    params = loaded.calibration()
    expected = None if params is None else loaded.estimate(params)
    if expected is None:
        raise NoCostModel(f"kernel {kernel!r} has no calibration job: leave out --calibrate")
    loaded.require(params)
    loaded.prepare(params)
    seconds = []
    for _ in range(RUNS):
        begun = time.process_time()
        for _state in loaded.run(params, None, Resources()):
            pass
        seconds.append(time.process_time() - begun)
    return min(seconds) / expected.seconds
