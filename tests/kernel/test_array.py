"""Arrays and tensors: of which types they may be, and that no bad reference makes one."""

from __future__ import annotations

import json
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import BaseModel, ValidationError

from outlast import Array
from outlast.kernel.array import _description
from outlast.kernel.bulk import dumped, loaded, new_row
from tests.bulk import Many, One, again, assert_same

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = np.dtype([("a", "<f4"), ("b", ">i2", (2,)), ("c", [("d", "M8[s]"), ("e", "?")])])
PADDED = np.dtype([("a", "i1"), ("b", "f8")], align=True)
NAMED = np.dtype([(("a title", "a"), "f4"), ("ä", "U2")])


class Plain(BaseModel):
    """A model that may be changed unchecked."""

    array: Array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="f4").reshape(2, 3),
        np.arange(6, dtype=">f8"),
        np.array([1 + 2j, np.nan]),
        np.array([True, False]),
        np.array(["abc", "dé"]),
        np.array([b"abc", b"d\0"]),
        np.array([""]),
        np.array([], "U"),
        np.array(["2020-01-01", "NaT"], "M8[D]"),
        np.array([1, 2], "m8[25s]"),
        np.zeros(3, RECORDS),
        np.ones(3, RECORDS)[::2],
        np.zeros(3, PADDED),
        np.zeros((2, 2), NAMED),
        np.zeros(2, "V3"),
        np.array(3.5),
        np.array((1, (2, 3), (4, True)), RECORDS),
        np.empty((0, 3), "i2"),
        np.empty((3, 0)),
        np.arange(6).reshape(2, 3).T,
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.arange(10)[::2],
        np.arange(10)[::-1],
        np.broadcast_to(np.arange(3), (2, 3)),
        np.float32(2.5),
        np.arange(6).reshape(2, 3).view(np.matrix),
        np.zeros(2, RECORDS).view(np.recarray),
        np.array([np.nan, -np.nan, -0.0, np.inf]),
        np.arange(3, dtype="f2"),
        np.arange(3, dtype=np.longdouble),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}"[:40],
)
def test_an_array_comes_back(array: Any) -> None:
    """A kernel would resume from other numbers, or not at all."""
    model = One(array=array)
    restored = again(model)
    assert type(restored.array) is np.ndarray
    assert_same(restored.array, np.asarray(array))
    assert restored == model
    assert restored.array.flags.writeable


@given(npst.arrays(npst.scalar_dtypes() | npst.array_dtypes(), npst.array_shapes(min_dims=0)))
def test_any_array_comes_back(array: np.ndarray[Any, Any]) -> None:
    """The same, for types that nobody has thought of."""
    assert_same(again(One(array=array)).array, array)
    if array.ndim:
        assert_same(again(One(array=array[::-2])).array, array[::-2])


def test_what_is_dumped_is_the_memory_of_the_arrays(tmp_path: Path) -> None:
    """A state of gigabytes would be copied for each yield."""
    array = np.arange(6.0).reshape(2, 3)
    mapped = np.memmap(tmp_path / "file", "f4", "w+", shape=(3,))
    frozen = np.arange(3)
    frozen.flags.writeable = False
    _, bulk = dumped(Many(step=1, weights={"a": array, "m": mapped, "f": frozen}))
    row = memoryview(bytearray(bulk.size))
    array[1, 2], mapped[1] = 7, 5
    bulk.copied_to(row)
    assert np.frombuffer(row, "f8", 6)[5] == 7
    assert np.frombuffer(row, "f4", 3, offset=64)[1] == 5
    assert np.frombuffer(row, "i8", 3, offset=128).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, 2.0], "an Array is an array of numpy or a tensor, not list"),
        ("text", "an Array is an array of numpy or a tensor, not str"),
        (None, "an Array is an array of numpy or a tensor, not NoneType"),
        (np.array([object()]), "has numbers, not Python objects: nothing is pickled"),
        (np.zeros(1, [("a", "f4"), ("b", "O")]), "has numbers, not Python objects"),
        (np.array(["a"], np.dtypes.StringDType()), "has numbers, not Python objects"),
        (np.ma.array([1, 2]), "no mask: give `.data` and `.mask`, each as one"),
        (
            np.zeros(1, {"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 2]}),
            "overlapping or out-of-order fields",
        ),
        ({"$array": "<f4", "shape": [3], "at": 0}, "stored beside the JSON, and were not read"),
    ],
)
def test_what_is_no_array_is_refused_in_a_line(value: Any, message: str) -> None:
    """An author would learn of it when the job is to be stored, or when it resumes."""
    with pytest.raises(ValidationError) as error:
        One(array=value)
    (found,) = error.value.errors()
    assert message in found["msg"]
    assert "\n" not in found["msg"]


def test_a_type_that_numpy_stores_under_no_name_of_its_own_is_refused() -> None:
    """A bfloat16 of another package would come back as two bytes without a meaning."""

    class Bfloat16:
        hasobject, names, str, itemsize = False, None, "<V2", 2

        def __str__(self) -> str:
            return "bfloat16"

    with pytest.raises(ValueError, match=r"numpy's own, not bfloat16: give array\.view"):
        _description(Bfloat16())


