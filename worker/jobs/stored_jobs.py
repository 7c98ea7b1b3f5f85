"""The jobs of a store, for who only looks at them: a client would import what changes them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.registers import open_register
from outlast.worker.settings import read_settings

if TYPE_CHECKING:
    from outlast.worker.settings import Settings


def stored_jobs(settings: Settings | None = None) -> JobStore:
    """Return the jobs in the store of the settings (None: those of the environment).

    A store in a file is neither created nor changed.

    Raises:
        InvalidSettings, InvalidStoreUrl: a setting is wrong.
    """
    settings = settings or read_settings()
    return JobStore(open_register(settings.store, read_only=True))
