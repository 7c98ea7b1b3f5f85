"""Chunks that are deleted on a thread of their own."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from outlast.checkpoint.errors import StoreUnavailable

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
        """Wait until it has ended, and return what is gone: all of it, or nothing for sure."""
        if self._names:
            self._thread.join()
        return self._deleted

    def _run(self) -> None:
        try:
            self._blobs.delete(self._names)
            self._deleted = self._names
        except StoreUnavailable as error:
            log.debug("%d chunks are to be deleted later: %s", len(self._names), error)
