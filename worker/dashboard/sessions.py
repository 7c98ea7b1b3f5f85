"""Who is logged in: sessions in the memory of one process, which end with it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# Without a request or an open page.
IDLE_SECONDS = 12 * 3600.0
# Beyond, the one that was used longest ago gives way.
MAX_SESSIONS = 1_000


class Sessions:
    """The sessions that are open, by the secret in the viewer's cookie."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When each was last used; the one used longest ago is first.
        self._used_at: dict[str, float] = {}

    def begin(self) -> str:
        """Return the secret of a new session."""
        if len(self._used_at) >= MAX_SESSIONS:
            self.end(next(iter(self._used_at)))
        session = secrets.token_urlsafe(32)
        self._used_at[session] = self._clock()
        return session

    def has(self, session: str) -> bool:
        """Whether the session is open; the question counts as a use."""
        used_at = self._used_at.pop(session, None)
        if used_at is None or self._clock() - used_at > IDLE_SECONDS:
            return False
        self._used_at[session] = self._clock()
        return True

    def end(self, session: str) -> None:
        """Close the session; it may be closed already."""
        self._used_at.pop(session, None)
