"""A job's kernel, loaded and prepared."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.kernel import UnknownKernel
from outlast.kernel.bulk import Bulk, Stored, loaded
from outlast.kernel.errors import UnloadableKernel
from outlast.worker.slices.kernel_errors import line
from outlast.worker.slices.reading import read_state
from outlast.worker.telemetry.events import KERNEL_NOT_PREPARED, tell

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.claimed_job import ClaimedJob
    from outlast.worker.slices.worker_process import AnyKernel, WorkerProcess

log = logging.getLogger("outlast.loading")


class NewerState(Exception):
    """A newer version of the kernel has advanced or cut the job. Leave it to workers with that."""


def load_kernel(job: ClaimedJob, *, prepare: bool = True) -> None:
    """Load `job.kernel`, prepare it unless it is not to run, and read what it begins with.

    Where this worker cannot, the record will tell why, for who waits for the job.

    Raises:
        UnknownKernel, NewerState: this worker cannot run the job.
        BrokenWorker: nor, perhaps, any other one.
        Unreadable: what the job has is damaged, or its plan does not fit the kernel.
        StoreUnavailable: its arrays cannot be read.
    """
    try:
        _load(job, prepare=prepare)
        job.renew()  # It may have been cancelled meanwhile.
        job.restored = read_state(job)
    except (UnknownKernel, NewerState, StoreUnavailable) as error:
        refusal = job.refused(error)
        if isinstance(error, UnloadableKernel):
            raise job.process.health.fault(job.record.job_id, str(error)) from error
        if isinstance(error, UnknownKernel):
            raise refusal from error
        raise


def tell_unprepared(job: ClaimedJob, error: BaseException | None = None) -> None:
    """Tell what the kernel raised as it prepared, unless its run has raised the same `error`."""
    unprepared, job.unprepared = job.unprepared, None
    if unprepared is None or (error is not None and line(error) == line(unprepared)):
        return
    tell(
        log,
        KERNEL_NOT_PREPARED,
        job_id=job.record.job_id,
        kernel=job.record.kernel,
        error=line(unprepared),
        cause=unprepared,
    )


def require_runnable(process: WorkerProcess, record: Record) -> None:
    """Do nothing if this worker has what the job needs.

    Raises:
        UnknownKernel, NewerState: it has not.
    """
    # Without its arrays, on which no package depends.
    require_packages(_kernel_for(process, record), Stored(record.params_json.encode(), Bulk()))


def require_packages(kernel: AnyKernel, params: Stored) -> None:
    """Do nothing if the packages are installed that a job with these parameters needs.

    Raises:
        UnknownKernel: one is missing.
    """
    try:
        kernel.require(loaded(kernel.Params, *params))
    except UnknownKernel:
        raise
    except BaseException as error:  # noqa: BLE001 - the slice is tried all the same, and tells
        log.debug("kernel %s: what it requires is not known: %s", kernel.name, line(error))


def _kernel_for(process: WorkerProcess, record: Record) -> AnyKernel:
    kernel = process.kernels(record.kernel)
    if record.node is not None:
        from outlast.worker.slices.fleet.part_kernel import part_kernel  # most jobs have no parts

        kernel = part_kernel(kernel)
    if record.checkpoints and record.checkpoints[0].version > kernel.version:
        raise NewerState(
            f"job {record.job_id} was advanced by version {record.checkpoints[0].version} of "
            f"kernel {kernel.name!r}; this worker has version {kernel.version}: upgrade it"
        )
    return kernel


def _load(job: ClaimedJob, *, prepare: bool) -> None:
    process, kernel = job.process, _kernel_for(job.process, job.record)
    job.kernel = kernel
    stored = job.stored_params
    try:
        # Not `job.params`: what a kernel changes in them here must not reach its run.
        params = loaded(kernel.Params, *stored)
        job.require_packages(params)
        # The child of an isolated kernel prepares it, which may take that process down, too.
        if prepare and not process.isolates(kernel):
            job.prepares_since = process.clock()
            kernel.prepare(params)
    except UnknownKernel:
        raise
    except BaseException as error:  # noqa: BLE001 - the slice is tried all the same, and counts
        job.unprepared = error
        # Its run may take the process down, and this may be why. What may be the machine's fault
        # is told as that.
        if not process.health.is_suspect(error, kernel.name):
            tell_unprepared(job)
    finally:
        job.prepares_since = None
