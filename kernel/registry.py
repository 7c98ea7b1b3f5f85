"""The installed kernels, found through the entry-point group `outlast.kernels`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from kernel.contract import Kernel, UnknownKernel

GROUP = "outlast.kernels"


def names() -> list[str]:
    """Return the names of all installed kernels, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


@cache
def load(name: str) -> Kernel[Any, Any, Any]:
    """Return the kernel registered under `name`; one instance serves the whole process.

    Raises:
        UnknownKernel: no installed package registers it, or what it registers cannot be loaded
            or is not a kernel of that name.
    """
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        known = ", ".join(names()) or "none"
        raise UnknownKernel(f"unknown kernel {name!r}; installed kernels: {known}")
    where = f"the entry point {name!r} ({found[0].value})"
    try:
        kernel = found[0].load()()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # A foreign module may call sys.exit, or raise anything.
        raise UnknownKernel(f"{where} cannot be loaded: {error!r}") from error
    if not isinstance(kernel, Kernel) or kernel.name != name:
        raise UnknownKernel(f"{where} is not a kernel named {name!r}")
    return kernel
