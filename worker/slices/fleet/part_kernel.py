"""A part of a divisible job, as a kernel of its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from outlast.kernel import UnknownKernel
from outlast.kernel.divisible import Divisible
from outlast.kernel.parts import PartKernel

if TYPE_CHECKING:
    from outlast.kernel.parts import AnyDivisible
    from outlast.worker.slices.worker_process import AnyKernel


@cache
def part_kernel(whole: AnyKernel) -> PartKernel:
    """Return what computes the parts of a job of the kernel `whole`.

    Raises:
        UnknownKernel: this version of the kernel cannot be divided.
    """
    return PartKernel(divisible(whole))


def divisible(kernel: AnyKernel) -> AnyDivisible:
    """Return the kernel.

    Raises:
        UnknownKernel: this version of it cannot be divided.
    """
    if not isinstance(kernel, Divisible):
        raise UnknownKernel(
            f"kernel {kernel.name!r} cannot be divided as it is installed here: upgrade it"
        )
    return kernel
