"""What is left of a model once it was stored as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from outlast.kernel.testing.sample import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel


def through_json(model: type[BaseModel], value: Any, what: str) -> Any:
    """Return what is left of `value` once it was stored; fail unless that is all of it."""
    if not isinstance(value, model):
        told = f"{what} is {type(value).__name__}, not {model.__name__}: {shown(value)}"
        raise AssertionError(told)  # noqa: TRY004 - every finding of a test is this one
    text = value.model_dump_json()
    try:
        found = model.model_validate_json(text)
    except ValueError as error:
        raise AssertionError(
            _not_finite(value, what) or f"{what} cannot be read back from JSON, {shown(text)}"
        ) from error
    if found != value:
        raise AssertionError(
            _not_finite(value, what)
            or f"{what} does not survive being stored as JSON: {shown(value)}"
        )
    return found


def _not_finite(value: BaseModel, what: str) -> str | None:
    """Return which field is no number that JSON knows, if one is."""
    told = next(_odd_floats(value.model_dump()), None)
    return told and f"{what} is not finite, and JSON knows finite numbers only: {told}"


def _odd_floats(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value}"
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _odd_floats(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            yield from _odd_floats(part, f"{path}[{number}]")
