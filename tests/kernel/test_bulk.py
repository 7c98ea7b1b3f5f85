"""Models with arrays and blobs: out of the JSON, back from a row of bytes, and compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import BaseModel, Field, ValidationError
from typing_extensions import TypedDict

from outlast import Array, Model
from outlast.kernel.bulk import (
    ALIGNMENT,
    dumped,
    has_bulk,
    loaded,
    new_row,
    same,
)
from outlast.kernel.references import references
from tests.bulk import Many, One, again, assert_same


class Plain(BaseModel):
    """A model that is not Outlast's, with an array."""

    array: Array


@dataclass
class Data:
    """A dataclass with an array."""

    array: Array


class Holder(Model):
    """A dataclass in a model."""

    data: Data


class Dict(TypedDict):
    """A dict with an array."""

    array: Array


class HasDict(Model):
    """A typed dict in a model."""

    value: Dict


class Tree(Model):
    """A model that has itself in it."""

    children: tuple[Tree, ...] = ()


class ArrayTree(Model):
    """The same with an array."""

    children: tuple[ArrayTree, ...] = ()
    leaf: One | None = None


class NoBulk(Model):
    """Neither an array nor a blob."""

    step: int
    anything: Any = None
    names: dict[str, list[bytes]] = Field(default={})


@given(
    st.dictionaries(st.text(max_size=5), npst.arrays("f8", npst.array_shapes(min_side=0))),
    st.binary(max_size=200),
)
def test_any_model_comes_back(weights: dict[str, Any], blob: bytes) -> None:
    """An array would get the bytes of its neighbour."""
    inner = tuple(One(array=array) for array in weights.values())
    model = Many(step=1, weights=weights, inner=inner, blob=blob, pair=(np.array(1), blob))
    restored = again(model)
    assert restored == model
    assert restored.blob == blob
    for name, array in weights.items():
        assert_same(restored.weights[name], array)


@pytest.mark.parametrize("choice", [np.arange(3), b"", b"abc", 7, np.empty(0)])
def test_a_field_may_be_one_of_several_types(choice: Any) -> None:
    """A field that is an array at times could not be declared, or be stored twice."""
    restored = again(Many(step=1, choice=choice))
    assert same(restored.choice, choice)
    assert type(restored.choice) is type(choice)
    size = getattr(choice, "nbytes", len(choice) if isinstance(choice, bytes) else 0)
    assert dumped(restored)[1].size == size


def test_loaded_arrays_are_the_row_each_at_a_multiple_of_64() -> None:
    """They would be copied once more; and sums over them would differ in a bit from run to run."""
    model = Many(step=1, weights={str(n): np.ones(n, "i1") for n in range(1, 200, 33)})
    text, bulk = dumped(model)
    for _ in range(3):
        row = new_row(bulk.size)
        assert bytes(row) == bytes(len(row))
        bulk.copied_to(row)
        restored = loaded(Many, text, row)
        assert all(a.ctypes.data % ALIGNMENT == 0 for a in restored.weights.values())
        restored.weights["1"][0] = 9
        assert row[0] == 9
    assert len(new_row(0)) == 0


def test_parts_of_the_bulk_can_be_read() -> None:
    """What is sent in chunks would be other bytes than what was copied as a whole."""
    weights = {str(n): np.arange(n, dtype="i2") + n for n in (3, 100, 1)}
    _, bulk = dumped(Many(step=1, weights=weights, blob=b"x" * 70))
    row = memoryview(bytearray(bulk.size))
    copy = bulk.copied_to(row)
    for begin in range(0, bulk.size, 7):
        for end in (begin + 1, begin + 64, begin + 300):
            cut = bytes(row[begin : min(end, bulk.size)])
            for source in (bulk, copy):
                assert bytes(source.read(begin, min(end, bulk.size))) == cut


def test_equality_is_by_type_shape_and_bytes() -> None:
    """A state would seem unchanged that is not, or never be equal to itself."""
    nan = np.array([np.nan, 1.0])
    assert One(array=nan) == One(array=nan.copy())
    for other in (
        np.array([np.nan, 2.0]),
        nan.reshape(2, 1),
        nan.astype("f4"),
        nan.astype(">f8"),
        nan.view("i8"),
    ):
        assert One(array=nan) != One(array=other)
    assert One(array=np.array([0.0])) != One(array=np.array([-0.0]))
    assert One(array=np.empty((0, 2))) != One(array=np.empty((2, 0)))
    assert Many(step=1, weights={"a": nan}) != Many(step=1, weights={"b": nan})
    assert Many(step=1, choice=nan) != Many(step=1, choice=3)
    assert One(array=nan) != nan.tolist()


