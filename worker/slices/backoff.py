"""How long to wait before another attempt."""

from __future__ import annotations

# A float cannot grow without end.
MAX_DOUBLINGS = 32


def backoff(attempts: int, *, first: float, longest: float, factor: float = 2.0) -> float:
    """Return the seconds to wait after so many attempts: `first`, then `factor` times as long."""
    return min(first * factor ** min(attempts, MAX_DOUBLINGS), longest)
