"""What Python passes to machine code, as numba's calling convention has it.

It is a sequence of words of 64 bits. A number is one word, and a tuple is its items one after the
other. An array is: two pointers for its owner, which are null for memory that Python looks after;
its size; its bytes an item; its address; its shape; its strides.
"""

from __future__ import annotations

from ctypes import addressof, c_char
from typing import Any, NamedTuple

import numpy as np

# Type checkers do not know that an array is a buffer.
_BYTE: Any = c_char

_KINDS: dict[type, str] = {int: "q", np.int64: "q", np.uint64: "Q", float: "d", np.float64: "d"}


class Arguments(NamedTuple):
    """Arguments of one call.

    Attributes:
        kinds: what must be the same for the same machine code to serve.
        words: their values.
    """

    kinds: str
    words: list[int | float]


def flatten(arguments: tuple[Any, ...]) -> Arguments:
    """Return arguments as machine code takes them.

    Raises:
        TypeError: machine code takes no such argument: it takes numbers of 64 bits, tuples, and
            arrays that are C-contiguous and not read-only.
    """
    kinds: list[str] = []
    words: list[int | float] = []
    _append(arguments, kinds, words)
    return Arguments("".join(kinds), words)


def _append(arguments: tuple[Any, ...], kinds: list[str], words: list[int | float]) -> None:
    # A call of a small computation has ten arrays and takes as long as this, twenty microseconds.
    for argument in arguments:
        if (kind := _KINDS.get(type(argument))) is not None:
            kinds.append(kind)
            words.append(argument)
        elif isinstance(argument, np.ndarray):
            dtype, size = argument.dtype, argument.size
            if dtype.names is not None:
                raise TypeError("compiled code takes no array of records")
            kinds += (dtype.char, dtype.byteorder, "*" * argument.ndim)
            address = addressof(_BYTE.from_buffer(argument)) if size else 0
            words += (0, 0, size, dtype.itemsize, address, *argument.shape, *argument.strides)
        elif isinstance(argument, tuple):
            kinds += (type(argument).__qualname__, "(")
            _append(argument, kinds, words)
            kinds.append(")")
        else:
            raise TypeError(f"compiled code takes no {type(argument).__name__}")
