"""All orders in which the effects of a small job can happen, with some changes of turn and faults.

Whoever went last goes on, and of several choices the first one is taken; each world departs from
that in a few places only. For each further place it is played again from the beginning.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tests.fleet.outcome import Outcome, play
from tests.fleet.scene import Scene
from tests.fleet.world import FREEZES_SECONDS, SLOW_SECONDS

if TYPE_CHECKING:
    from tests.fleet.moves import Move
    from tests.fleet.stage import Actor
    from tests.fleet.world import World


class Small(NamedTuple):
    """A scene, and how far to go with it.

    Attributes:
        turns: how often another actor may go on although the last one could.
    """

    scene: Scene
    turns: int = 1


# In `make test`: all orders with two changes of turn, or one, and with each fault at each effect.
SMALL = {
    "plain": Small(Scene(lengths=(1, 1)), turns=2),
    "pause": Small(Scene(lengths=(1, 1), workers=1, script=("pause", "resume"))),
    "crash": Small(Scene(lengths=(1, 1, 1), budget={"crash": 1}), turns=0),
    "freeze": Small(Scene(lengths=(1, 1), budget={"freeze": 1}), turns=0),
    "unanswered": Small(Scene(lengths=(1, 1, 1), budget={"unanswered": 1}), turns=0),
}
LARGER = {
    "a crash": Small(Scene(lengths=(1, 1), budget={"crash": 1})),
    "two groups": Small(Scene(lengths=(1, 1, 1)), turns=2),
    "two groups, a crash": Small(Scene(lengths=(1, 1, 1), budget={"crash": 1})),
    "a frozen worker": Small(Scene(lengths=(1, 1), budget={"freeze": 1})),
    "a duplicate": Small(Scene(lengths=(1, 1, 1), budget={"duplicate": 1})),
    "an interruption": Small(Scene(lengths=(2, 1), slices=True, budget={"crash": 1})),
    "pause, two workers": Small(Scene(lengths=(1, 1), script=("pause", "resume")), turns=2),
    "a failure": Small(Scene(lengths=(1, 1), fails=(0,), budget={"crash": 1})),
    "a cancel": Small(Scene(lengths=(1, 1, 1), script=("cancel",)), turns=2),
    "the id again": Small(Scene(lengths=(1, 1), script=("delete", "submit")), turns=2),
    "a lost message": Small(Scene(lengths=(1, 1, 1), budget={"lost message": 1})),
    "a lost answer": Small(Scene(lengths=(1, 1), budget={"unanswered": 1})),
    "the store goes back": Small(Scene(lengths=(1, 1), budget={"lost all": 1})),
}


class Script:
    """Decides as it is written; from there on the first of all choices is taken.

    Attributes:
        branches: the other choices there were after what is written, each as a script.
    """

    def __init__(self, choices: dict[int, int], turns: int) -> None:
        self._choices = choices
        self._turns = turns
        self._taken = 0
        self._at = count()
        self._last = max(choices, default=-1)
        self.branches: list[dict[int, int]] = []

    def choose(self, world: World, moves: list[Move], faults: list[Move]) -> Move:
        """Return what happens next."""
        at = next(self._at)
        others = [*moves, *faults]
        chosen = self._choices.get(at, 0)
        can_stay = moves[0].actor is world.last and moves[0].kind == "go"
        if at > self._last:
            left = self._turns - self._taken
            ends = range(1, len(moves) if left > 0 or not can_stay else 1)
            for other in [*ends, *range(len(moves), len(others))]:
                self.branches.append({**self._choices, at: other})
        if can_stay and 0 < chosen < len(moves):
            self._taken += 1
        return others[chosen]


# A case that neither chance nor a few changes of turn lead to.
HALT = Scene(lengths=(1, 1, 1), script=("pause", "resume"), budget={"freeze": 1})


class Halt:
    """Freezes whoever is about to write a group's record, until the job was paused and resumed.

    So the messages of the group behind are sent and dropped, and whoever calls for them again does
    not find the record, which is there a moment later.
    """

    def choose(self, world: World, moves: list[Move], faults: list[Move]) -> Move:
        """Return what happens next."""
        figures, first = world.ledger.figures, moves[0]
        sleeps = [move for move in faults if move.actor and _writes_group(move.actor)]
        if sleeps:
            return max(sleeps, key=lambda move: move.number)
        if world.faults["freeze"] and not figures["pause"]:
            return next(move for move in moves if move.kind == "person")
        if first.kind == "person" and world.mailbox.letters:
            world.pass_time(SLOW_SECONDS)  # The sleeper's message comes back, and is dropped, too.
            return world._moves()[0]
        job = world.ledger.job
        assert job is not None
        assert job.fleet is not None
        if figures["resume"] and not job.fleet.is_owed and first.kind == "take":
            world.pass_time(max(FREEZES_SECONDS))
            return world._moves()[0]
        return first


def explore(small: Small, *, turns: int | None = None) -> Outcome:
    """Return the first world that breaks a promise, or the last one; `moves` counts all worlds."""
    todo: list[dict[int, int]] = [{}]
    worlds = 0
    while True:
        script = Script(todo.pop(), small.turns if turns is None else turns)
        outcome = play(small.scene, script)
        worlds += 1
        todo += script.branches
        if outcome.complaint or not todo:
            outcome.figures["worlds"] = worlds
            return outcome


def _writes_group(actor: Actor) -> bool:
    return actor.at.startswith("put parts/") and "/1/" in actor.at
