"""D: the leaves with x/(p·m) > √x and more, counted in a sieve of [0, x/y) with p_1 … p_(b-1) removed."""

from __future__ import annotations

import numpy as np

from kernel.nth_prime.gourdon.bits import ones
from kernel.nth_prime.gourdon.counted import count_to
from kernel.nth_prime.gourdon.division import QUICK_LIMIT, exact, quick
from kernel.nth_prime.gourdon.tables import composites_to
from kernel.nth_prime.gourdon.wheel import first_multiples, lay
from kernel.nth_prime.jit import jit

BLOCK_SHIFT = 6


@jit
def _cross_off_counting(segment, p, following, blocks):
    """Cross off the multiples of p; lower the blocks' counts; return how many bits went."""
    size = len(segment)
    gone = 0
    for j in range(8):
        bit = np.uint8(1 << j)
        i = np.int64(following[j])
        while i < size:
            byte = segment[i]
            hit = np.int64((byte >> np.uint8(j)) & np.uint8(1))
            segment[i] = byte & ~bit
            blocks[i >> 6] -= hit
            gone += hit
            i += p
        following[j] = i - size
    return gone


@jit
def _prefix(words, before):
    """Set before[k] to the number of bits in words[:k]; return the number in all."""
    total = 0
    for k in range(len(words)):
        before[k] = total
        total += ones(words[k])
    return total


@jit
def _place(position):
    """Return (word, number in the word) of a position below 2^32."""
    word = (np.uint64(position) * np.uint64(2290649225)) >> np.uint64(39)
    return word, np.uint64(position) - word * np.uint64(240)


@jit
def _sum(n, low, reciprocals, first, last, words, before, masks):
    total = 0
    if n < QUICK_LIMIT:
        numerator = np.float64(n) + 0.5
        for i in range(np.uint64(first), np.uint64(last)):
            word, r = _place(quick(numerator, reciprocals[i]) - low)
            total += before[word] + ones(words[word] & masks[r])
    else:
        for i in range(np.uint64(first), np.uint64(last)):
            word, r = _place(exact(n, reciprocals[i]) - low)
            total += before[word] + ones(words[word] & masks[r])
    return total


@jit
def _sum_composites(n, low, b, reciprocals, keys, first, last, words, before, masks):
    total = 0
    weight = 0
    if n < QUICK_LIMIT:
        numerator = np.float64(n) + 0.5
        for i in range(np.uint64(first), np.uint64(last)):
            word, r = _place(quick(numerator, reciprocals[i]) - low)
            key = np.int64(keys[i])
            sign = np.int64(key > b) - np.int64(key < -b)
            weight += sign
            total += sign * (before[word] + ones(words[word] & masks[r]))
    else:
        for i in range(np.uint64(first), np.uint64(last)):
            word, r = _place(exact(n, reciprocals[i]) - low)
            key = np.int64(keys[i])
            sign = np.int64(key > b) - np.int64(key < -b)
            weight += sign
            total += sign * (before[word] + ones(words[word] & masks[r]))
    return total, weight


@jit
def _sum_blocks(n, low, reciprocals, first, last, words, blocks, masks):
    total = 0
    at = np.int64(0)
    # m descends so that positions ascend and the blocks before them are added up only once.
    sum_blocks = 0
    for i in range(last - 1, first - 1, -1):
        word, r = _place(exact(n, reciprocals[i]) - low)
        word = np.int64(word)
        block = word >> 3
        while at < block:
            sum_blocks += blocks[at]
            at += 1
        part = sum_blocks
        for k in range(8):
            w = block * 8 + k
            if w < word:
                part += ones(words[w])
        total += part + ones(words[word] & masks[r])
    return total


@jit
def _sum_blocks_composites(n, low, b, reciprocals, keys, first, last, words, blocks, masks):
    total = 0
    weight = 0
    at = np.int64(0)
    sum_blocks = 0
    for i in range(last - 1, first - 1, -1):
        key = np.int64(keys[i])
        if not (key > b or key < -b):
            continue
        sign = 1 if key > 0 else -1
        word, r = _place(exact(n, reciprocals[i]) - low)
        word = np.int64(word)
        block = word >> 3
        while at < block:
            sum_blocks += blocks[at]
            at += 1
        part = sum_blocks
        for k in range(8):
            w = block * 8 + k
            if w < word:
                part += ones(words[w])
        weight += sign
        total += sign * (part + ones(words[word] & masks[r]))
    return total, weight


