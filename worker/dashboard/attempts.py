"""Wrong tokens, and how long those who enter them must wait."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

# A person mistypes. From then on the wait doubles with each wrong token.
FREE_ATTEMPTS = 3
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
# After the last wrong token of an address; longer than the longest wait.
FORGET_SECONDS = 3600.0
# All further ones share one wait. So all together enter a token for each address in
# LONGEST_WAIT_SECONDS at most, 17 a second.
MAX_ADDRESSES = 1_000
OTHERS = "others"
# What one person has of the addresses of version 6.
PREFIX_BITS = 64


class _Failures(NamedTuple):
    tokens: int
    last_at: float


class Attempts:
    """The wrong tokens that each address has entered in a row."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The address that failed longest ago is first.
        self._failures: dict[str, _Failures] = {}

    def wait_seconds(self, address: str) -> float:
        """Return how long the address must wait until it may enter a token; 0: it may now."""
        tokens, last_at = self._failures.get(self._key(address), _Failures(0, 0.0))
        if tokens < FREE_ATTEMPTS:
            return 0.0
        doublings = min(tokens - FREE_ATTEMPTS, 10)
        wait = min(FIRST_WAIT_SECONDS * 2.0**doublings, LONGEST_WAIT_SECONDS)
        return max(last_at + wait - self._clock(), 0.0)

    def fail(self, address: str) -> int:
        """Note a wrong token; return how many the address has entered in a row."""
        key = self._key(address)
        tokens = self._failures.pop(key, _Failures(0, 0.0)).tokens + 1
        self._failures[key] = _Failures(tokens, self._clock())
        return tokens

    def succeed(self, address: str) -> None:
        """Note the right token: the address begins anew."""
        self._failures.pop(self._key(address), None)

    def _key(self, address: str) -> str:
        while self._failures:
            oldest = next(iter(self._failures))
            if self._clock() - self._failures[oldest].last_at < FORGET_SECONDS:
                break
            del self._failures[oldest]
        key = _prefix(address)
        is_known = key in self._failures or len(self._failures) < MAX_ADDRESSES
        return key if is_known else OTHERS


def _prefix(address: str) -> str:
    """Return what all addresses of one person have in common."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip), PREFIX_BITS), strict=False))
