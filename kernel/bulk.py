"""The bytes of a model's arrays and blobs, which stand in one row beside its JSON.

    text, bulk = dumped(state)          the JSON has {"$array": "<f4", "shape": [2, 3], "at": 64}
    state = loaded(State, text, row)    `row` has the bytes of `bulk`, wherever they have been

Nothing is copied: a bulk refers to the memory of the arrays themselves, that of a GPU, too (to a
copy only of one whose numbers do not lie in a row), and loaded arrays to the row. An `Array` or a
`Blob` finds the bulk, or the row, in the context of pydantic.
"""

from __future__ import annotations

import mmap
import sys
from abc import ABC, abstractmethod
from bisect import bisect_left, bisect_right
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, TypeVar
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from pydantic_core import core_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo
    from pydantic import ValidationInfo as Info
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

M = TypeVar("M", bound=BaseModel)

CONTEXT = "outlast_bulk"
# Each array begins at a multiple of it: sums over arrays that lie elsewhere may differ in a bit.
ALIGNMENT = 64


class FarBytes(Protocol):
    """Bytes on another device."""

    @property
    def nbytes(self) -> int:
        """How many they are."""

    def __getitem__(self, part: slice) -> memoryview:
        """Return a copy of some of them."""

    def copy_to(self, row: memoryview) -> None:
        """Copy all of them to memory that is as long."""


Bytes = memoryview | FarBytes


class Piece(NamedTuple):
    """The bytes of one array or blob: where they begin in the row, and what has them."""

    begin: int
    data: Bytes
    owner: object

    @property
    def end(self) -> int:
        """Where they end in the row."""
        return self.begin + self.data.nbytes


