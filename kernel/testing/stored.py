"""Models as a worker stores them, and whether they are the same when they are read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel

from outlast.kernel.bulk import dumped, has_bulk, loaded, new_row, same
from outlast.kernel.finite import not_finite
from outlast.kernel.references import references

if TYPE_CHECKING:
    from outlast.kernel.bulk import Bulk

M = TypeVar("M", bound=BaseModel)

EXCERPT_CHARACTERS = 300


class Stored(NamedTuple):
    """A model as it is stored: its JSON, and the bytes of its arrays and blobs."""

    text: str
    row: bytearray

    @classmethod
    def of(cls, value: BaseModel) -> Stored:
        """Take a model as it is at this moment.

        Raises:
            ValueError: it cannot be stored.
        """
        return cls.copied(*dumped(value))

    @classmethod
    def copied(cls, text: bytes, bulk: Bulk) -> Stored:
        """Take what was dumped."""
        row = bytearray(bulk.size)
        bulk.copied_to(memoryview(row))
        return cls(text.decode(), row)

    def load(self, model: type[M]) -> M:
        """Return the model, with arrays of its own that may be changed in place."""
        row = new_row(len(self.row))
        row[:] = self.row
        return loaded(model, self.text, row)

    def changed(self, after: Stored) -> str:
        """Name the arrays and blobs whose bytes are others in `after`, which has the same JSON."""
        pieces = sorted((item["at"], path) for path, item in references(json.loads(self.text)))
        ends = [begin for begin, _ in pieces[1:]] + [len(self.row)]
        return ", ".join(
            path
            for (begin, path), end in zip(pieces, ends, strict=True)
            if self.row[begin:end] != after.row[begin:end]
        )

    def __str__(self) -> str:
        return shown(self.text)


def stored(model: type[BaseModel], value: Any, what: str) -> Stored:
    """Return `value` as it is stored; fail unless it is the same when it is read back.

    `what` names the value in the messages of the AssertionError.
    """
    if not isinstance(value, model):
        message = f"{what} is {type(value).__name__}, not {model.__name__}: {excerpt(value)}"
        raise AssertionError(message)  # noqa: TRY004 - every failure of a test is one
    try:
        text, bulk = dumped(value)
    except ValueError as error:
        raise AssertionError(f"{what} cannot be stored: {error}") from error
    try:
        survives = same(loaded(model, text, bulk), value)
    except ValueError as error:
        raise AssertionError(
            not_finite(value, what)
            or f"{what} cannot be read back as {model.__name__} from JSON, {shown(text.decode())}"
        ) from error
    if not survives:
        raise AssertionError(
            not_finite(value, what)
            or f"{what} does not survive being stored as JSON: {excerpt(value)}"
        )
    return Stored.copied(text, bulk)


def shown(text: str) -> str:
    """Return the beginning of JSON text, with a word for each array and blob."""
    for _, item in references(json.loads(text)):
        reference = json.dumps(item, separators=(",", ":"), ensure_ascii=False)
        text = text.replace(reference, _word(item))
    return _beginning(text)


def excerpt(value: object) -> str:
    """Return the beginning of a value as text, no longer than a line or two."""
    if isinstance(value, BaseModel) and has_bulk(type(value)):
        return shown(dumped(value)[0].decode())
    return _beginning(repr(value))


def _beginning(text: str) -> str:
    return text if len(text) <= EXCERPT_CHARACTERS else text[:EXCERPT_CHARACTERS] + "…"


def _word(item: dict[str, Any]) -> str:
    if "$blob" in item:
        return f"bytes[{item['$blob']}]"
    import numpy as np  # The array has loaded it.

    kind = item["$array"]
    name = np.dtype(kind) if isinstance(kind, str) else "structured"
    return f"{name}[{','.join(map(str, item['shape']))}]"
