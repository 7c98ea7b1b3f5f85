"""Functions that are compiled at their first call."""

from __future__ import annotations

from functools import update_wrapper
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast

from outlast.kernel.nth_prime.jit import files, fingerprint
from outlast.kernel.nth_prime.jit.arguments import flatten
from outlast.kernel.nth_prime.jit.native import Native

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def jit(function: F) -> F:
    """Compile `function` at its first call, and keep the machine code on disk.

    It then wraps integers silently, does not check bounds, and gives inf or nan where Python would
    raise ZeroDivisionError. It runs without the GIL. It must not raise, and not create arrays: the
    caller passes those that it writes to.

    Python passes integers of 64 bits, floats, C-contiguous arrays, and tuples of these; each
    combination of types is compiled anew. The result is a number, a tuple of numbers, or None.

    Calls to other compiled functions become part of the machine code, and so do module globals:
    numbers, tuples of numbers, and named tuples. Pass tables as arguments.
    """
    return cast("F", Compiled(function))


class Compiled:
    """A function and its machine code, for each combination of types that it is called with.

    Attributes:
        py_func: the function itself.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        if function.__code__.co_freevars:
            # Its values are no part of the key of the machine code.
            raise TypeError(f"{function.__qualname__} has variables of a function around it")
        update_wrapper(self, function)
        self.py_func = function
        self._natives: dict[str, Native] = {}
        self._lock = Lock()

    def __call__(self, *arguments: Any) -> Any:
        """Call the machine code.

        Raises:
            TypeError: it takes no such arguments, or the function cannot be compiled.
            struct.error: an integer has more than 64 bits.
        """
        kinds, words = flatten(arguments)
        native = self._natives.get(kinds)
        if native is None:
            with self._lock:
                native = self._natives.get(kinds) or self._make(kinds, words, arguments)
                self._natives[kinds] = native
        return native(words)

    @property
    def _numba_type_(self) -> Any:
        """What numba asks a global of a function that it compiles: here, one more to compile."""
        from outlast.kernel.nth_prime.jit import compiler

        return compiler.callee(self.py_func)

    def _make(self, kinds: str, words: list[int | float], arguments: tuple[Any, ...]) -> Native:
        """Return the machine code: that on disk, or else new one, which is then kept there."""
        key = f"{kinds}\n{fingerprint.of_function(self.py_func)}\n{fingerprint.of_machine()}"
        name = f"{self.py_func.__module__}.{self.py_func.__qualname__}"
        code = files.load(name, key)
        if code is None:
            # Not at the top: it takes longer to import than all machine code to load.
            from outlast.kernel.nth_prime.jit import compiler

            code = compiler.compile_for(self.py_func, arguments)
            files.save(name, key, code)
        return Native(code, words)
