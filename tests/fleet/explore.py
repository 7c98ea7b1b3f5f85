"""All orders in which the effects of a small job can happen, with some changes of turn and faults.

Whoever goes on goes on, and where there is a choice the first one is taken; each world differs from
that in a few places only. They are gone through by playing a world again for each further place.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tests.fleet.outcome import Outcome, play
from tests.fleet.scene import Scene

if TYPE_CHECKING:
    from tests.fleet.world import Move, World


class Small(NamedTuple):
    """A scene, and how far to go with it.

    Attributes:
        turns: how often another one may go on although the last one could.
    """

    scene: Scene
    turns: int = 1


# In `make test`. All are gone through further by `python -m tests.fleet every`.
SMALL = {
    "plain": Small(Scene(lengths=(1, 1)), turns=2),
    "crash": Small(Scene(lengths=(1, 1), budget={"crash": 1})),
    "pause": Small(Scene(lengths=(1, 1), workers=1, script=("pause", "resume"))),
}
LARGER = {
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
