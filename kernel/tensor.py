"""Tensors of torch, on the CPU or elsewhere; torch is not imported before there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def is_tensor(value: object) -> bool:
    """Whether the value is a tensor."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def is_far(value: object) -> bool:
    """Whether the value is a tensor on another device than the CPU."""
    return is_tensor(value) and value.device.type != "cpu"  # type: ignore[attr-defined]


def near_array(tensor: Any) -> np.ndarray[Any, Any]:
    """Return the array that shares the memory of a tensor on the CPU.

    Raises:
        ValueError: numpy has no such type.
    """
    try:
        array: np.ndarray[Any, Any] = _plain(tensor).numpy()
    except (TypeError, RuntimeError) as error:
        raise ValueError(
            f"numpy has no such tensor ({error}); of torch.bfloat16 give tensor.view(torch.int16)"
        ) from error
    return array


class TensorBytes:
    """The bytes of a tensor on another device, fetched when they are read.

    They are those of the array that the tensor would be on the CPU, in the order of its memory.

    Attributes:
        nbytes: how many they are.
        dtype: of that array.
        is_turned: whether that array lies in the order of Fortran.
    """

    def __init__(self, tensor: Any) -> None:
        """Refer to the tensor.

        Raises:
            ValueError: numpy has no such type.
        """
        import torch

        plain = _plain(tensor)
        turned = plain.permute(tuple(reversed(range(plain.dim()))))
        self.dtype = near_array(plain.new_empty(0, device="cpu")).dtype
        self.is_turned = turned.is_contiguous() and not plain.is_contiguous()
        # `view` takes only what lies side by side in memory, as the numbers of a column do not.
        row = (turned if self.is_turned else plain).contiguous().reshape(-1)
        self._flat = row.view(torch.uint8)
        self.nbytes = self._flat.numel()

    def __getitem__(self, part: slice) -> memoryview:
        """Return a copy of some of the bytes."""
        return memoryview(self._flat[part].cpu().numpy())

    def copy_to(self, row: memoryview) -> None:
        """Fetch all bytes straight into memory that is as long."""
        import torch

        torch.frombuffer(row, dtype=torch.uint8).copy_(self._flat)


def _plain(tensor: Any) -> Any:
    """Return the tensor without its gradient, and with its numbers as they are."""
    return tensor.detach().resolve_conj().resolve_neg()
