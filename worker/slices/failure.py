"""How a slice ends whose kernel has raised an error."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StateTooLarge
from outlast.kernel import NonRetryable, UnknownKernel
from outlast.kernel.parts import class_of
from outlast.worker.slices.arrays import NoPlace
from outlast.worker.slices.health import is_decided, kind_of
from outlast.worker.slices.kernel_errors import described, line
from outlast.worker.slices.loading import tell_unprepared
from outlast.worker.slices.protocol import Errored, Failed
from outlast.worker.telemetry.events import KERNEL_FAILED, tell

if TYPE_CHECKING:
    from outlast.worker.slices.claimed_job import ClaimedJob

log = logging.getLogger("outlast.slice")

# Another attempt would come to the same.
ONLY_REPEAT = (StateTooLarge, NoPlace, NonRetryable)


def failure(job: ClaimedJob, error: BaseException, *, has_begun: bool) -> Failed | Errored:
    """Tell of an error; return how it ends the slice: for good if it can only repeat.

    Until the slice has begun, by coming to a safe point, the machine may be at fault.

    Raises:
        BrokenWorker: it is not the job's.
        UnknownKernel: the kernel lacks something here that other workers may have.
    """
    process, record = job.process, job.record
    if isinstance(error, UnknownKernel):
        job.is_used = False
        raise job.refused(error) from error
    reason = described(error, class_of(job.kernel))
    tell_unprepared(job, error)
    may_be_machines = not (process.is_alone or has_begun)
    if may_be_machines and process.health.is_suspect(error, record.kernel):
        job.doubt = kind_of(error), line(error)
        if not is_decided(error, record.guards, process.worker):
            job.is_used = False
            raise process.health.fault(record.job_id, reason) from error
    tell(
        log,
        KERNEL_FAILED,
        job_id=record.job_id,
        kernel=record.kernel,
        slice=record.slice_number,
        error=reason,
        cause=error,
    )
    job.told = reason
    return (Failed if isinstance(error, ONLY_REPEAT) else Errored)(reason)