@jit
def d(bounds, t, first, last):
    """Return (S, M, T) for the pieces first to last - 1; piece = segment·rows + row."""
    n_words = bounds.d_words
    span = 240 * n_words
    rows = t.star_rank - 8
    words = np.empty(n_words, np.uint64)
    segment = words.view(np.uint8)
    before = np.empty(n_words, np.int64)
    blocks = np.zeros(n_words // 8, np.int64)
    removed = np.zeros(rows, np.int64)
    weights = np.zeros(rows, np.int64)
    following = np.empty((t.star_rank, 8), np.int64)
    total = 0
    s = first // rows
    low = s * span
    for i in range(t.pattern_end, t.star_rank):
        first_multiples(low, np.int64(t.primes[i]), 1, following[i])
    stop_s = last // rows
    stop_b = 8 + last - stop_s * rows
    start_b = 8 + first - s * rows
    while s < stop_s or (s == stop_s and stop_b > 8):
        end_b = t.star_rank if s < stop_s else stop_b
        high = low + span
        words[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for i in range(3, 8):
            lay(words, low, np.int64(t.primes[i]), t.patterns[i - 3])
        counted = False
        remaining = 0
        for b in range(8, end_b):
            p = np.int64(t.primes[b])
            n = t.quotients[b]
            small = b < t.pattern_end
            if b >= start_b:
                least = max(p, bounds.y // p)
                most = min(bounds.y, n // (p * p))
                if low > 0:
                    most = min(most, n // low)
                if p >= most:
                    break
                least = max(least, n // high)
                full = small
                if least < most:
                    first_prime = count_to(t.pi, least)
                    last_prime = count_to(t.pi, most)
                    leaves = last_prime - first_prime
                    first_composite = 0
                    last_composite = 0
                    if p * p < most:
                        first_composite = composites_to(t, least)
                        last_composite = composites_to(t, most)
                        leaves += last_composite - first_composite
                    full = full or leaves > 1000
                if full:
                    remaining = _prefix(words, before)
                if not small and not counted:
                    if not full:
                        remaining = _prefix(words, before)
                    for k in range(len(blocks)):
                        t0 = before[8 * k + 8] if k + 1 < len(blocks) else remaining
                        blocks[k] = t0 - before[8 * k]
                    counted = True
                if least < most:
                    weight = last_prime - first_prime
                    if full:
                        local = _sum(
                            n, low, t.reciprocals, first_prime, last_prime, words, before, t.masks
                        )
                    else:
                        local = _sum_blocks(
                            n, low, t.reciprocals, first_prime, last_prime, words, blocks, t.masks
                        )
                    if first_composite < last_composite:
                        if full:
                            more, sign = _sum_composites(
                                n, low, b, t.composite_reciprocals, t.composite_keys,
                                first_composite, last_composite, words, before, t.masks,
                            )
                        else:
                            more, sign = _sum_blocks_composites(
                                n, low, b, t.composite_reciprocals, t.composite_keys,
                                first_composite, last_composite, words, blocks, t.masks,
                            )
                        local += more
                        weight += sign
                    total += local + weight * removed[b - 8]
                    weights[b - 8] += weight
                removed[b - 8] += remaining
            if small:
                lay(words, low, p, t.patterns[b - 3])
            elif b < start_b:
                from_byte = following[b]
                _cross(segment, p, from_byte)
            else:
                remaining -= _cross_off_counting(segment, p, following[b], blocks)
        s += 1
        low = high
        start_b = 8
    return total, weights, removed


@jit
def _cross(segment, p, following):
    size = len(segment)
    for j in range(8):
        keep = np.uint8(255 - (1 << j))
        i = np.int64(following[j])
        while i < size:
            segment[i] &= keep
            i += p
        following[j] = i - size


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
