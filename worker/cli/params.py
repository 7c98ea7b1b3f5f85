"""Parameters as they are typed: key=value."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WHOLE = re.compile(r"[+-]?[0-9]+(_[0-9]+)*")
POWER = re.compile(r"([+-]?[0-9]+)[eE]\+?([0-9]{1,3})")


def parse_params(words: Iterable[str]) -> dict[str, Any]:
    """Return the parameters that `words`, each key=value, spell.

    A value is a whole number, which may have underscores or be written as 1e15, or any JSON literal
    (true, 1.5, null, "text", [1, 2]); all else is text. What fits is for the kernel's model to say.

    Raises:
        InvalidParams: a word is not key=value, or a key comes twice.
    """
    from kernel import InvalidParams  # It brings pydantic, half of a start's time.

    params: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not (key and equals):
            raise InvalidParams(f"{word[:80]!r} is not a parameter: write key=value")
        if key in params:
            raise InvalidParams(f"parameter {key[:80]!r} is given twice: give it once")
        params[key] = _value(text)
    return params


def format_params(params: Mapping[str, Any]) -> str:
    """Return `params` as they may be typed."""
    return " ".join(f"{key}={_text(value)}" for key, value in params.items())


def _value(text: str) -> Any:
    if power := POWER.fullmatch(text):
        return int(power[1]) * 10 ** int(power[2])
    try:
        return int(text) if WHOLE.fullmatch(text) else json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text  # Python reads no whole number of over 4300 digits either.


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _text(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and _value(value) == value:
        return value
    return json.dumps(value)
