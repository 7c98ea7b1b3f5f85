"""What became of dead letters, as far as the store tells: one that is away hides none of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable
from outlast.kernel.registry import names
from outlast.worker.cli.output import say
from outlast.worker.cli.places import with_variable
from outlast.worker.jobs.diagnosis import Diagnosis, diagnose
from outlast.worker.jobs.stored_jobs import stored_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.checkpoint.job_store import JobStore


class Diagnoses:
    """Diagnoses dead letters; says once that the store does not answer, and goes on without it."""

    def __init__(self) -> None:
        self._jobs: JobStore | None = None
        self._kernels = names()
        with self._asking():
            self._jobs = stored_jobs()

    def of(self, body: str) -> Diagnosis:
        """Return the diagnosis of a dead letter with this `body`."""
        with self._asking():
            return diagnose(self._jobs, self._kernels, body)
        return diagnose(self._jobs, self._kernels, body)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable as error:
            say(with_variable(error))
            self._jobs = None  # Each further letter would wait for it anew.
