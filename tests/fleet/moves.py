"""What may happen next in a world, and who decides that."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tests.fleet.shelf import Letter
    from tests.fleet.stage import Actor
    from tests.fleet.world import World


class Move(NamedTuple):
    """One thing that may happen next.

    Attributes:
        kind: "go", "take", "person", "sweep", or one of `FAULTS`.
        actor: who does it, or to whom it happens.
        letter: which message. number: for how long, or up to which write.
    """

    kind: str
    actor: Actor | None = None
    letter: Letter | None = None
    number: float = 0.0


class Policy(Protocol):
    """Who decides."""

    def choose(self, world: World, moves: list[Move], faults: list[Move]) -> Move:
        """Return what happens next, of what may go on and what may go wrong."""
