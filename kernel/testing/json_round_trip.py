"""Whether a model is the same after it was stored as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from outlast.kernel.testing.sample import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel


def round_trip(model: type[BaseModel], value: Any, what: str) -> Any:
    """Return `value` as it is read back from its JSON; fail unless it is the same.

    `what` names the value in the messages of the AssertionError.
    """
    if not isinstance(value, model):
        message = f"{what} is {type(value).__name__}, not {model.__name__}: {excerpt(value)}"
        raise AssertionError(message)  # noqa: TRY004 - every failure of a test is one
    text = value.model_dump_json()
    try:
        restored = model.model_validate_json(text)
    except ValueError as error:
        raise AssertionError(
            _not_finite(value, what) or f"{what} cannot be read back from JSON, {excerpt(text)}"
        ) from error
    if restored != value:
        raise AssertionError(
            _not_finite(value, what)
            or f"{what} does not survive being stored as JSON: {excerpt(value)}"
        )
    return restored


def _not_finite(value: BaseModel, what: str) -> str | None:
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
