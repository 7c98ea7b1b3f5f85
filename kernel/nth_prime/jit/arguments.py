"""What Python passes to machine code, as numba's calling convention has it.

It is a sequence of words of 64 bits. A number is one word, and a tuple is its items one after the
other. An array is: two pointers for its owner, which are null for memory that Python looks after;
its size; its bytes an item; its address; its shape; its strides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

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
        TypeError: machine code takes no such argument.
        OverflowError: an integer has more than 64 bits.
    """
    kinds: list[str] = []
    words: list[int | float] = []
    for argument in arguments:
        _append(argument, kinds, words)
    return Arguments("".join(kinds), words)


def _append(argument: Any, kinds: list[str], words: list[int | float]) -> None:
    kind = _KINDS.get(type(argument))
    if kind == "q" and not -(2**63) <= argument < 2**63:
        raise OverflowError(f"compiled code takes integers of 64 bits, not {argument}")
    if kind is not None:
        kinds.append(kind)
        words.append(argument)
    elif isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise TypeError("compiled code takes C-contiguous arrays only")
        kinds.append(f"{argument.dtype.str}*{argument.ndim}")
        words += (0, 0, argument.size, argument.itemsize, argument.ctypes.data)
        words += argument.shape
        words += argument.strides
    elif isinstance(argument, tuple):
        kinds.append(f"{type(argument).__qualname__}(")
        for item in argument:
            _append(item, kinds, words)
        kinds.append(")")
    else:
        raise TypeError(f"compiled code takes no {type(argument).__name__}")
