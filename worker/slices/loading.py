"""A job's kernel, found and made ready, while its lease lives on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from outlast.kernel import UnknownKernel
from outlast.worker.slices.kernel_output import line
from outlast.worker.telemetry.events import KERNEL_NOT_PREPARED, tell

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.claim import Claim
    from outlast.worker.slices.process import AnyKernel, Runtime

log = logging.getLogger("outlast.loading")


class NewerState(Exception):
    """The job's state is of a newer version of the kernel. Leave it to workers that have it."""


def ready_kernel(runtime: Runtime, claim: Claim, record: Record) -> AnyKernel:
    """Return the job's kernel, ready; its lease lives on while that takes time."""
    # Once more takes no time, and a thread would cost a short slice a tenth. For other parameters
    # it may: then the job comes back with a slice that did not advance it, and is worth a thread.
    if record.kernel in runtime.pace.prepared and record.guards.stalls <= 1:
        return _prepared_kernel(runtime, record)
    with runtime.repeat(claim.renewed, every_seconds=claim.seconds / 3):
        return _prepared_kernel(runtime, record)


def kernel_for(runtime: Runtime, record: Record) -> AnyKernel:
    """Return the job's kernel.

    Raises:
        UnknownKernel, NewerState: this worker is not one for the job.
    """
    kernel = runtime.kernels(record.kernel)
    if record.checkpoints and record.checkpoints[0].version > kernel.version:
        raise NewerState(
            f"job {record.job_id} was advanced by version {record.checkpoints[0].version} of "
            f"kernel {kernel.name!r}; this worker has version {kernel.version}: upgrade it"
        )
    try:
        kernel.require(kernel.Params.model_validate_json(record.params_json))
    except UnknownKernel:
        raise
    except BaseException as error:  # noqa: BLE001 - the slice is tried all the same, and counts
        log.debug("job %s: what it requires is not known: %s", record.job_id, line(error))
    return kernel


def _prepared_kernel(runtime: Runtime, record: Record) -> AnyKernel:
    """Return the job's kernel, ready to run without a long first step; raises as `kernel_for`."""
    kernel = kernel_for(runtime, record)
    try:
        # Else its child prepares it, which may take that down, too.
        if not (runtime.isolate or kernel.may_not_return):
            kernel.prepare(kernel.Params.model_validate_json(record.params_json))
    except BaseException as error:  # noqa: BLE001 - the slice is tried all the same, and counts
        tell(
            log,
            KERNEL_NOT_PREPARED,
            job_id=record.job_id,
            kernel=kernel.name,
            error=line(error),
            cause=error,
        )
    else:
        runtime.pace.prepared.add(kernel.name)
    return kernel
