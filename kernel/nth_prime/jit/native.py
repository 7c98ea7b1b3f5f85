"""Machine code in memory: how it is loaded, and called without the GIL."""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np

ENTRY = "entry"
"""What the function is called in each object file."""


class MachineCode(NamedTuple):
    """The machine code of a function.

    Attributes:
        result: the types of the numbers that it returns, as the module `struct` writes them.
        object_file: the bytes of an object file that needs nothing but the C library. In it ENTRY
            takes three addresses: where the result goes, where an error is told, and where the
            words of the arguments are. It returns 0 if there is no error.
    """

    result: str
    object_file: bytes


# The GIL is free during a call.
_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)


class Native:
    """A function whose machine code is in memory."""

    def __init__(self, code: MachineCode, words: list[int | float]) -> None:
        """Load the machine code; `words` are any that it may be called with."""
        self._arguments = struct.Struct("".join(map(_format, words)))
        self._result = struct.Struct(code.result)
        self._room = ctypes.c_char * self._result.size
        # An engine of its own: what two functions call has the same names in both.
        self._engine = llvm.create_mcjit_compiler(
            llvm.parse_assembly(""), _target().create_target_machine()
        )
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code.object_file))
        self._engine.finalize_object()
        self._entry = _PROTOTYPE(self._engine.get_function_address(ENTRY))

    def __call__(self, words: list[int | float]) -> Any:
        """Return the result: a number, a tuple of more than one, or None.

        Raises:
            struct.error: an integer has more than 64 bits.
        """
        result, error = self._room(), ctypes.c_void_p()
        if self._entry(result, ctypes.byref(error), self._arguments.pack(*words)):
            raise RuntimeError("an error in compiled code")
        numbers = self._result.unpack(result)
        if len(numbers) > 1:
            return numbers
        return numbers[0] if numbers else None


def _format(word: float) -> str:
    """Return how the module `struct` writes the type of a word."""
    if isinstance(word, float):
        return "d"
    return "Q" if isinstance(word, np.uint64) else "q"


@cache
def _target() -> llvm.Target:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()
