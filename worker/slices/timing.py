"""What a worker has learned about time: how long writes, openings and endings take here.

How long the steps of a job take is kept with the job: see `Pace`. Here is what is the same for all
jobs of a process, and what follows from both.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

# A measured time is trusted up to this factor the next time.
SAFETY = 1.5
# So many measurements of a write are kept.
RECENT = 3
# How much of a measured time is left with each later one, so that an outlier is soon forgotten.
FORGET = 0.8
FORGET_STEP = 0.95  # A slice has many steps, and some of them may well take longer.

# The share of its time that a slice has for its steps, whatever was learned.
FAIR_SHARE = 0.5
# The share that arrays may take which have to be sent at its end.
MOST_FOR_ARRAYS = 0.8

# Below this size the time of a write says something about the store's answers, above it about its
# throughput; which is taken for a slow one until it is known.
LARGE_BYTES = 256 << 10
# No store is that slow: this process slept.
LONGEST_ANSWER_SECONDS = 10.0
FIRST_SECONDS_PER_BYTE = 1 / 1e6
FIRST_SECONDS_PER_ARRAY_BYTE = 1 / 50e6
# What a save of arrays takes from its kernel: the time of a copy.
COPY_SECONDS_PER_BYTE = 1 / 1e9

# How long a worker is assumed to live until it is killed, for the interval between checkpoints:
# as long as the longest invocation of AWS Lambda.
SECONDS_BETWEEN_KILLS = 900.0
SHORTEST_INTERVAL_SECONDS = 1.0
LONGEST_INTERVAL_SECONDS = 20.0

LEASE_INTERVALS = 3
SHORTEST_LEASE_SECONDS = 5.0


class Budget(NamedTuple):
    """The time of one slice.

    Attributes:
        seconds: all of it, from now to the last effect.
        reserve: what is kept back of it for the end of the slice.
    """

    seconds: float
    reserve: float

    @property
    def fair_seconds(self) -> float:
        """How long the steps may go on in any case, whatever was learned of them."""
        return min(FAIR_SHARE * self.seconds, self.seconds - self.reserve)


def longest_lately(before: float, seconds: float, *, is_first: bool) -> float:
    """Return how long a step may take, or the first one of a slice, after one of such seconds."""
    return max(seconds, (FORGET if is_first else FORGET_STEP) * before)


class _Typical:
    """The middle one of the last measurements: one that a sleeping machine made does not count."""

    def __init__(self, guess: float) -> None:
        """Give `guess` until something was measured."""
        self.value = guess
        self.is_known = False
        self._measured: deque[float] = deque(maxlen=RECENT)

    def guess(self, guess: float) -> None:
        if not self._measured:
            self.value, self.is_known = guess, True

    def saw(self, measured: float) -> None:
        self._measured.append(measured)
        self.value = sorted(self._measured)[(len(self._measured) - 1) // 2]
        self.is_known = True


class Timing:
    """Learned durations, kept for the life of a process, and what follows from them.

    Where `state_bytes` is asked for, it is the size of what will be written; 0 is a record without
    a state. `bulk_bytes` is that of arrays, which are sent while the kernel goes on.
    """

    def __init__(self, *, checkpoint_seconds: float | None = None) -> None:
        """Start from nothing; `checkpoint_seconds` fixes the interval between checkpoints."""
        self._fixed_interval = checkpoint_seconds
        self._answer_seconds = _Typical(0.0)
        self._seconds_per_byte = _Typical(FIRST_SECONDS_PER_BYTE)
        self._seconds_per_array_byte = _Typical(FIRST_SECONDS_PER_ARRAY_BYTE)
        self._seconds_per_byte_under_way = 0.0
        # How many bytes of arrays the last save of the job at hand is likely to send.
        self.bytes_to_send = 0
        self._opening_seconds = 0.0
        self._ending_seconds = 0.0

    def saw_write(self, seconds: float, state_bytes: int) -> None:
        """Learn from a write to the store, or from a save, which also makes the bytes."""
        if state_bytes < LARGE_BYTES:
            self._answer_seconds.saw(min(seconds, LONGEST_ANSWER_SECONDS))
        else:
            sending = max(seconds - self._answer_seconds.value, 0.0)
            self._seconds_per_byte.saw(sending / state_bytes)

    def sees_sending(self, seconds: float, sent_bytes: int) -> None:
        """Learn from arrays that are being sent, as long as they are: a store may become slow."""
        seen = seconds / sent_bytes
        self._seconds_per_byte_under_way = max(self._seconds_per_byte_under_way, seen)

    def saw_sending(self, seconds: float, sent_bytes: int) -> None:
        """Learn from arrays that were sent."""
        self._seconds_per_byte_under_way = 0.0
        if sent_bytes >= LARGE_BYTES:
            self._seconds_per_array_byte.saw(seconds / sent_bytes)

    def saw_reading(self, seconds: float, read_bytes: int) -> None:
        """Learn from arrays that were read, as long as none was sent: a store may be as quick."""
        if read_bytes >= LARGE_BYTES:
            self._seconds_per_array_byte.guess(seconds / read_bytes)

    @property
    def knows_sending(self) -> bool:
        """Whether arrays were sent or read in this process."""
        return self._seconds_per_array_byte.is_known

    def sending_seconds(self, bulk_bytes: int) -> float:
        """Return how long it is likely to take to send so many bytes of arrays."""
        known, seen = self._seconds_per_array_byte.value, self._seconds_per_byte_under_way
        return bulk_bytes * max(known, seen)

    def forget_job(self) -> None:
        """Forget the job at hand."""
        self.bytes_to_send, self._seconds_per_byte_under_way = 0, 0.0

    def last_save_seconds(self) -> float:
        """Return how much longer a stop may take for the arrays of the job at hand."""
        return SAFETY * self.sending_seconds(self.bytes_to_send)

    def saw_opening(self, seconds: float) -> None:
        """Learn from the begin of a slice: from the claim to the first step."""
        self._opening_seconds = max(seconds, FORGET * self._opening_seconds)

    def saw_ending(self, seconds: float, state_bytes: int) -> None:
        """Learn from the end of a slice: from the last step to the last effect."""
        fixed = max(seconds - self._sending_seconds(state_bytes), 0.0)
        self._ending_seconds = max(fixed, FORGET * self._ending_seconds)

    def _sending_seconds(self, state_bytes: int) -> float:
        return state_bytes * self._seconds_per_byte.value

    def write_seconds(self, state_bytes: int) -> float:
        """Return how long a write of that size is likely to take."""
        return self._answer_seconds.value + self._sending_seconds(state_bytes)

    def reserve_seconds(self, state_bytes: int = 0, bulk_bytes: int = 0) -> float:
        """Return the time to keep back for the end of a slice: to save, send, announce and ack.

        So many bytes of arrays are likely to be sent besides.

        Before any slice has ended, all but the bytes is taken for thrice the opening, which makes
        half as many requests, and the connections to store and queue.
        """
        fixed = self._ending_seconds or 3 * self._opening_seconds
        sending = self._sending_seconds(state_bytes) + self.sending_seconds(bulk_bytes)
        return SAFETY * (fixed + sending)

    def budget(self, seconds: float, state_bytes: int = 0, bulk_bytes: int = 0) -> Budget:
        """Return how to divide `seconds`, of which the steps have their fair share."""
        needed = self.reserve_seconds(state_bytes, bulk_bytes)
        # Arrays are no guess: they have to be sent, or the slice was in vain.
        sending = min(self.sending_seconds(bulk_bytes), MOST_FOR_ARRAYS * seconds)
        reserve = min(needed, max((1 - FAIR_SHARE) * seconds, sending))
        return Budget(seconds, reserve)

    def interval_seconds(self, state_bytes: int = 0, bulk_bytes: int = 0) -> float:
        """Return the time between two checkpoints, unless it was fixed.

        Young's formula, the square root of 2 x cost of a save x time between failures, balances
        the time spent on saving against the work that a kill loses (J. W. Young, "A first order
        approximation to the optimum checkpoint interval", 1974).
        """
        if self._fixed_interval is not None:
            return self._fixed_interval
        cost = self.write_seconds(state_bytes) + COPY_SECONDS_PER_BYTE * bulk_bytes
        young = math.sqrt(2 * cost * SECONDS_BETWEEN_KILLS)
        return min(max(young, SHORTEST_INTERVAL_SECONDS), LONGEST_INTERVAL_SECONDS)

    def lease_seconds(self, state_bytes: int = 0) -> float:
        """Return how long a lease runs: some intervals and the write that renews it.

        So one late save does not lose the job. What takes longer between two saves, a step or a
        fixed interval, is covered by the heartbeat.
        """
        interval = min(self.interval_seconds(state_bytes), LONGEST_INTERVAL_SECONDS)
        lease = LEASE_INTERVALS * interval + SAFETY * self.write_seconds(state_bytes)
        return max(lease, SHORTEST_LEASE_SECONDS)
