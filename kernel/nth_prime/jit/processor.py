"""For which processor machine code is made."""

from __future__ import annotations

import os
from functools import cache
from typing import NamedTuple

import llvmlite.binding as llvm


class Processor(NamedTuple):
    """A processor as LLVM knows it: its name, and its features separated by commas."""

    name: str
    features: str


@cache
def processor() -> Processor:
    """Return that of this machine, or what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say instead.

    LLVM may use vectors of 512 bits where the processor has them; by default it takes half.
    Counting and sieving are a fifth faster.
    """
    name, features = (os.environ.get(f"NUMBA_CPU_{part}") for part in ("NAME", "FEATURES"))
    if name or features:
        return Processor(name or llvm.get_host_cpu_name(), features or "")
    found = llvm.get_host_cpu_features()
    wide = ",-prefer-256-bit" if found.get("avx512f") else ""
    return Processor(llvm.get_host_cpu_name(), found.flatten() + wide)
