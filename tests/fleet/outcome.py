"""What became of a world, by its seed."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple

from tests.fleet.scene import Scene
from tests.fleet.world import World

if TYPE_CHECKING:
    from collections import Counter

    from tests.fleet.moves import Move, Policy


class Chance:
    """Decides by chance: mostly whoever went last goes on, now and then something goes wrong."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._stays = rng.choice((0.0, 0.5, 0.9, 0.97))
        self._fault = rng.choice((0.005, 0.02, 0.1))
        self._acts = rng.choice((0.01, 0.05, 0.3))

    def choose(self, world: World, moves: list[Move], faults: list[Move]) -> Move:
        """Return what happens next."""
        rng = self._rng
        if faults and rng.random() < self._fault:
            kind = rng.choice(sorted({move.kind for move in faults}))
            return rng.choice([move for move in faults if move.kind == kind])
        usual = [move for move in moves if move.kind in {"go", "take"}]
        others = [move for move in moves if move.kind not in {"go", "take"}]
        if others and (not usual or rng.random() < self._acts):
            return rng.choice(others)
        if usual[0].actor is world.last and rng.random() < self._stays:
            return usual[0]
        return rng.choice(usual)


class Outcome(NamedTuple):
    """One run of a world.

    Attributes:
        complaint: what was broken; empty if nothing was.
        figures: how often each thing happened.
        trace: what happened, one line each.
    """

    complaint: str
    figures: Counter[str]
    trace: list[str]


def play(scene: Scene, policy: Policy) -> Outcome:
    """Play a world to its end."""
    world = World(scene, policy)
    world.run()
    figures = world.ledger.figures + world.faults
    figures["moves"] = len(world.trace)
    figures["sweeps"] = world.swept
    return Outcome(world.ledger.complaint, figures, world.trace)


def run(seed: int) -> Outcome:
    """Play the world of a seed."""
    rng = Random(seed)
    return play(Scene.drawn(rng), Chance(rng))


def report(seed: int) -> str:
    """Return what a person needs in order to understand why a seed fails."""
    outcome = run(seed)
    return "\n".join(
        [*outcome.trace, str(Scene.drawn(Random(seed))), f"seed {seed}: {outcome.complaint}"]
    )
