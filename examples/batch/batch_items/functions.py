"""Functions to begin with. Put your own beside them, or in any package that workers have."""

from __future__ import annotations

import hashlib
import re

from batch_items.calls import each_item

THUMBNAIL_PIXELS = 32
PGM = re.compile(rb"P5\s+(\d{1,5})\s+(\d{1,5})\s+255\s")


@each_item
def word_count(text: str) -> dict[str, int]:
    """Return how many lines, words and characters a text has."""
    return {"lines": text.count("\n"), "words": len(text.split()), "characters": len(text)}


@each_item
def sha256(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


@each_item
def thumbnail(content: bytes) -> bytes:
    """Return the thumbnail of a grey picture (PGM, 8 bits): at most 32 pixels each way.

    Each pixel is the mean of the square that it stands for.

    Raises:
        ValueError: it is no such picture.
    """
    head = PGM.match(content)
    if head is None:
        raise ValueError("it is not a PGM picture of 8 bits")
    width, height = int(head[1]), int(head[2])
    pixels = content[head.end() :]
    if not width or not height or len(pixels) != width * height:
        raise ValueError(f"it has {len(pixels)} pixels, not {width} times {height}")
    side = -(-max(width, height) // THUMBNAIL_PIXELS)
    rows = [
        bytes(_mean(pixels, width, x, y, side) for x in range(0, width, side))
        for y in range(0, height, side)
    ]
    return b"P5 %d %d 255\n" % (len(rows[0]), len(rows)) + b"".join(rows)


def _mean(pixels: bytes, width: int, x: int, y: int, side: int) -> int:
    """Return the mean of the square at x and y; what lies beyond the edges does not count."""
    right = min(x + side, width)
    rows = [
        pixels[row * width + x : row * width + right]
        for row in range(y, min(y + side, len(pixels) // width))
    ]
    return sum(map(sum, rows)) // sum(map(len, rows))
