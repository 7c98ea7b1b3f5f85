"""Which of the numbers that a sieve by small primes leaves are prime: by strong tests, exactly.

n - 1 = 2^s·d with d odd. A prime n passes for each base a: a^d is 1 modulo n, or one of a^d,
a^(2d), …, a^(2^(s-1)·d) is -1. No composite below 3.3·10^24 passes for all of the first 13 primes
(J. Sorenson and J. Webster, *Strong pseudoprimes to twelve prime bases*, Math. Comp. 86, 2017).

Many numbers are tested at a time, so that loops over them become vector instructions. A number
is three limbs of 28 bits. Powers are in Montgomery's form, x·2^84 modulo n, and kept below 1.6·n
instead of n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve import wheel
from outlast.kernel.nth_prime.sieve.bits import ones

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41)

FIRST_WORD = (1 << 66) // NUMBERS_PER_WORD
"""The first word whose numbers can be tested; the last ones are below 2^80."""

_LANES = 64  # numbers that are tested at a time
_WORDS_AT_ONCE = 512

_BITS = uint64(28)
_LIMB = uint64((1 << 28) - 1)

# The rows of a table, _LANES numbers each. All are in one array, at constant distances: so it is
# known to the compiler that none overlaps another. A number has a row for each limb, the low one
# first.
_N = 0
_X = 3 * _LANES
_ONE, _MINUS_ONE = 6 * _LANES, 9 * _LANES  # in Montgomery's form
_INVERSE = 12 * _LANES  # -1/n modulo 2^28
_RECIPROCAL = 13 * _LANES  # 2^32 over one more than the high limb of n
_TWOS = 14 * _LANES  # s
_PASSED = 15 * _LANES
_INDEX = 16 * _LANES  # which bit of the words it is
_ROWS = 17
_TABLE = _ROWS * _LANES

_MIDDLE, _HIGH = _LANES, 2 * _LANES

# Added to what may be negative, and a multiple of 2^28.
_BIAS = uint64(1 << 40)
_CARRIED = uint64(1 << 12)


def keep_primes(words: NDArray[np.uint64], first: int) -> Generator[None]:
    """Clear the bits of the composite numbers; yield after every few milliseconds of work.

    `first` is the index of the first word, FIRST_WORD at least. The bits are those of numbers that
    no small prime divides, or else it takes long.
    """
    offsets, bases = np.array(wheel.OFFSETS), np.array(BASES, np.uint64)
    tables = np.empty(2 * _TABLE, np.uint64)
    for begin in range(0, words.size, _WORDS_AT_ONCE):
        some = words[begin : begin + _WORDS_AT_ONCE]
        _keep(some, _limbs(NUMBERS_PER_WORD * (first + begin)), offsets, bases, tables)
        yield


def _limbs(number: int) -> tuple[int, int, int]:
    limb = (1 << 28) - 1
    return number & limb, (number >> 28) & limb, number >> 56


@jit
def _keep(
    words: NDArray[np.uint64],
    first: tuple[int, int, int],
    offsets: NDArray[np.int64],
    bases: NDArray[np.uint64],
    tables: NDArray[np.uint64],
) -> None:
    """Clear the bits of the composite numbers.

    Args:
        words: fewer than 2^20.
        first: the limbs of the number at which they begin.
        offsets: what the bits of a word add to its number.
        bases: BASES.
        tables: room for two.
    """
    fresh, likely = tables[:_TABLE], tables[_TABLE:]
    some = many = int64(0)
    for i in range(words.size):
        word = words[i]
        while word != uint64(0):
            low = word & (~word + uint64(1))
            word ^= low
            bit = ones(low - uint64(1))
            _put(fresh, some, first, 240 * i + offsets[bit], 64 * i + bit)
            some += 1
            if some == _LANES:
                many = _sift(words, tables, some, many, bases)
                some = int64(0)
    if some:
        many = _sift(words, tables, some, many, bases)
    if many:
        _test_all(words, likely, many, bases)


@jit
def _put(
    table: NDArray[np.uint64], lane: int, first: tuple[int, int, int], ahead: int, index: int
) -> None:
    """Make first + ahead the number of a lane, ahead < 2^28."""
    low = uint64(first[0]) + uint64(ahead)
    middle = uint64(first[1]) + (low >> _BITS)
    table[_N + lane] = low & _LIMB
    table[_N + _MIDDLE + lane] = middle & _LIMB
    table[_N + _HIGH + lane] = uint64(first[2]) + (middle >> _BITS)
    table[_INDEX + lane] = uint64(index)


@jit
def _sift(
    words: NDArray[np.uint64],
    tables: NDArray[np.uint64],
    some: int,
    many: int,
    bases: NDArray[np.uint64],
) -> int:
    """Test the first `some` numbers to one base; move those that pass behind `many` likely ones.

    Returns how many likely ones there are now.
    """
    fresh, likely = tables[:_TABLE], tables[_TABLE:]
    _fill_up(fresh, some)
    _prepare(fresh)
    _test(fresh, bases[0])
    for lane in range(some):
        if fresh[_PASSED + lane] == uint64(0):
            _clear(words, fresh[_INDEX + lane])
            continue
        for row in range(_ROWS):
            likely[row * _LANES + many] = fresh[row * _LANES + lane]
        many += 1
        if many == _LANES:
            _test_all(words, likely, many, bases)
            many = int64(0)
    return many


@jit
def _test_all(
    words: NDArray[np.uint64], table: NDArray[np.uint64], many: int, bases: NDArray[np.uint64]
) -> None:
    """Test the first `many` numbers to all bases but the first."""
    _fill_up(table, many)
    for i in range(1, bases.size):
        _test(table, bases[i])
        for lane in range(many):
            if table[_PASSED + lane] == uint64(0):
                _clear(words, table[_INDEX + lane])


@jit
def _fill_up(table: NDArray[np.uint64], many: int) -> None:
    """Have something in every lane that can be computed with."""
    for row in range(_ROWS):
        for lane in range(many, _LANES):
            table[row * _LANES + lane] = table[row * _LANES]


@jit
def _clear(words: NDArray[np.uint64], index: np.uint64) -> None:
    words[index >> uint64(6)] &= ~(uint64(1) << (index & uint64(63)))


@jit
def _prepare(table: NDArray[np.uint64]) -> None:
    """Compute from the numbers all that the tests need of them."""
    for lane in range(_LANES):
        n = table[_N + lane]
        inverse = n  # right in three bits, and in twice as many after each step
        for _ in range(4):
            inverse = (inverse * (uint64(2) - n * inverse)) & _LIMB
        table[_INVERSE + lane] = (uint64(1 << 28) - inverse) & _LIMB
        high = np.float64(int64(table[_N + _HIGH + lane]) + 1)
        table[_RECIPROCAL + lane] = uint64(int64(4294967296.0 / high))
        table[_X + lane] = uint64(1)
        table[_X + _MIDDLE + lane] = table[_X + _HIGH + lane] = uint64(0)
    for _ in range(21):  # 84 bits
        _multiply(table, 0, 0, np.uint64(16))
    for lane in range(_LANES):
        _reduce(table, lane)
        table[_TWOS + lane] = uint64(_twos(table, lane))
        borrow = uint64(0)
        for limb in (0, _MIDDLE, _HIGH):
            one = table[_X + limb + lane]
            table[_ONE + limb + lane] = one
            minus = table[_N + limb + lane] - one - borrow
            borrow = minus >> uint64(63)
            table[_MINUS_ONE + limb + lane] = minus & _LIMB


@jit
def _twos(table: NDArray[np.uint64], lane: int) -> int:
    """Return how often 2 divides n - 1."""
    rest = (table[_N + lane] - uint64(1)) | (table[_N + _MIDDLE + lane] << _BITS)
    if rest == uint64(0):
        high = table[_N + _HIGH + lane]
        return 56 + ones((high & (~high + uint64(1))) - uint64(1))
    return ones((rest & (~rest + uint64(1))) - uint64(1))


@jit
def _test(table: NDArray[np.uint64], base: np.uint64) -> None:
    """Note of each number whether it passes for a base."""
    most = int64(0)
    for lane in range(_LANES):
        most = max(most, int64(table[_TWOS + lane]))
        table[_PASSED + lane] = uint64(0)
        for limb in (0, _MIDDLE, _HIGH):
            table[_X + limb + lane] = table[_ONE + limb + lane]
    for j in range(79, 0, -1):
        _square(table)
        _multiply(table, j // 28 * _LANES, j % 28, base)
        if j <= most:
            _note(table, j)


@jit
def _square(table: NDArray[np.uint64]) -> None:
    """Square each x: below 1.6·n before, below 1.2·n afterwards."""
    for k in range(_LANES):
        a, b, c = table[_X + k], table[_X + _MIDDLE + k], table[_X + _HIGH + k]
        n0, n1, n2 = table[_N + k], table[_N + _MIDDLE + k], table[_N + _HIGH + k]
        inverse = table[_INVERSE + k]
        t0 = a * a
        m = ((t0 & _LIMB) * inverse) & _LIMB
        t1 = uint64(2) * a * b + m * n1 + ((t0 + m * n0) >> _BITS)
        t2 = uint64(2) * a * c + b * b + m * n2
        m = ((t1 & _LIMB) * inverse) & _LIMB
        t2 += m * n1 + ((t1 + m * n0) >> _BITS)
        t3 = uint64(2) * b * c + m * n2
        m = ((t2 & _LIMB) * inverse) & _LIMB
        t3 += m * n1 + ((t2 + m * n0) >> _BITS)
        t4 = c * c + m * n2 + (t3 >> _BITS)
        table[_X + k] = t3 & _LIMB
        table[_X + _MIDDLE + k] = t4 & _LIMB
        table[_X + _HIGH + k] = t4 >> _BITS


@jit
def _multiply(table: NDArray[np.uint64], row: int, bit: int, factor: np.uint64) -> None:
    """Multiply x by a factor up to 41 where a bit of a row is set; what is below 1.6·n stays so.

    As many n are subtracted as the high limbs allow for sure, which is one too few at most.
    """
    for k in range(_LANES):
        # A sum of signed numbers might be negative, which would keep this from being vectors.
        times = uint64(1) + ((table[uint64(row) + uint64(k)] >> uint64(bit)) & uint64(1)) * (
            factor - uint64(1)
        )
        low = table[_X + k] * times
        middle = table[_X + _MIDDLE + k] * times
        high = table[_X + _HIGH + k] * times + (middle >> _BITS)
        minus = (high * table[_RECIPROCAL + k]) >> uint64(32)
        low += _BIAS - minus * table[_N + k]
        middle = (
            (middle & _LIMB) + _BIAS - _CARRIED - minus * table[_N + _MIDDLE + k] + (low >> _BITS)
        )
        high += (middle >> _BITS) - _CARRIED - minus * table[_N + _HIGH + k]
        table[_X + k] = low & _LIMB
        table[_X + _MIDDLE + k] = middle & _LIMB
        table[_X + _HIGH + k] = high


@jit
def _note(table: NDArray[np.uint64], j: int) -> None:
    """Note which numbers pass by x = a^((n - 1) / 2^j)."""
    for k in range(_LANES):
        twos = int64(table[_TWOS + k])
        if j <= twos:
            _reduce(table, k)
            passes = _is(table, k, _MINUS_ONE) or (j == twos and _is(table, k, _ONE))
            table[_PASSED + k] |= uint64(passes)


@jit
def _is(table: NDArray[np.uint64], k: int, other: int) -> bool:
    """Return whether x of a lane is the other number of it."""
    return (  # type: ignore[no-any-return]
        table[_X + k] == table[other + k]
        and table[_X + _MIDDLE + k] == table[other + _MIDDLE + k]
        and table[_X + _HIGH + k] == table[other + _HIGH + k]
    )


@jit
def _reduce(table: NDArray[np.uint64], k: int) -> None:
    """Make x of a lane less than n, of what is less than 2·n."""
    low = table[_X + k] - table[_N + k]
    middle = table[_X + _MIDDLE + k] - table[_N + _MIDDLE + k] - (low >> uint64(63))
    high = table[_X + _HIGH + k] - table[_N + _HIGH + k] - (middle >> uint64(63))
    if high >> uint64(63) == uint64(0):
        table[_X + k] = low & _LIMB
        table[_X + _MIDDLE + k] = middle & _LIMB
        table[_X + _HIGH + k] = high
