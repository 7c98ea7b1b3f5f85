"""Where the arrays of a store's jobs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.checkpoint.blobs import open_blobs

if TYPE_CHECKING:
    from outlast.checkpoint.blobs.contract import BlobStore
    from outlast.checkpoint.job_store import JobStore
    from outlast.worker.settings import Settings


def open_place(settings: Settings, jobs: JobStore, *, read_only: bool = False) -> BlobStore | None:
    """Return where the settings keep the arrays of these jobs; None: nowhere. Nothing is asked yet.

    In a place that was chosen each store has a part of its own: others may have chosen it, too.
    With `read_only` the store is asked whether it has one, and not changed.
    """
    if not settings.blobs:
        return None
    if "blobs" not in settings.model_fields_set:
        return open_blobs(settings.blobs)
    if read_only and not jobs.known_identity():
        return None
    return open_blobs(settings.blobs, part=lambda: f"{jobs.identity}/")
