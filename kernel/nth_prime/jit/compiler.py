"""From a function to machine code, by numba. Importing this takes longer than all the rest."""

from __future__ import annotations

import ctypes
import gc
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.extending import models, register_model

from outlast.kernel.nth_prime.jit.native import ENTRY, MachineCode
from outlast.kernel.nth_prime.jit.processor import processor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# numba sets the attributes of its configuration from the environment, unseen by type checkers.
_config: Any = numba.config
_typeof: Any = numba.typeof
_config.CPU_NAME, _config.CPU_FEATURES = processor()

_OPTIONS: Any = {
    # The check for division by zero would keep LLVM from vectorising.
    "error_model": "numpy",
    # Nothing that needs numba in the process which calls the machine code: neither entries for
    # Python and C, nor memory of its own.
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}

_RESULTS = {types.int64: "q", types.uint64: "Q", types.float64: "d", types.none: ""}


def compile_for(function: Callable[..., Any], arguments: tuple[Any, ...]) -> MachineCode:
    """Return the machine code of a function for arguments of these types.

    Raises:
        TypeError: it returns anything but numbers, or needs what other processes do not have.
    """
    context = cpu_target.target_context
    codegen = context.codegen()
    signature = tuple(_typeof(_typical(argument)) for argument in arguments)
    with global_compiler_lock, _without_engine(codegen), _without_collector():
        dispatcher = _dispatcher(function)
        dispatcher.compile(signature)
        compiled = dispatcher.overloads[signature]
        _, _, bitcode = compiled.library.serialize_using_bitcode()
    result = _result(compiled.signature.return_type)
    module = llvm.parse_bitcode(bitcode)
    if needed := _needed(module):
        raise TypeError(f"{function.__name__} needs what not every process has: {needed}")
    module.link_in(llvm.parse_assembly(_entry(context, compiled)))
    # For the processor for which numba has optimised.
    return MachineCode(result, codegen._tm.emit_object(module))  # noqa: SLF001


def _typical(argument: Any) -> Any:
    """Return an argument of the same kind, without integers of which numba would make unsigned."""
    if type(argument) is int:
        return 0
    if isinstance(argument, tuple):
        items = map(_typical, argument)
        return getattr(argument, "_make", tuple)(items)
    return argument


def _entry(context: Any, compiled: Any) -> str:
    """Return a module with the function ENTRY: it calls what is compiled with words from memory.

    So a call from Python, which may have a hundred words, passes three.
    """
    signature = compiled.signature
    called = context.call_conv.get_function_type(signature.return_type, signature.args)
    module = ir.Module()
    function = ir.Function(module, called, compiled.fndesc.llvm_func_name)
    result, error, *kinds = called.args
    word = ir.IntType(64)
    interface = ir.FunctionType(called.return_type, [result, error, word.as_pointer()])
    entry = ir.Function(module, interface, ENTRY)
    builder = ir.IRBuilder(entry.append_basic_block())
    places = [builder.gep(entry.args[2], [word(i)]) for i in range(len(kinds))]
    words = [
        builder.load(builder.bitcast(place, kind.as_pointer()))
        for place, kind in zip(places, kinds, strict=True)
    ]
    builder.ret(builder.call(function, [*entry.args[:2], *words]))
    return str(module)


class _Callee(types.Dispatcher):
    """A function that compiled code calls. No constant that it is called with compiles it anew."""

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        """Return the signature for arguments of these types."""
        return super().get_call_type(context, tuple(map(types.unliteral, args)), kws)


# It has no value, as numba's own type of such functions has none.
register_model(_Callee)(models.OpaqueModel)


@cache
def callee(function: Callable[..., Any]) -> Any:
    """Return a function as numba's types have it."""
    return _Callee(_dispatcher(function))


@cache
def _dispatcher(function: Callable[..., Any]) -> Any:
    return numba.njit(**_OPTIONS)(function)


def _result(returned: Any) -> str:
    """Return the types of the numbers that are returned, as MachineCode has them."""
    numbers = getattr(returned, "types", (returned,))
    if not all(number in _RESULTS for number in numbers):
        raise TypeError(f"compiled code cannot return {returned}")
    return "".join(_RESULTS[number] for number in numbers)


def _needed(module: llvm.ModuleRef) -> list[str]:
    """Return what a module uses of numba's, by name: functions, and addresses in this process."""
    process = ctypes.CDLL(None)
    called = [one.name for one in module.functions if one.is_declaration]
    needed = [name for name in called if not (name.startswith("llvm.") or hasattr(process, name))]
    read = [one.name for one in module.global_variables]
    return needed + [name for name in read if name.startswith("numba.dynamic.globals")]


class _NoEngine:
    """What numba loads machine code with, here into nowhere.

    numba makes machine code of each function that another calls, too, and loads it, to no use.
    """

    def __init__(self) -> None:
        self._anything = ctypes.c_void_p()

    def add_module(self, module: object) -> None:
        """Do nothing."""

    def finalize_object(self) -> None:
        """Do nothing."""

    def is_symbol_defined(self, name: str) -> bool:  # noqa: ARG002 - as numba calls it
        """Return False."""
        return False

    def get_global_value_address(self, name: str) -> int:  # noqa: ARG002 - as numba calls it
        """Return an address to which a pointer can be written."""
        return ctypes.addressof(self._anything)


@contextmanager
def _without_engine(codegen: Any) -> Iterator[None]:
    """Let numba stop before it makes machine code; what it has compiled can still be linked."""
    engine = codegen._engine  # noqa: SLF001 - there is no other way to it
    codegen._engine = _NoEngine()  # noqa: SLF001
    try:
        yield
    finally:
        codegen._engine = engine  # noqa: SLF001


@contextmanager
def _without_collector() -> Iterator[None]:
    """Let nothing search for garbage, of which there is little: it takes a sixth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