class Bulk:
    """The arrays and blobs of a model, in the order of its JSON.

    Attributes:
        pieces: those that are not empty, in the order of the row.
        is_copy: whether it has memory of its own, which no kernel changes.
    """

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.is_copy = False

    @classmethod
    def of(cls, row: memoryview, spans: Iterable[tuple[int, int]] | None = None) -> Bulk:
        """Return the bulk whose bytes are in `row`; `spans` are its pieces, None: it is one."""
        bulk = cls()
        spans = [(0, len(row))] if spans is None else spans
        bulk.pieces = [Piece(begin, row[begin:end], None) for begin, end in spans if begin < end]
        bulk.is_copy = True
        return bulk

    @property
    def size(self) -> int:
        """The length of the row in bytes."""
        return self.pieces[-1].end if self.pieces else 0

    @property
    def context(self) -> dict[str, Any]:
        """By which pydantic adds to it, or finds in it."""
        return {CONTEXT: self}

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each piece begins and ends in the row."""
        return [(piece.begin, piece.end) for piece in self.pieces]

    def add(self, data: Bytes, owner: object) -> int:
        """Append bytes that `owner` has, and return where they begin."""
        begin = -(-self.size // ALIGNMENT) * ALIGNMENT
        if data.nbytes:
            self.pieces.append(Piece(begin, data, owner))
        return begin

    def read(self, begin: int, end: int) -> memoryview:
        """Return a part of the row: a view where it is of one array, else a copy."""
        first = max(bisect_right(self.pieces, begin, key=lambda piece: piece.begin) - 1, 0)
        last = bisect_left(self.pieces, end, key=lambda piece: piece.begin)
        inside = self.pieces[first:last]
        if len(inside) == 1 and end <= inside[0].end:
            return inside[0].data[begin - inside[0].begin : end - inside[0].begin]
        row = memoryview(bytearray(end - begin))
        for piece in inside:
            ours, theirs = max(begin, piece.begin), min(end, piece.end)
            if ours < theirs:
                row[ours - begin : theirs - begin] = piece.data[
                    ours - piece.begin : theirs - piece.begin
                ]
        return row

    def copied_to(self, row: memoryview) -> Bulk:
        """Copy all bytes to `row`, which is as long, and return the bulk that refers to it."""
        for piece in self.pieces:
            place = row[piece.begin : piece.end]
            if isinstance(piece.data, memoryview):
                place[:] = piece.data
            else:
                piece.data.copy_to(place)
        return Bulk.of(row, self.spans)

    def read_only(self) -> Bulk:
        """Return this copy with memory that no loaded array can change."""
        bulk = Bulk()
        bulk.pieces = [piece._replace(data=piece.data[:].toreadonly()) for piece in self.pieces]
        bulk.is_copy = True
        return bulk

    def owner_at(self, begin: int, size: int) -> object:
        """Return what was added there, or else its bytes, which a loaded array may change.

        Raises:
            ValueError: there is nothing like that.
        """
        if self.is_copy:
            if not 0 <= begin <= begin + size <= self.size:
                raise ValueError("what is stored of its bytes is too short")
            return self.read(begin, begin + size)
        at = bisect_left(self.pieces, begin, key=lambda piece: piece.begin)
        for piece in self.pieces[at : at + 1]:
            if (piece.begin, piece.data.nbytes) == (begin, size):
                return piece.owner
        raise ValueError("its bytes are not those of an array or a blob here")


class Stored(NamedTuple):
    """A model as it is stored: its JSON, and its arrays and blobs."""

    text: bytes
    bulk: Bulk


def new_row(size: int) -> memoryview:
    """Return memory for a row: zeros, of which each piece lies as well as in any other row."""
    if not size:
        return memoryview(bytearray())
    # Pages begin at multiples of ALIGNMENT, and a bytearray anywhere. What a fork does with its
    # copy stays its own; and the system has it back once nothing refers to it.
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def dumped(model: BaseModel) -> Stored:
    """Return the JSON of a model, and its arrays and blobs."""
    bulk = Bulk()
    return Stored(model.model_dump_json(context=bulk.context).encode(), bulk)


def loaded(model: type[M], text: bytes | str, row: memoryview | Bulk) -> M:
    """Return the model of this JSON, with arrays and blobs that refer to `row`.

    Of a bulk that is no copy it has the very arrays that were dumped.

    Raises:
        ValidationError: the JSON or the row does not fit the model.
    """
    bulk = row if isinstance(row, Bulk) else Bulk.of(row)
    return model.model_validate_json(text, context=bulk.context)


def reads_back(model: BaseModel, text: bytes, bulk: Bulk) -> bool:
    """Whether `text` and `bulk`, dumped from the model, are the same model again."""
    return same(loaded(type(model), text, bulk), model)


def has_bulk(model: type[BaseModel]) -> bool:
    """Whether an Array or a Blob can stand somewhere in the model."""
    if model not in _known:
        model.model_rebuild()  # It may still wait for a class that it names.
        _known[model] = _has_bulk(model.__pydantic_core_schema__)
    return _known[model]


_known: WeakKeyDictionary[type[BaseModel], bool] = WeakKeyDictionary()


def _has_bulk(schema: object) -> bool:
    if isinstance(schema, dict):
        return any(map(_has_bulk, schema.values()))
    if isinstance(schema, (list, tuple)):
        return any(map(_has_bulk, schema))
    return isinstance(getattr(schema, "__self__", None), Beside)  # Its `_validate`.


class Beside(ABC):
    """Marks a type whose values stand beside the JSON: `dump` and `load` are two ends of that."""

    key = ""

    @abstractmethod
    def check(self, value: object) -> object:
        """Return a value from a program as the model is to have it.

        Raises:
            ValueError: it is none of this type.
        """

    @abstractmethod
    def dump(self, value: Any) -> tuple[dict[str, Any], Bytes, object]:
        """Return how JSON refers to the value, its bytes, and what has them."""

    @abstractmethod
    def size(self, reference: Mapping[str, Any]) -> int:
        """Return how many bytes the value has.

        Raises:
            Exception: it is no such reference.
        """

    @abstractmethod
    def load(self, reference: Mapping[str, Any], data: memoryview) -> object:
        """Return the value that a reference stands for, from its bytes."""

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._serialize, info_arg=True, when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "object", "title": self.key.removeprefix("$")}

    def _validate(self, value: object, info: Info) -> object:
        source = (info.context or {}).get(CONTEXT)
        if not (isinstance(value, dict) and self.key in value):
            return self.check(value)
        if source is None:
            raise ValueError("its bytes are stored beside the JSON, and were not read")
        try:
            begin, size = whole(value["at"]), self.size(value)
            found = source.owner_at(begin, size) if size else memoryview(b"")
            return self.load(value, found) if isinstance(found, memoryview) else found
        except (ValueError, MemoryError):
            raise
        except Exception as error:  # What numpy raises where a reference is none of its own.
            raise ValueError(f"what refers to its bytes is damaged: {error!r}") from error

    def _serialize(self, value: Any, info: SerializationInfo) -> dict[str, Any]:
        bulk = (info.context or {}).get(CONTEXT)
        if bulk is None:
            raise ValueError("an Array or a Blob has no JSON: see outlast.kernel.bulk.dumped")
        reference, data, owner = self.dump(value)
        return reference | {"at": bulk.add(data, owner)}


class _Bytes(Beside):
    """Bytes beside the JSON."""

    key = "$blob"

    def check(self, value: object) -> object:
        if not isinstance(value, bytes):
            raise ValueError(f"a Blob is bytes, not {type(value).__name__}")  # noqa: TRY004 - pydantic's
        return value

    def dump(self, value: bytes) -> tuple[dict[str, Any], memoryview, object]:
        return {self.key: len(value)}, memoryview(value), value

    def size(self, reference: Mapping[str, Any]) -> int:
        return whole(reference[self.key])

    def load(self, _: Mapping[str, Any], data: memoryview) -> object:
        return bytes(data)


Blob = Annotated[bytes, _Bytes()]


def whole(value: object) -> int:
    """Return a whole number from JSON that counts something.

    Raises:
        ValueError: it is none, or below 0.
    """
    if type(value) is not int or value < 0:  # A bool is an int, too.
        raise ValueError(f"what refers to its bytes is damaged: {value!r}")
    return value


def same(one: object, other: object) -> bool:
    """Whether two values of fields are equal; arrays are by type, shape and bytes."""
    if one is other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and type(one) is type(other):
        return len(one) == len(other) and all(map(same, one, other))
    if is_dataclass(one) or (isinstance(one, BaseModel) and type(one).__eq__ is BaseModel.__eq__):
        return same_fields(one, other)
    if "outlast.kernel.array" in sys.modules:  # Else there is no Array, and maybe no numpy.
        from outlast.kernel.array import is_array, same_arrays

        if is_array(one) or is_array(other):
            return is_array(one) and is_array(other) and same_arrays(one, other)
    return bool(one == other)


def same_fields(one: object, other: object) -> bool:
    """Whether two models, or dataclasses, are of one class and have equal fields."""
    return type(one) is type(other) and same(_contents(one), _contents(other))


def _contents(value: Any) -> object:
    if not isinstance(value, BaseModel):
        return [getattr(value, field.name) for field in fields(value)]
    values = vars(value)  # It may also have cached properties.
    known = {name: values[name] for name in type(value).model_fields if name in values}
    return known, value.__pydantic_private__, value.__pydantic_extra__
