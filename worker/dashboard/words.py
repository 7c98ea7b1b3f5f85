"""Numbers, times and foreign texts as people read them on a page."""

from __future__ import annotations

import json
from typing import Any

from outlast.checkpoint.safe_text import printable
from outlast.checkpoint.view import short

# A page shows only the beginning of longer texts.
LINE_CHARACTERS = 160
BLOCK_CHARACTERS = 1_000
# With so many zeros or more a number is shown with an exponent.
EXPONENT_ZEROS = 6

UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


def line(value: Any, limit: int = LINE_CHARACTERS) -> str:
    """Return a JSON value on one line, cut after `limit` characters with a note of its length."""
    text = value if isinstance(value, str) else json.dumps(short(value), ensure_ascii=False)
    return _cut(text, limit, keep="")


def block(value: Any) -> str:
    """Return a JSON value on several lines, cut as in `line`."""
    text = (
        value if isinstance(value, str) else json.dumps(short(value), ensure_ascii=False, indent=2)
    )
    return _cut(text, BLOCK_CHARACTERS, keep="\n")


def params(values: dict[str, Any]) -> str:
    """Return parameters on one line, as a person types them."""
    words, length = [], 0
    for name, value in values.items():
        text = _number(value) if type(value) is int else line(value, 60)
        words.append(f"{line(name, 40)}={text}")
        length += len(words[-1])
        if length > LINE_CHARACTERS:
            break
    return _cut(" ".join(words), LINE_CHARACTERS, keep="")


def percent(share: float | None) -> str:
    """Return a share, 0 to 1, as a percentage, which is 100 only for 1; None: not known."""
    if share is None:
        return "–"  # noqa: RUF001 - a dash, as in other empty cells
    return f"{min(100 * share, 100.0 if share >= 1 else 99.99):.2f} %"


def duration(seconds: float) -> str:
    """Return a length of time by its two largest units: "45 s", "3 min 20 s", "2 d 4 h"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    left = float(round(seconds))
    for at, (size, unit) in enumerate(UNITS):
        if left >= size:
            whole, rest = divmod(left, size)
            smaller = UNITS[at + 1 : at + 2]
            parts = [f"{whole:,.0f} {unit}"]
            parts += [f"{rest // s:.0f} {u}" for s, u in smaller if rest >= s]
            return " ".join(parts)
    return "0 s"


def size(count: int) -> str:
    """Return a number of bytes in a unit that suits it."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1024
    return f"{amount:,.1f} TiB"


def dollars(amount: float) -> str:
    """Return an amount of money: cents, and below one of them two digits that count."""
    return f"${amount:,.2f}" if amount >= 0.01 or not amount else f"${amount:.2g}"


def _number(value: int) -> str:
    """Return a whole number as a person types it: 1e15, 37_124_508."""
    digits = str(value)
    zeros = len(digits) - len(digits.rstrip("0"))
    return f"{digits[:-zeros]}e{zeros}" if value and zeros >= EXPONENT_ZEROS else f"{value:_}"


def _cut(text: str, limit: int, *, keep: str) -> str:
    """Return the beginning of `text`, with a note of its length if that is not all."""
    start = printable(text[:limit], keep)
    return f"{start} … ({len(text):,} characters in all)" if len(text) > limit else start
