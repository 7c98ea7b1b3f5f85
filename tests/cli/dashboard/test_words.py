"""Numbers and foreign texts, as people read them."""

from __future__ import annotations

import pytest

from outlast.worker.dashboard.words import duration, line, params, percent, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.999999), "99.99 %"),
        (percent(1.0), "100.00 %"),
        (percent(0.0), "0.00 %"),
        (duration(0.04), "0.0 s"),
        (duration(59.6), "1 min"),
        (duration(3_725), "1 h 2 min"),
        (duration(1e9), "11,574 d 1 h"),
        (size(1023), "1,023 bytes"),
        (size(1 << 20), "1.0 MiB"),
        (
            params({"position": 10**15, "n": -1_500, "flag": True}),
            "position=1e15 n=-1_500 flag=true",
        ),
        (line("a\nb\u202e\x00"), "a\\nb\\u202e\\x00"),
        (line("x" * 300, 5), "xxxxx … (300 characters in all)"),
    ],
)
def test_numbers_and_texts_read_well(text: str, expected: str) -> None:
    """A job at 99.999 % would be called done, or a text hide what it says."""
    assert text == expected
