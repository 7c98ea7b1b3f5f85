"""What became of dead letters, as far as the store tells: one that is away hides none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.kernel.registry import names
from outlast.worker.cli.output import say
from outlast.worker.cli.places import with_variable
from outlast.worker.jobs.diagnosis import Diagnosis, diagnose
from outlast.worker.jobs.stored_jobs import stored_jobs

if TYPE_CHECKING:
    from outlast.checkpoint.job_store import JobStore


class Diagnoses:
    """Diagnoses dead letters; says once that the store does not answer, and goes on without it."""

    def __init__(self) -> None:
        self._jobs: JobStore | None = None
        self._kernels = names()
        try:
            self._jobs = stored_jobs()
        except StoreUnavailable as error:
            self._do_without(error)

    def of(self, body: str) -> Diagnosis:
        """Return the diagnosis of a dead letter with this `body`."""
        try:
            return diagnose(self._jobs, self._kernels, body)
        except StoreUnavailable as error:
            self._do_without(error)
            return diagnose(None, self._kernels, body)

    def _do_without(self, error: StoreUnavailable) -> None:
        say(with_variable(error))
        self._jobs = None  # Each further letter would wait for it anew.
