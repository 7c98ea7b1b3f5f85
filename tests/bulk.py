"""Models with arrays and blobs, and what it is for one to come back from its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from outlast import Array, Blob, Model
from outlast.kernel.bulk import dumped, loaded, new_row, reads_back

if TYPE_CHECKING:
    import numpy as np
    from pydantic import BaseModel


class One(Model):
    """One array."""

    array: Array


class Many(Model):
    """Arrays and blobs wherever a model can have them."""

    step: int
    weights: dict[str, Array] = Field(default={})
    inner: tuple[One, ...] = ()
    pair: tuple[Array, Blob] | None = None
    choice: Array | Blob | int = 3
    blob: Blob = b""


def again(model: BaseModel) -> Any:
    """Return the model, stored and loaded."""
    text, bulk = dumped(model)
    assert reads_back(model, text, bulk)
    row = new_row(bulk.size)
    copy = bulk.copied_to(row)
    assert copy.size == bulk.size == len(row)
    restored = loaded(type(model), text, row)
    assert dumped(restored)[0] == text
    return restored


def assert_same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> None:
    """Fail unless the arrays have the same type, shape and bytes."""
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    assert one.tobytes() == other.tobytes()
