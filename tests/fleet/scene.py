"""What is in a world, and how much may go wrong there."""

# ruff: noqa: ARG002 - a kernel's methods have the parameters of the contract

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.kernels import Dividing, Params, Pieces, Result, State

if TYPE_CHECKING:
    from random import Random

    from tests.kernels import Stretch

JOB = "job"
# After the parts are added up, `run` does so many steps more where a job has a tail.
TAIL = 2

# What may go wrong, each so often.
FAULTS = (
    "crash",  # a process is gone; its message comes back, its lease ends
    "freeze",  # a process sleeps until its lease and its message's visibility have ended, and on
    "slow",  # time passes in which hearts beat, and nobody gets on
    "refused",  # the store or the queue does not do what it is asked, and answers so
    "unanswered",  # it does that, and the answer is lost
    "duplicate",  # a message is there twice
    "lost message",
    "lost job",  # the store has the job as it was at some time before
    "lost all",  # the store has everything as it was at some time before
)
# Where these happen, only a sweep can help.
LOSSES = {"lost message", "lost job", "lost all"}
SCRIPTS: tuple[tuple[str, ...], ...] = (
    (),
    (),
    ("pause", "resume"),
    ("pause", "resume", "pause", "resume"),
    ("pause", "free", "resume"),
    ("cancel",),
    ("delete",),
    ("delete", "submit"),
    ("pause", "delete", "submit", "pause", "resume"),
    ("cancel", "delete", "submit"),
    ("retry", "pause", "retry", "resume"),
)


@dataclass(frozen=True)
class Scene:
    """A world before anything has happened.

    Attributes:
        lengths: how many pieces, of a second each, the parts have; the second job has the others.
        window: how many groups of two parts are open at a time.
        script: what a person does, in order.
        budget: how often each of `FAULTS` may happen.
        fails, stumbles: the pieces at which the kernel raises an error once, for good or not.
        slices: whether some slices end after one step.
        has_tail: whether `run` goes on after the parts.
        ceiling: `max_compute_seconds`; None: there is none.
        is_batched: whether neighbours are read in one moment, as they may be.
        children_at_once: how many children whoever adds up reads together.
        takes_old_receipts: whether an ack works although the message was received again since.
        sweeps: how many sweeps there are at any time, beside those that are needed.
    """

    lengths: tuple[int, ...] = (1, 1)
    second: tuple[int, ...] = (1, 2)
    window: int = 1
    workers: int = 2
    script: tuple[str, ...] = ()
    budget: dict[str, int] = field(default_factory=dict)
    fails: tuple[int, ...] = ()
    stumbles: tuple[int, ...] = ()
    slices: bool = False
    has_tail: bool = False
    ceiling: float | None = None
    is_batched: bool = True
    children_at_once: int = 4
    takes_old_receipts: bool = False
    sweeps: int = 0

    @classmethod
    def drawn(cls, rng: Random) -> Scene:
        """Return a scene by chance."""
        lengths = _drawn_lengths(rng, 9)
        steps = sum(lengths)
        kinds = rng.sample(FAULTS, rng.choice((0, 1, 1, 2, 3, 4)))
        has_ceiling = rng.random() < 0.15
        return cls(
            lengths=lengths,
            second=_drawn_lengths(rng, 4),
            window=rng.choice((1, 1, 2, 2, 3)),
            workers=rng.choice((1, 2, 2, 3, 3, 4)),
            script=() if has_ceiling else rng.choice(SCRIPTS),
            budget={kind: rng.choice((1, 1, 2, 4)) for kind in kinds},
            fails=_drawn_pieces(rng, steps, 0.25),
            stumbles=_drawn_pieces(rng, steps, 0.15),
            slices=rng.random() < 0.4,
            has_tail=rng.random() < 0.2,
            ceiling=rng.uniform(0, steps) if has_ceiling else None,
            is_batched=rng.random() < 0.5,
            children_at_once=rng.choice((1, 4)),
            takes_old_receipts=rng.random() < 0.5,
            sweeps=rng.choice((0, 0, 2)),
        )


def _drawn_lengths(rng: Random, most: int) -> tuple[int, ...]:
    return tuple(rng.choice((1, 1, 2, 3)) for _ in range(rng.randint(1, most)))


def _drawn_pieces(rng: Random, steps: int, share: float) -> tuple[int, ...]:
    if rng.random() >= share:
        return ()
    return tuple(rng.randrange(steps) for _ in range(rng.choice((1, 1, 2))))


class Tailed(Dividing):
    """Leaves some steps to `run`."""

    def plan(self, params: Params) -> Pieces:
        """Let each step be a piece, without the last ones."""
        return Pieces(steps=params.steps - TAIL)

    def conclude(self, params: Params, plan: Pieces, total: Stretch) -> State | Result:
        """Return the state before the last steps."""
        return State(at=plan.steps, total=total.more)
