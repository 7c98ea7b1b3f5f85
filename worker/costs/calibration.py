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
    """The kernel cannot tell what a job takes. Run a small one, and see `outlast cost`."""


def estimate_of(kernel: str, params: Mapping[str, Any]) -> Estimate:
    """Return what a job will take, by the kernel's own model.

    Raises:
        UnknownKernel, InvalidParams: there can be no such job.
        NoCostModel: the kernel has none.
    """
    found = load(kernel).estimate(valid_params(kernel, params))
    if found is None:
        raise NoCostModel(
            f"kernel {kernel!r} has no cost model: run a small job, and ask outlast cost"
        )
    return found


def factor_of(kernel: str) -> float:
    """Return how many times as long as the reference core of the kernel a core here takes.

    Runs the kernel's calibration job on one thread: the least CPU time of a few runs counts, as
    whatever disturbs one only adds to it.

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
    taken = []
    for _ in range(RUNS):
        begun = time.process_time()
        for _state in loaded.run(params, None, Resources()):
            pass
        taken.append(time.process_time() - begun)
    return min(taken) / expected.seconds
