"""Whose turn it is to sweep, and how far the sweep has come: one value that a fleet shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.fields import Count, Part, Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.checkpoint.register import Register

KEY = "sweep"

FULL_SECONDS = 86_400.0
# Workers look at different times: one that comes a little early need not come again.
EARLY_SHARE = 0.1


class Turn(Part, defer_build=True):
    """The newest turn.

    Attributes:
        worker: who has it.
        at: when it was taken or last noted.
        after: the job up to which the sweep has come; "": it has just begun, or is done.
        is_full: whether the sweep looks at every job, not only at those that are marked as open.
        full_at: when the last full sweep was done; 0: none was.
        reached: of all messages that were received, the newest is known to be of that time.
        number: of this value, as no two may be the same.
    """

    worker: str = ""
    at: Seconds = 0.0
    after: str = ""
    is_full: bool = False
    full_at: Seconds = 0.0
    reached: Seconds = 0.0
    number: Count = 0


class StoredTurn(NamedTuple):
    """The turn as it was read or written; version None: there was none."""

    turn: Turn
    version: str | None


class SweepTurns:
    """Gives the turn to one worker at a time. All methods raise StoreUnavailable where it does."""

    def __init__(self, register: Register, clock: Callable[[], float]) -> None:
        self._register = register
        self._clock = clock

    def take(
        self,
        worker: str = "",
        *,
        every_seconds: float = 0.0,
        from_start: bool = False,
        every_job: bool = False,
    ) -> StoredTurn | None:
        """Take the turn; None: someone has it, or had it less than `every_seconds` ago.

        A turn that lies in the future by more than that is none: a clock was wrong. The sweep goes
        on where the last one broke off, unless `from_start`. A new one is full once a day, and with
        `every_job` at any rate.
        """
        stored, now = self._read(), self._clock()
        if abs(now - stored.turn.at) < (1 - EARLY_SHARE) * every_seconds:
            return None
        after = "" if from_start or every_job else stored.turn.after
        full_at = 0.0 if every_job else stored.turn.full_at
        is_full = stored.turn.is_full if after else abs(now - full_at) >= FULL_SECONDS
        try:
            return self.note(stored, worker=worker, after=after, full_at=full_at, is_full=is_full)
        except VersionConflict:
            return None

    def note(self, stored: StoredTurn, **changes: object) -> StoredTurn:
        """Store the turn with these changes.

        Raises:
            VersionConflict: someone else has taken it.
        """
        number = {"number": stored.turn.number + 1, "at": self._clock()}
        turn = stored.turn.model_copy(update={**number, **changes})
        value = turn.model_dump_json().encode()
        return StoredTurn(turn, self._register.write(KEY, value, expected=stored.version))

    def _read(self) -> StoredTurn:
        stored = self._register.read(KEY)
        if stored is None:
            return StoredTurn(Turn(), None)
        try:
            return StoredTurn(Turn.model_validate_json(stored.value), stored.version)
        except ValidationError:  # damaged: begin anew
            return StoredTurn(Turn(), stored.version)
