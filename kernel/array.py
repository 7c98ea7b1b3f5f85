"""Arrays of numpy, and tensors of torch, in a kernel's models; numpy is loaded with this module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from outlast.kernel.bulk import Beside

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Numbers(Beside):
    """An array beside the JSON.

    A tensor of torch is taken as it is: on the CPU the array shares its memory; from another device
    it is fetched when it is stored. Either comes back as an array.
    """

    key = "$array"

    def check(self, value: object) -> object:
        array = value if _is_far(value) else _array_of(value)
        if isinstance(array, np.ndarray) and array.dtype.hasobject:
            raise ValueError("an Array has numbers, not Python objects: nothing is pickled")
        return array

    def dump(self, value: Any) -> tuple[dict[str, Any], memoryview, object]:
        array = as_array(value)
        descr = np.lib.format.dtype_to_descr(array.dtype)
        return {self.key: descr, "shape": list(array.shape)}, _bytes_of(array), value

    def size(self, reference: Mapping[str, Any]) -> int:
        return _dtype(reference[self.key]).itemsize * _count(reference["shape"])

    def load(self, reference: Mapping[str, Any], data: memoryview) -> object:
        shape, dtype = reference["shape"], _dtype(reference[self.key])
        if not data.nbytes:
            return np.empty(shape, dtype)
        return np.ndarray(shape, dtype, buffer=data)


Array = Annotated[np.ndarray[Any, Any], _Numbers()]


def is_array(value: object) -> bool:
    """Whether the value is what an Array may have."""
    return isinstance(value, np.ndarray) or _is_far(value)


def same_arrays(one: Any, other: Any) -> bool:
    """Whether two arrays have the same type, shape and bytes; so a NaN is equal to itself."""
    ours, theirs = as_array(one), as_array(other)
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return False
    return bool(np.array_equal(_flat(ours), _flat(theirs)))


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """Return the array, fetched where it is on another device."""
    return _array_of(value.cpu()) if _is_far(value) else value


def _array_of(value: object) -> np.ndarray[Any, Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(  # noqa: TRY004 - as pydantic wants it
            "an Array has no mask: give `.data` and `.mask`, each as one"
        )
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    if _is_tensor(value):
        tensor: Any = value
        try:
            array: np.ndarray[Any, Any] = tensor.detach().resolve_conj().resolve_neg().numpy()
        except (TypeError, RuntimeError) as error:
            raise ValueError(
                f"numpy has no such tensor ({error}); of torch.bfloat16 give "
                "tensor.view(torch.int16)"
            ) from error
        return array
    raise ValueError(f"an Array is an array of numpy or a tensor, not {type(value).__name__}")


def _is_tensor(value: object) -> bool:
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def _is_far(value: object) -> bool:
    return _is_tensor(value) and value.device.type != "cpu"  # type: ignore[attr-defined]


def _dtype(descr: Any) -> np.dtype[Any]:
    return np.lib.format.descr_to_dtype(_tuples(descr))


def _tuples(descr: Any) -> Any:
    """Return the description of a type with the tuples that JSON has made lists."""
    if isinstance(descr, str):
        return descr
    return [
        (tuple(name) if isinstance(name, list) else name, _tuples(kind), *map(tuple, shape))
        for name, kind, *shape in descr
    ]


def _count(shape: list[int]) -> int:
    if not all(isinstance(length, int) and length >= 0 for length in shape):
        raise ValueError(f"no array has the shape {shape}")
    count = 1
    for length in shape:
        count *= length
    return count


def _flat(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the bytes of an array in the order of C; a view where that is its own."""
    return array.reshape(-1).view(np.uint8) if array.nbytes else np.empty(0, np.uint8)


def _bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    return _flat(array).data
