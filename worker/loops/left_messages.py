"""What a worker tells of the messages that it leaves where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outlast.worker.loops.errors import NOT_HERE
from outlast.worker.telemetry.events import MESSAGE_LEFT, tell

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

# Less than the 15 minutes over which docs/operations.md has the alarm look.
TOLD_AGAIN_SECONDS = 600.0


class LeftMessages:
    """Tells of each message that is left; of a job that cannot run here now and then.

    Such a job may be divided, and each of its parts has a message that comes back again and again.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._told_at: dict[str, float] = {}

    def tell(self, error: Exception) -> None:
        """Tell that a message is left because of `error`, unless that was told lately."""
        text = str(error)
        if not isinstance(error, NOT_HERE) or self._is_due(text):
            tell(self._log, MESSAGE_LEFT, error=text, error_type=type(error).__name__)

    def _is_due(self, text: str) -> bool:
        now = self._clock()
        told = {text: at for text, at in self._told_at.items() if now - at < TOLD_AGAIN_SECONDS}
        self._told_at = {text: now} | told
        return text not in told
