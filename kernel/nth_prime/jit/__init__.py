"""The one way this package compiles: a decorator, and files of machine code.

    function     the decorator, and the call of machine code from Python
    arguments    what Python passes, as machine code takes it
    native       machine code in memory
    processor    which processor it is for
    fingerprint  what the machine code of a function depends on
    files        machine code on disk
    compiler     from a function to machine code, by numba

A function is compiled once on a machine. From then on a process loads its machine code with LLVM
alone, in a millisecond, and imports numba only for a function that no process has compiled.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from outlast.kernel.nth_prime.jit.function import jit

__all__ = ["int64", "jit", "uint64"]

int64 = cast("type[int]", np.int64)
uint64 = cast("type[int]", np.uint64)
"""For compiled code. Type checkers take what they make for an int, as they do a literal."""