def test_models_of_all_kinds_are_compared() -> None:
    """Numpy would raise where a comparison has many answers."""
    for make in (
        lambda array: Plain(array=array),
        lambda array: Holder(data=Data(array)),
        lambda array: HasDict(value={"array": array}),
        lambda array: ArrayTree(leaf=One(array=array)),
    ):
        one = make(np.arange(3))
        assert same(again(one), one)
        assert same(make(np.arange(3)), one)
        assert not same(make(np.arange(3) + 1), one)
    assert not same(Plain(array=np.arange(3)), One(array=np.arange(3)))
    assert not same([np.arange(3)], (np.arange(3),))


def test_models_without_arrays_are_compared_as_ever() -> None:
    """What a kernel's state is equal to would depend on whether some other one has arrays."""

    class Odd(Model):
        step: int
        _private: int = 0

    one, other = Odd(step=1), Odd(step=1)
    assert one == other
    other._private = 2
    assert one != other
    assert one != Many(step=1)
    assert len({Odd(step=1), Odd(step=1)}) == 1


@pytest.mark.parametrize("value", ["text", bytearray(b"x"), memoryview(b"x"), 3, [1]])
def test_what_is_no_blob_is_refused_in_a_line(value: Any) -> None:
    """A list of numbers or a text would become other bytes than its author thinks."""
    with pytest.raises(ValidationError, match=f"a Blob is bytes, not {type(value).__name__}"):
        Many(step=1, blob=value)


def test_a_model_with_arrays_has_no_json_alone() -> None:
    """Its bytes would be lost without a word."""
    with pytest.raises(ValueError, match="an Array or a Blob has no JSON"):
        One(array=np.arange(3)).model_dump_json()


def test_what_is_assigned_to_a_model_unchecked_is_checked_when_it_is_dumped() -> None:
    """What numpy makes of a list in an Array's place would be an error without a name."""
    model = Plain(array=np.arange(3))
    model.array = [1, 2]  # type: ignore[assignment]
    with pytest.raises(ValueError, match="an Array is an array of numpy or a tensor, not list"):
        dumped(model)
    model.array = np.array([object()])
    with pytest.raises(ValueError, match="nothing is pickled"):
        dumped(model)


@pytest.mark.parametrize(
    "reference",
    [
        {"$blob": -5, "at": 64},
        {"$blob": 5, "at": -5},
        {"$blob": "5", "at": 0},
        {"$blob": True, "at": 0},
        {"$blob": 10**30, "at": 0},
        {"$blob": 65, "at": 0},
        {"$blob": 5},
        {"$array": "<f4", "shape": [2], "at": 0},
        "five",
    ],
)
def test_a_bad_reference_to_a_blob_is_refused(reference: object) -> None:
    """The same."""
    with pytest.raises(ValidationError):
        loaded(Many, json.dumps({"step": 1, "blob": reference}), new_row(64))


def test_a_text_that_is_not_of_this_bulk_is_refused() -> None:
    """A state would be compared with another one's arrays."""
    text, _ = dumped(One(array=np.arange(3)))
    _, bulk = dumped(One(array=np.arange(4)))
    with pytest.raises(ValidationError, match="not those of an array or a blob here"):
        loaded(One, text, bulk)


def test_which_models_have_something_beside_their_json() -> None:
    """A store would be asked for bytes that no state has, or a state stored without them."""
    assert all(map(has_bulk, (One, Many, Plain, Holder, HasDict, ArrayTree)))
    assert not any(map(has_bulk, (NoBulk, Tree)))


def test_the_references_are_listed_with_their_paths() -> None:
    """A message could not say which array it means."""
    model = Many(step=1, weights={"a.b": np.ones(2)}, inner=(One(array=np.ones(3)),), blob=b"x")
    found = dict(references(json.loads(dumped(model)[0])))
    assert found == {
        "weights.a.b": {"$array": "<f8", "shape": [2], "at": 0},
        "inner.0.array": {"$array": "<f8", "shape": [3], "at": 64},
        "blob": {"$blob": 1, "at": 128},
    }
