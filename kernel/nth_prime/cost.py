"""What `prime-count` and `nth-prime` take: a model fitted to measurements.

The reference core is one of an Intel Xeon that runs code compiled for x86-64-v3 (AVX2), as the
images do. docs/cost.md says how good the model is.
"""

from __future__ import annotations

import math
from functools import cache

from outlast.kernel.contract import Estimate
from outlast.kernel.nth_prime import plain
from outlast.kernel.nth_prime.gourdon import riemann
from outlast.kernel.nth_prime.gourdon.bounds import bytes_needed, divide
from outlast.kernel.power_law import power_law

# x, and the CPU seconds of one thread for π(x); in between the law is a power. Up to 10^18, and at
# 10^20 and 4.9·10^21, they are measured on an AMD EPYC: up to 10^16 by code for AVX2 and taken
# times 0.85, from there on by code for AVX-512 and divided by 0.7, the factor of that machine.
# Beyond 10^22 they grow as the model of `gourdon.work` does, by which parts are cut.
_COUNTING = (
    (1e12, 0.0090),
    (1e13, 0.034),
    (1e14, 0.125),
    (1e15, 0.48),
    (1e16, 1.78),
    (1e17, 7.4),
    (1e18, 32.0),
    (1e19, 145.0),
    (1e20, 660.0),
    (1e21, 2_900.0),
    (1e22, 13_800.0),
    (1e23, 69_000.0),
    (1e24, 380_000.0),
)
_TWICE = 2.1  # with other leaves, which take longer

_LEAST_SECONDS = 0.01  # Below it the model has nothing to say.

# From the estimated prime on, in proportion to √x; no second thread helps. From riemann.FAR on the
# estimate takes seconds, and what is left is in proportion to the number of primes to test.
_SIEVING_SECONDS = 7.1e-10
_ESTIMATING_SECONDS, _TESTING_SECONDS = 2.5, 1.5e-8

# Tables and sums that one thread makes while others wait are a part of it; the other one is what
# threads lose to each other, as two of them showed.
_SERIAL_SHARE = 0.08
# For each number m up to y, of one window at most.
_TABLE_SECONDS, _LEAST_TABLES = 5e-9, 0.002

# The plain sieve, for each number up to x; no second thread helps. Measured on another core.
_PLAIN_SECONDS = 1.5e-9
_LEAST_PLAIN_SECONDS = 0.001
_PLAIN_BYTES = 40 << 20  # the interpreter with pydantic, and segments

_PROCESS_BYTES = 240 << 20  # the interpreter with numba, which compiles


def of_count(x: int, *, verify: bool = False) -> Estimate:
    """Return what π(x) takes."""
    if x <= plain.LARGEST_NUMBER:
        return _of_plain_sieve(x)
    division = divide(x)
    seconds = max(power_law(_COUNTING, x), _LEAST_SECONDS)
    if verify:
        seconds *= _TWICE
    return Estimate(
        seconds=seconds,
        serial_seconds=_SERIAL_SHARE * seconds,
        resume_seconds=_LEAST_TABLES + _TABLE_SECONDS * min(division.y, division.window),
        memory_bytes=_PROCESS_BYTES + bytes_needed(division, 1),
        # Mostly the carry of D, one number for each prime up to about x^(1/4).
        state_bytes=200 + round(34_000 * (x / 1e18) ** 0.245),
    )


def of_prime(n: int, *, verify: bool = False) -> Estimate:
    """Return what the n-th prime takes: to count up to near it, and to search on."""
    x = _about(n)
    if n <= plain.LARGEST_POSITION:
        return _of_plain_sieve(x)
    counting, searching = of_count(x, verify=verify), _of_search(x)
    return Estimate(
        seconds=counting.seconds + searching,
        serial_seconds=counting.serial_seconds + searching,
        resume_seconds=counting.resume_seconds,
        memory_bytes=counting.memory_bytes,
        state_bytes=counting.state_bytes,
        undivided_seconds=searching,
    )


@cache
def counting_share(n: int) -> float:
    """Return which share of the time of the n-th prime is over once the primes are counted."""
    x = _about(n)
    counting = of_count(x).seconds
    return counting / (counting + _of_search(x))


def _about(n: int) -> int:
    """Return about the n-th prime: within 1% from n = 10^5 on."""
    log = math.log(max(n, 6))
    return int(n * (log + math.log(log) - 1)) + 2


def _of_search(x: int) -> float:
    """Return the seconds from an estimate of a prime near x to the prime, without the count."""
    if x < riemann.FAR:
        return _SIEVING_SECONDS * math.sqrt(x)
    return _ESTIMATING_SECONDS + _TESTING_SECONDS * math.sqrt(x) / math.log(x)


def _of_plain_sieve(x: int) -> Estimate:
    """Return what it takes to sieve up to x in pure Python."""
    seconds = max(_PLAIN_SECONDS * x, _LEAST_PLAIN_SECONDS)
    return Estimate(
        seconds=seconds,
        serial_seconds=seconds,
        resume_seconds=0.0,
        memory_bytes=_PLAIN_BYTES,
        state_bytes=70,
        undivided_seconds=seconds,
    )