def test_metadata_of_a_type_is_dropped_without_a_word() -> None:
    """Numpy's warning speaks of files that nobody has asked for."""
    array = np.zeros(2, np.dtype("f4", metadata={"unit": "m"}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(again(One(array=array)).array, array)


REFERENCE = {"$array": "<f4", "shape": [2, 3], "at": 64}


@pytest.mark.parametrize(
    "changed",
    [
        {"at": -64},
        {"at": 65},
        {"at": 10**30},
        {"at": True},
        {"at": "64"},
        {"at": 64.0},
        {"at": None},
        {"shape": [2, 4]},
        {"shape": [10**20, 10**20]},
        {"shape": [-2, -3]},
        {"shape": [2, True]},
        {"shape": [2.0, 3]},
        {"shape": ["2", 3]},
        {"shape": "23"},
        {"shape": 6},
        {"shape": None},
        {"shape": {}},
        {"shape": [0, 10**30]},
        {"shape": [0] * 100},
        {"$array": "(2,,3)f4"},
        {"$array": "nonsense"},
        {"$array": ""},
        {"$array": "<f4\0"},
        {"$array": "M8[foo]"},
        {"$array": None},
        {"$array": 4},
        {"$array": [["a"]]},
        {"$array": [["a", "<i4", [10**9, 10**9]]]},
        {"$array": [["a", "<i4", [-1]]]},
        {"$array": [["a", "<i4", "x"]]},
        {"$array": [["a", "f4"], ["a", "f4"]]},
        {"$array": {"a": 1}},
        {"$array": "S999999999999"},
        {"$array": "V0", "shape": [10**30]},
    ],
    ids=str,
)
def test_a_bad_reference_is_refused(changed: dict[str, Any]) -> None:
    """A damaged store would crash the worker, or give a kernel memory that is not the state's."""
    row = memoryview(bytearray(64 + 24))
    assert loaded(One, json.dumps({"array": REFERENCE}), row).array.shape == (2, 3)
    with pytest.raises(ValidationError) as error:
        loaded(One, json.dumps({"array": REFERENCE | changed}), row)
    assert "\n" not in error.value.errors()[0]["msg"]


@pytest.mark.parametrize("kind", ["O", "|O8", "T", [["a", "O"]], "f4,O", [["a", [["b", "O"]]]]])
def test_stored_bytes_are_no_python_objects(kind: object) -> None:
    """Whoever can write to the store could have a worker take any number for a pointer."""
    reference = {"$array": kind, "shape": [2], "at": 64}
    with pytest.raises(ValidationError, match=r"numbers, not Python objects|is damaged"):
        loaded(One, json.dumps({"array": reference}), new_row(1000))


@pytest.mark.parametrize("missing", ["shape", "at"])
def test_a_reference_that_lacks_something_is_refused(missing: str) -> None:
    """The same."""
    reference = {name: value for name, value in REFERENCE.items() if name != missing}
    with pytest.raises(ValidationError, match="what refers to its bytes is damaged: KeyError"):
        loaded(One, json.dumps({"array": reference}), new_row(100))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
TYPES = st.sampled_from(["<f4", ">i2", "|b1", "O", "<U2", "V0", "M8[s]"]) | st.text(
    "<>|fiuOSUVTMm0123456789,()[]: ", max_size=8
)


@given(
    JSON | TYPES | st.lists(st.tuples(st.text(max_size=2), TYPES)),
    JSON | st.lists(st.integers(-2, 5), max_size=4),
    JSON | st.integers(-70, 200),
)
def test_no_reference_gets_memory_outside_the_row(kind: Any, shape: Any, at: Any) -> None:
    """The same, for damage that nobody has thought of."""
    text = json.dumps({"array": {"$array": kind, "shape": shape, "at": at}})
    row = memoryview(bytearray(128))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy has old names that it does not like any more.
            array = loaded(One, text, row).array
    except ValidationError:
        return
    assert not array.dtype.hasobject
    if array.nbytes:
        begin = array.ctypes.data - np.frombuffer(row, "u1").ctypes.data
        assert 0 <= begin <= 128 - array.nbytes


class Tensor:
    """What the tensors of torch have that matters here; real ones are in tests/test_tensors.py."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.device = SimpleNamespace(type="cpu")
        self._array = array

    def detach(self) -> Tensor:
        """Return it without its gradient."""
        return self

    resolve_conj = resolve_neg = detach

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return its memory."""
        if self._array.dtype == "V2":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self._array


Tensor.__module__ = "torch"


def test_a_tensor_on_the_cpu_is_an_array_of_the_same_memory() -> None:
    """A training would have its weights twice in memory."""
    array = np.arange(3.0)
    model = One(array=Tensor(array))  # type: ignore[arg-type]
    array[0] = 7
    assert model.array[0] == 7
    assert_same(again(model).array, array)
    unchecked = Plain.model_construct(array=Tensor(array))
    assert_same(again(unchecked).array, array)


def test_a_tensor_that_numpy_does_not_have_is_refused_with_the_way_out() -> None:
    """An author would read of a scalar type that numpy lacks, and not what to do."""
    bfloat16 = Tensor(np.zeros(2, "V2"))
    with pytest.raises(ValidationError, match=r"BFloat16\); of torch.bfloat16 give tensor.view"):
        One(array=bfloat16)  # type: ignore[arg-type]


def test_an_array_keeps_the_order_of_its_memory() -> None:
    """A sum over it would differ in the last bit after a resume, and so would the answer."""
    array = np.asfortranarray(np.random.default_rng(1).random((50, 70), dtype="f4"))
    back = again(One(array=array)).array
    assert back.flags.fnc
    assert back.sum() == array.sum()
    assert np.array_equal(back, array)
    assert again(One(array=array[::2, ::3])).array.flags.c_contiguous


@pytest.mark.parametrize("order", ["X", 3, []])
def test_a_forged_order_is_refused(order: object) -> None:
    """A record that was tampered with would end a worker with an error of numpy's."""
    reference = {"$array": "<f4", "shape": [2, 2], "order": order, "at": 0}
    with pytest.raises(ValidationError):
        loaded(One, json.dumps({"array": reference}), memoryview(bytearray(16)))
