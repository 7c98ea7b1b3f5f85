"""What a worker has learned about time: how long steps, saves and endings take here."""

from __future__ import annotations

import math

# A measured time is trusted up to this factor the next time.
SAFETY = 1.5

# How fast a slow outlier is forgotten: a step in about twenty, a save in about five.
FORGET_STEP = 0.95
FORGET_SAVE = 0.8

# How long a worker is assumed to live until it is killed, for the interval between checkpoints:
# as long as the longest invocation of AWS Lambda.
SECONDS_BETWEEN_KILLS = 900.0
SHORTEST_INTERVAL_SECONDS = 1.0
LONGEST_INTERVAL_SECONDS = 20.0

LEASE_INTERVALS = 3
SHORTEST_LEASE_SECONDS = 5.0


class Timing:
    """Learned durations, kept for the life of a process, and what follows from them.

    Attributes:
        step_seconds: the longest recent step.
        save_seconds: the longest recent write of a checkpoint.
        opening_seconds: the longest recent begin of a slice, from the claim to the first step.
        ending_seconds: the longest recent end of a slice, from the last step to the last effect.
    """

    def __init__(self, *, checkpoint_seconds: float | None = None) -> None:
        """Start from nothing; `checkpoint_seconds` fixes the interval between checkpoints."""
        self._fixed_interval = checkpoint_seconds
        self.step_seconds = 0.0
        self.save_seconds = 0.0
        self.opening_seconds = 0.0
        self.ending_seconds = 0.0

    def saw_step(self, seconds: float) -> None:
        """Learn from a step."""
        self.step_seconds = max(seconds, self.step_seconds * FORGET_STEP)

    def saw_save(self, seconds: float) -> None:
        """Learn from a write to the store."""
        self.save_seconds = max(seconds, self.save_seconds * FORGET_SAVE)

    def saw_opening(self, seconds: float) -> None:
        """Learn from the begin of a slice."""
        self.opening_seconds = max(seconds, self.opening_seconds * FORGET_SAVE)

    def saw_ending(self, seconds: float) -> None:
        """Learn from the end of a slice."""
        self.ending_seconds = max(seconds, self.ending_seconds * FORGET_SAVE)

    @property
    def next_step_seconds(self) -> float:
        """The time to allow for one more step."""
        return SAFETY * self.step_seconds

    @property
    def reserve_seconds(self) -> float:
        """The time to keep back for the end of a slice: to save, send, announce and ack.

        Before any slice has ended it is taken for twice its opening, which makes one write, one
        request to the queue (none if a consumer hid the message at its receipt), and the
        connections to both.
        """
        return SAFETY * (self.ending_seconds or 2 * self.opening_seconds)

    def reserve_within(self, seconds: float) -> float:
        """The time to keep back of `seconds`: half of them at most.

        One answer that took a minute is no reason not to work at all in slices of a minute; nor
        would it be forgotten, as that takes slices.
        """
        return min(self.reserve_seconds, seconds / 2)

    @property
    def interval_seconds(self) -> float:
        """The time between two checkpoints, unless it was fixed.

        Young's formula, the square root of 2 x cost of a save x time between failures, balances
        the time spent on saving against the work that a kill loses (J. W. Young, "A first order
        approximation to the optimum checkpoint interval", 1974).
        """
        if self._fixed_interval is not None:
            return self._fixed_interval
        young = math.sqrt(2 * self.save_seconds * SECONDS_BETWEEN_KILLS)
        return min(max(young, SHORTEST_INTERVAL_SECONDS), LONGEST_INTERVAL_SECONDS)

    @property
    def at_risk_seconds(self) -> float:
        """The most work that a kill loses: one interval and one step."""
        return self.interval_seconds + self.next_step_seconds

    @property
    def lease_seconds(self) -> float:
        """How long a lease runs: a few intervals, so that one late save does not lose the job."""
        lease = LEASE_INTERVALS * self.interval_seconds + self.next_step_seconds
        return max(lease, SHORTEST_LEASE_SECONDS)
