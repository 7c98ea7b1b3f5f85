"""D: the leaves whose value must be counted in a sieve of [0, x/y)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kernel.nth_prime.gourdon.bits import ones
from kernel.nth_prime.gourdon.counted import count_to
from kernel.nth_prime.gourdon.division import quotient
from kernel.nth_prime.gourdon.tables import composites_to
from kernel.nth_prime.gourdon.wheel import cross_off, first_multiples, lay
from kernel.nth_prime.jit import jit

# Primes below are sieved by patterns and all words counted again.
RECOUNT_LIMIT = 200
# With more leaves than this in a segment, counting all words again is the cheaper way as well.
MANY_LEAVES = 500


class Sieve(NamedTuple):
    words: npt.NDArray[np.uint64]
    bytes: npt.NDArray[np.uint8]
    before: npt.NDArray[np.int32]
    blocks: npt.NDArray[np.int32]
    sums: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]


@jit
def _cross_off_counting(segment, p, following, blocks):
    size = np.uint64(len(segment))
    step = np.uint64(p)
    for j in range(8):
        bit = np.uint8(1 << j)
        i = np.uint64(following[j])
        while i + step < size:
            k = i + step
            first = segment[i]
            second = segment[k]
            segment[i] = first & ~bit
            segment[k] = second & ~bit
            blocks[_block(i)] -= np.int32((first >> np.uint8(j)) & np.uint8(1))
            blocks[_block(k)] -= np.int32((second >> np.uint8(j)) & np.uint8(1))
            i = k + step
        if i < size:
            first = segment[i]
            segment[i] = first & ~bit
            blocks[_block(i)] -= np.int32((first >> np.uint8(j)) & np.uint8(1))
            i += step
        following[j] = i - size


@jit
def _block(i):
    """Return where the count of the block that holds byte i is."""
    return (i & np.uint64(960)) | (i >> np.uint64(10))


@jit
def _count_words(words, before):
    """Set before[k] to the number of bits in words[:k]; return the number in all."""
    total = np.int64(0)
    for k in range(np.uint64(len(words))):
        before[k] = total
        total += ones(words[k])
    return total


@jit
def _count_blocks(words, blocks):
    blocks[:] = 0
    for k in range(np.uint64(len(words))):
        blocks[_block(np.uint64(8) * k)] += ones(words[k])


@jit
def _sum_blocks(v):
    for g in range(np.uint64(64)):
        v.sums[g] = 0
    for k in range(np.uint64(64), np.uint64(1024)):
        v.sums[k] = v.sums[k - np.uint64(64)] + v.blocks[k - np.uint64(64)]
    total = 0
    for g in range(np.uint64(64)):
        v.offsets[g] = total
        total += v.sums[np.uint64(960) + g] + v.blocks[np.uint64(960) + g]
    return total


@jit
def _place(position):
    word = (np.uint64(position) * np.uint64(2290649225)) >> np.uint64(39)
    return word, np.uint64(position) - word * np.uint64(240)


@jit
def _to_word(v, masks, position):
    word, r = _place(position)
    return v.before[word] + ones(v.words[word] & masks[r])


@jit
def _to_block(v, masks, position):
    word, r = _place(position)
    last = np.int64(word & np.uint64(7))
    base = word & ~np.uint64(7)
    total = ones(v.words[word] & masks[r])
    for k in range(8):
        total += ones(v.words[base + np.uint64(k)]) if k < last else 0
    byte = base << np.uint64(3)
    return total + v.sums[_block(byte)] + v.offsets[byte >> np.uint64(10)]


@jit
def _primes_by_word(v, masks, n, low, reciprocals, first, last):
    total = 0
    for i in range(np.uint64(first), np.uint64(last)):
        total += _to_word(v, masks, quotient(n, reciprocals[i]) - low)
    return total


@jit
def _primes_by_block(v, masks, n, low, reciprocals, first, last):
    total = 0
    for i in range(np.uint64(first), np.uint64(last)):
        total += _to_block(v, masks, quotient(n, reciprocals[i]) - low)
    return total


@jit
def _sign(key, b):
    return np.int64(key > b) - np.int64(key < -b)


@jit
def _composites_by_word(v, masks, n, low, b, reciprocals, keys, first, last):
    total = 0
    weight = 0
    for i in range(np.uint64(first), np.uint64(last)):
        sign = _sign(keys[i], b)
        weight += sign
        total += sign * _to_word(v, masks, quotient(n, reciprocals[i]) - low)
    return total, weight


@jit
def _composites_by_block(v, masks, n, low, b, reciprocals, keys, first, last):
    total = 0
    weight = 0
    for i in range(np.uint64(first), np.uint64(last)):
        sign = _sign(keys[i], b)
        if sign:
            weight += sign
            total += sign * _to_block(v, masks, quotient(n, reciprocals[i]) - low)
    return total, weight


@jit
def d(bounds, t, first, last):
    """Return (S, M, T) for the pieces first to last - 1; piece = segment·rows + row."""
    n_words = bounds.d_words
    span = 240 * n_words
    rows = t.star_rank - 8
    words = np.empty(n_words, np.uint64)
    v = Sieve(
        words,
        words.view(np.uint8),
        np.empty(n_words, np.int32),
        np.zeros(1024, np.int32),
        np.empty(1024, np.int32),
        np.empty(64, np.int32),
    )
    removed = np.zeros(rows, np.int64)
    weights = np.zeros(rows, np.int64)
    most_of = np.empty(rows, np.int64)
    least_of = np.empty(rows, np.int64)
    following = np.empty((t.star_rank, 8), np.int64)
    total = 0
    s = first // rows
    low = s * span
    recount_end = 8
    for b in range(8, t.star_rank):
        p = np.int64(t.primes[b])
        least_of[b - 8] = max(p, bounds.y // p)
        most_of[b - 8] = min(bounds.y, t.quotients[b] // (p * p))
        if p < 100:
            recount_end = b + 1
        else:
            first_multiples(low, p, 1, following[b])
    stop_s = last // rows
    stop_b = 8 + last - stop_s * rows
    start_b = 8 + first - s * rows
    while s < stop_s or (s == stop_s and stop_b > 8):
        end_b = t.star_rank if s < stop_s else stop_b
        high = low + span
        words[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for i in range(3, 8):
            lay(words, low, np.int64(t.primes[i]), t.patterns[i - 3])
        for b in range(8, start_b):
            p = np.int64(t.primes[b])
            if b < recount_end:
                lay(words, low, p, t.patterns[b - 3])
            else:
                cross_off(v.bytes, p, following[b])
        blocks_valid = False
        for b in range(start_b, end_b):
            p = np.int64(t.primes[b])
            n = t.quotients[b]
            most = most_of[b - 8]
            if low > 0:
                most = min(most, n // low)
            if p >= most:
                break
            least = max(least_of[b - 8], n // high)
            leaves = 0
            first_composite = 0
            last_composite = 0
            first_prime = 0
            last_prime = 0
            if least < most:
                first_prime = count_to(t.pi, least)
                last_prime = count_to(t.pi, most)
                leaves = last_prime - first_prime
                if p * p < most:
                    first_composite = composites_to(t, least)
                    last_composite = composites_to(t, most)
                    leaves += last_composite - first_composite
            if b >= recount_end and not blocks_valid:
                _count_blocks(words, v.blocks)
                blocks_valid = True
            weight = last_prime - first_prime
            local = 0
            sign = 0
            if b < recount_end or leaves > 400:
                remaining = _count_words(words, v.before)
                local = _primes_by_word(v, t.masks, n, low, t.reciprocals, first_prime, last_prime)
                if first_composite < last_composite:
                    more, sign = _composites_by_word(
                        v, t.masks, n, low, b, t.composite_reciprocals, t.composite_keys,
                        first_composite, last_composite,
                    )
                    local += more
            else:
                remaining = _sum_blocks(v)
                local = _primes_by_block(v, t.masks, n, low, t.reciprocals, first_prime, last_prime)
                if first_composite < last_composite:
                    more, sign = _composites_by_block(
                        v, t.masks, n, low, b, t.composite_reciprocals, t.composite_keys,
                        first_composite, last_composite,
                    )
                    local += more
            weight += sign
            total += local + weight * removed[b - 8]
            weights[b - 8] += weight
            removed[b - 8] += remaining
            if b < recount_end:
                lay(words, low, p, t.patterns[b - 3])
            else:
                _cross_off_counting(v.bytes, p, following[b], v.blocks)
        s += 1
        low = high
        start_b = 8
    return total, weights, removed


@jit
def d_cut(bounds, t, first, last, budget):
    rows = t.star_rank - 8
    span = 240 * bounds.d_words
    s = first // rows
    b = 8 + first - s * rows
    work = 0
    low = s * span
    high = low + span
    piece = first
    while piece < last:
        p = np.int64(t.primes[b])
        n = t.quotients[b]
        most = min(bounds.y, n // (p * p))
        if low > 0:
            most = min(most, n // low)
        if p >= most:
            piece += t.star_rank - b
            b = t.star_rank
        else:
            least = max(p, bounds.y // p, n // high)
            work += 300 + n_hits(span, p)
            if least < most:
                work += count_to(t.pi, most) - count_to(t.pi, least)
                if p * p < most:
                    work += composites_to(t, most) - composites_to(t, least)
            piece += 1
            b += 1
        if b == t.star_rank:
            b = 8
            low = high
            high += span
        if work >= budget:
            return min(piece, last)
    return last


@jit
def n_hits(span, p):
    return 4 * span // (15 * max(p, 400))
