"""The plan of a divided job, which has to fit the kernel that is installed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from outlast.checkpoint.safe_text import first_error
from outlast.kernel.bulk import Bulk, loaded
from outlast.worker.slices.loading import NewerState
from outlast.worker.slices.reading import Unreadable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from outlast.kernel.parts import AnyDivisible
    from outlast.worker.slices.fleet.last_cut import Cut


def plan_of(kernel: AnyDivisible, cut: Cut, job_id: str) -> BaseModel:
    """Return the plan by which the job is cut.

    Raises:
        NewerState: a newer version of the kernel has made it.
        Unreadable: it does not fit this version.
    """
    if cut.version > kernel.version:
        raise NewerState(
            f"job {job_id} was cut by version {cut.version} of kernel {kernel.name!r}; this worker "
            f"has version {kernel.version}: upgrade it"
        )
    try:
        plan: BaseModel = loaded(kernel.Plan, cut.plan, Bulk())
    except ValidationError as error:
        misfit = first_error(error)
    else:
        return plan
    # Without its cause: pydantic's own words have many lines, and repeat the plan.
    is_known = 0 < cut.version < kernel.version
    maker = f"version {cut.version}" if is_known else "other code"
    raise Unreadable(
        f"its plan was made by {maker} of kernel {kernel.name!r} and does not fit version "
        f"{kernel.version}, which this worker has ({misfit}): submit the job again, or retry it "
        f"where {maker if is_known else 'that'} is installed"
    )
