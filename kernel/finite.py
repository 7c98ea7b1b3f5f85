"""The first number in a model that JSON does not know."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel


def not_finite(value: BaseModel, what: str) -> str | None:
    """Return a message that names the first infinity or NaN in `value`; None: there is none."""
    field = next(_odd_floats(value.model_dump()), None)
    return field and f"{what} is not finite, and JSON knows finite numbers only: {field}"


def _odd_floats(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value}"
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _odd_floats(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            yield from _odd_floats(part, f"{path}[{number}]")
