"""Machine code in memory: how it is loaded, and called without the GIL."""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm


class MachineCode(NamedTuple):
    """The machine code of a function.

    Attributes:
        symbol: the function's name in the object file.
        result: the types of the numbers that it returns, as the module `struct` writes them.
        object_file: the bytes of an object file that needs nothing but the C library.
    """

    symbol: str
    result: str
    object_file: bytes


class Native:
    """A function whose machine code is in memory."""

    def __init__(self, code: MachineCode) -> None:
        self._name = code.symbol
        self._result = struct.Struct(code.result)
        # Of its own, and not one for all: what two functions call has the same names in both.
        self._engine = llvm.create_mcjit_compiler(
            llvm.parse_assembly(""), _target().create_target_machine()
        )
        self._engine.add_object_file(llvm.ObjectFileRef.from_data(code.object_file))
        self._engine.finalize_object()
        self._address = self._engine.get_function_address(code.symbol)
        self._call: Any = None

    def __call__(self, words: list[int | float]) -> Any:
        """Return the result: a number, a tuple of more than one, or None."""
        call = self._call
        if call is None:
            call = self._call = _prototype(words)(self._address)
        result = ctypes.create_string_buffer(self._result.size)
        if call(result, ctypes.byref(ctypes.c_void_p()), *words):
            raise RuntimeError(f"an error in compiled code: {self._name}")
        numbers = self._result.unpack(result)
        if len(numbers) > 1:
            return numbers
        return numbers[0] if numbers else None


def _prototype(words: list[int | float]) -> Any:
    """Return the type of functions of numba's calling convention that take such words.

    Before them come the addresses of where the result goes and of where an error is told.
    """
    types = [ctypes.c_double if isinstance(word, float) else ctypes.c_int64 for word in words]
    return ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *types)


@cache
def _target() -> llvm.Target:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple()
