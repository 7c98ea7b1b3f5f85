"""Chunks that are deleted on a thread of their own."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.checkpoint.blobs.contract import BlobStore

log = logging.getLogger("outlast.blobs")


class Deletion:
    """Deletes chunks while others are sent. What fails may be tried again at any time."""

    def __init__(self, blobs: BlobStore, names: Sequence[str]) -> None:
        """Begin to delete."""
        self._blobs, self._names = blobs, tuple(names)
        self._deleted: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._run, name="outlast-deleting", daemon=True)
        if names:
            self._thread.start()

    def deleted(self) -> tuple[str, ...]:
        """Return what is gone by now: all of it, or nothing for sure."""
        return self._deleted

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._blobs.delete(self._names)
            self._deleted = self._names
        except CheckpointError as error:
            log.warning("%d old chunks were not deleted: %s", len(self._names), error)
