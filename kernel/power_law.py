"""Interpolation between measured times, for the kernels' cost models."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def power_law(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return y at `x`, by the power of x that goes through the two points around it.

    `points` are at least two pairs of x and y, all positive, in the order of x. Outside of them the
    power of the nearest two holds.
    """
    pairs = list(pairwise(points))
    after = bisect_right(points, x, key=itemgetter(0))
    (low, first), (high, second) = pairs[min(max(after, 1), len(pairs)) - 1]
    return first * math.pow(x / low, math.log(second / first) / math.log(high / low))
