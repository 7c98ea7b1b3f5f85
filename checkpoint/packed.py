"""Bytes as they are stored: deflated where that pays."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

# A few deflated bytes may unpack to more than the memory of whoever looks at them. So ours never
# unpack to more than this, and no others are unpacked beyond.
MAX_STATE_BYTES = 128 << 20
# Shorter ones are not worth the time.
PACK_FROM_BYTES = 1024
# Deflating pays only where it leaves no more than this share. The bytes of arrays as base64, which
# is what JSON has for them, shrink to three quarters, at a speed below that of most networks.
WORTHWHILE_SHARE = 0.7
# Whether more than a few are worth it, a sample of so many pieces of so many bytes tells.
FEW_BYTES = 64 << 10
SAMPLES = 4
SAMPLE_BYTES = 4096


class Packed(NamedTuple):
    """Bytes as they are stored.

    Attributes:
        data: what is stored.
        size: how many bytes it unpacks to.
        is_deflated: whether it was deflated at all.
    """

    data: bytes
    size: int
    is_deflated: bool

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> CoreSchema:
        """Let a model have such bytes, but not its JSON, where they could be forged."""
        return core_schema.is_instance_schema(cls)

    @classmethod
    def of(cls, plain: bytes) -> Self:
        """Pack these bytes; they stay as they are where deflating would not pay."""
        if PACK_FROM_BYTES <= len(plain) <= MAX_STATE_BYTES and _looks_worthwhile(plain):
            deflated = _deflated(plain)
            if deflated is not None:
                return cls(deflated, len(plain), is_deflated=True)
        return cls(plain, len(plain), is_deflated=False)

    def unpacked(self) -> bytes:
        """Return the bytes, `size` at most; what cannot be inflated comes as it is stored."""
        if not self.is_deflated:
            return self.data
        try:
            # To zlib 0 would be no limit.
            return zlib.decompressobj().decompress(self.data, max(self.size, 1))
        except zlib.error:
            return self.data


def _looks_worthwhile(plain: bytes) -> bool:
    """Whether pieces from all parts of the bytes shrink; a few bytes are their own sample."""
    if len(plain) <= FEW_BYTES:
        return True
    step = (len(plain) - SAMPLE_BYTES) // (SAMPLES - 1)
    pieces = (plain[n * step : n * step + SAMPLE_BYTES] for n in range(SAMPLES))
    return _deflated(b"".join(pieces)) is not None


def _deflated(plain: bytes) -> bytes | None:
    """Return the bytes deflated; None where that is not worthwhile."""
    deflated = zlib.compress(plain, level=1)
    return deflated if len(deflated) <= WORTHWHILE_SHARE * len(plain) else None
