"""What machine code depends on, as text: if it is the same, so is the machine code."""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.metadata import version
from types import FunctionType
from typing import TYPE_CHECKING, Any

import llvmlite.binding as llvm
import numpy as np

from outlast.kernel.nth_prime.jit.processor import processor

if TYPE_CHECKING:
    from collections.abc import Callable

_CONVENTION = 1
"""To be raised with each change in how machine code is made or called."""


@cache
def of_function(function: Callable[..., Any]) -> str:
    """Return the function's code and that of all it calls, with the globals that they read.

    Raises:
        TypeError: a global is nothing of which it is known how it comes into machine code.
    """
    code = function.__code__
    scope = function.__globals__
    # Neither the docstring nor the numbers of lines, which change nothing.
    constants = [constant for constant in code.co_consts if constant != function.__doc__]
    values = [_of_global(name, scope[name]) for name in code.co_names if name in scope]
    return repr((code.co_code, code.co_varnames, code.co_names, constants, values))


def _of_global(name: str, value: object) -> str:
    called = getattr(value, "py_func", None)
    if isinstance(called, FunctionType):
        return of_function(called)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}{getattr(value, '_fields', '')}"
    if value is np or isinstance(value, int | float | tuple | np.generic):
        return repr(value)
    raise TypeError(f"compiled code cannot read {name}, a global {type(value).__name__}")


@cache
def of_machine() -> str:
    """Return what compiles, how it is set, and the processor that it compiles for."""
    packages = [version(name) for name in ("numba", "llvmlite", "numpy")]
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    settings = [item for item in settings if item[0] != "NUMBA_CACHE_DIR"]
    return repr(
        (_CONVENTION, sys.version, packages, llvm.get_process_triple(), settings, processor())
    )
