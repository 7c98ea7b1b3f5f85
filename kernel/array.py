"""Arrays of numpy, and tensors of torch, in a kernel's models; numpy is loaded with this module."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

try:
    import numpy as np
except ModuleNotFoundError as error:
    from outlast.kernel.extras import how_to_install

    raise ModuleNotFoundError(
        f"an Array needs numpy: {how_to_install('arrays')}", name="numpy"
    ) from error

from outlast.kernel.bulk import Beside, whole
from outlast.kernel.tensor import TensorBytes, is_far, is_tensor, near_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from outlast.kernel.bulk import Bytes


class _Numbers(Beside):
    """An array beside the JSON.

    It comes back in the order of its memory, C or Fortran; what has neither comes in that of C.
    A tensor of torch is taken as it is: on the CPU the array shares its memory; from another device
    it is fetched when it is stored. Either comes back as an array.
    """

    key = "$array"

    def check(self, value: object) -> object:
        if is_far(value):
            return value
        array = _array_of(value)
        _description(array.dtype)
        return array

    def dump(self, value: Any) -> tuple[dict[str, Any], Bytes, object]:
        if is_far(value):
            far = TensorBytes(value)
            return self._reference(far.dtype, value.shape, is_turned=far.is_turned), far, value
        array = _array_of(value)
        is_turned = array.flags.fnc
        reference = self._reference(array.dtype, array.shape, is_turned=is_turned)
        return reference, _flat(array.T if is_turned else array).data, value

    def _reference(
        self, dtype: np.dtype[Any], shape: Iterable[int], *, is_turned: bool
    ) -> dict[str, Any]:
        reference = {self.key: _description(dtype), "shape": list(shape)}
        # In another order its sums would differ in a bit.
        return reference | {"order": "F"} if is_turned else reference

    def size(self, reference: Mapping[str, Any]) -> int:
        return _dtype(reference[self.key]).itemsize * _count(reference["shape"])

    def load(self, reference: Mapping[str, Any], data: memoryview) -> object:
        shape, dtype = reference["shape"], _dtype(reference[self.key])
        if not data.nbytes:
            return np.empty(shape, dtype)
        return np.ndarray(shape, dtype, buffer=data, order=reference.get("order", "C"))


Array = Annotated[np.ndarray[Any, Any], _Numbers()]


def is_array(value: object) -> bool:
    """Whether the value is what an Array may have."""
    return isinstance(value, np.ndarray) or is_far(value)


def same_arrays(one: Any, other: Any) -> bool:
    """Whether two arrays have the same type, shape and bytes; so a NaN is equal to itself."""
    ours, theirs = (_array_of(v.cpu() if is_far(v) else v) for v in (one, other))
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return False
    return bool(np.array_equal(_flat(ours), _flat(theirs)))


def _array_of(value: object) -> np.ndarray[Any, Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(  # noqa: TRY004 - as pydantic wants it
            "an Array has no mask: give `.data` and `.mask`, each as one"
        )
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    if is_tensor(value):
        return near_array(value)
    kind = type(value).__name__
    way = "read a file with weights=@file.npy" if kind == "str" else "give numpy.asarray(…)"
    raise ValueError(f"an Array is an array of numpy or a tensor, not {kind}: {way}")


def _description(dtype: np.dtype[Any]) -> Any:
    """Return what JSON has of a type, from which `_dtype` makes it again.

    Raises:
        ValueError: there is nothing such.
    """
    if dtype.hasobject:
        raise ValueError("an Array has numbers, not Python objects: nothing is pickled")
    description = dtype.str if dtype.names is None else dtype.descr
    if _dtype(description) != dtype:
        raise ValueError(
            f"an Array has types of numpy's own, not {dtype}: "
            f"give array.view('V{dtype.itemsize}'), and view it as {dtype} again"
        )
    return description


def _dtype(description: Any) -> np.dtype[Any]:
    dtype = np.lib.format.descr_to_dtype(_tuples(description))
    if dtype.hasobject:  # What is stored as its pointers would be taken for such.
        raise ValueError("an Array has numbers, not Python objects")
    return dtype


def _tuples(descr: Any) -> Any:
    """Return the description of a type with the tuples that JSON has made lists."""
    if isinstance(descr, str):
        return descr
    return [
        (tuple(name) if isinstance(name, list) else name, _tuples(kind), *map(tuple, shape))
        for name, kind, *shape in descr
    ]


def _count(shape: list[object]) -> int:
    return math.prod(map(whole, shape))


def _flat(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the bytes of an array in the order of C; a view where that is its own."""
    if not array.nbytes:
        return np.empty(0, np.uint8)
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
