"""Bytes as they are stored: what comes back, and when deflating them is worth its time."""

from __future__ import annotations

import base64
import json
import random
import zlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.checkpoint.packed import FEW_BYTES, PACK_FROM_BYTES, Packed

if TYPE_CHECKING:
    from collections.abc import Callable

NOISE = random.Random(1).randbytes(4 * FEW_BYTES)
TEXT = json.dumps([{"shard": n, "total": n * n} for n in range(20_000)]).encode()


@given(st.binary(max_size=3 * PACK_FROM_BYTES), st.integers(1, 40))
def test_what_was_packed_comes_back(piece: bytes, times: int) -> None:
    """A job would go on from another state than it was saved with."""
    packed = Packed.of(piece * times)
    assert packed.unpacked() == piece * times
    assert packed.size == len(piece * times)


@pytest.mark.parametrize(
    ("plain", "is_deflated"),
    [
        (b"0" * (PACK_FROM_BYTES - 1), False),
        (b"0" * PACK_FROM_BYTES, True),
        (TEXT, True),
        (NOISE.hex().encode(), True),
        (NOISE, False),
        (base64.b64encode(NOISE), False),
        (base64.b64encode(NOISE[:PACK_FROM_BYTES]), False),
        (NOISE[:FEW_BYTES] + bytes(9 * FEW_BYTES), True),
    ],
    ids=["few", "enough", "text", "hex", "noise", "base64", "few of base64", "noise, then zeros"],
)
def test_bytes_are_deflated_only_where_that_pays(plain: bytes, is_deflated: bool) -> None:
    """A table stored as it is costs money; deflating an array costs time at each save."""
    assert Packed.of(plain).is_deflated == is_deflated


@pytest.mark.parametrize("encoded", [bytes, base64.b64encode], ids=["noise", "base64"])
def test_what_does_not_shrink_is_not_deflated_whole(
    encoded: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job with large arrays would spend its time on deflating them in vain."""
    deflated = 0
    compress = zlib.compress

    def counted(data: bytes, level: int) -> bytes:
        nonlocal deflated
        deflated += len(data)
        return compress(data, level)

    monkeypatch.setattr("outlast.checkpoint.packed.zlib.compress", counted)
    plain = encoded(NOISE)
    Packed.of(plain)
    assert deflated < len(plain) / 10


def test_no_more_is_unpacked_than_was_packed() -> None:
    """A forged state of a kilobyte would fill the memory of whoever looks at it."""
    bomb = Packed.of(bytes(1_000_000))
    assert bomb._replace(size=10).unpacked() == bytes(10)
    assert bomb._replace(size=0).unpacked() == bytes(1)
