"""The installed kernels, found through the entry-point group `outlast.kernels`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from outlast.kernel.contract import Kernel
from outlast.kernel.divisible import Divisible
from outlast.kernel.errors import UnknownKernel, UnloadableKernel, message_of

GROUP = "outlast.kernels"


def names() -> list[str]:
    """Return the names of all installed kernels, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


@cache
def load(name: str) -> Kernel[Any, Any, Any]:
    """Return the kernel registered under `name`; one instance serves the whole process.

    Raises:
        UnknownKernel: no installed package registers it, or more than one, or what it registers
            is not a kernel of that name.
        UnloadableKernel: it cannot be loaded.
    """
    entries = tuple(entry_points(group=GROUP, name=name))
    if not entries:
        known = ", ".join(names()) or "none"
        raise UnknownKernel(f"unknown kernel {name!r}; installed kernels: {known}")
    where = f"the entry point {name!r} ({entries[0].value})"
    # Which one comes first depends on the machine, and so would the result.
    if len(values := sorted({entry.value for entry in entries})) > 1:
        raise UnknownKernel(
            f"kernel {name!r} is registered more than once, as {' and '.join(values)}: "
            "uninstall all but one"
        )
    try:
        kernel: Kernel[Any, Any, Any] = entries[0].load()()
        fault = _fault_of(kernel, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # A foreign module may call sys.exit, or raise anything.
        reason = f"{type(error).__name__}({message_of(error)!r})"
        raise UnloadableKernel(f"{where} cannot be loaded: {reason}") from error
    if fault:
        raise UnknownKernel(f"{where} {fault}")
    return kernel


def _fault_of(kernel: object, wanted: str) -> str | None:
    """Return why a worker cannot run `kernel`; None: it can."""
    if not isinstance(kernel, Kernel) or kernel.name != wanted:
        return f"is not a kernel named {wanted!r}"
    models = ["Params", "State", "Result"]
    models += ["Plan", "PartState", "Partial"] if isinstance(kernel, Divisible) else []
    for name in models:
        model = getattr(kernel, name, None)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return f"is a kernel whose {name} is not a pydantic model"
    if not isinstance(kernel.version, int):
        return f"is a kernel whose version is {kernel.version!r}, not a whole number"
    return None
