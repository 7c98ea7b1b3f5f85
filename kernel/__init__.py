"""Computations that can be stopped at a safe point and go on elsewhere."""

from outlast.kernel.bulk import Blob
from outlast.kernel.contract import Estimate, Kernel, Model, Resources
from outlast.kernel.divisible import Divisible
from outlast.kernel.errors import InvalidParams, MachineFault, NonRetryable, UnknownKernel

__all__ = [
    "Blob",
    "Divisible",
    "Estimate",
    "InvalidParams",
    "Kernel",
    "MachineFault",
    "Model",
    "NonRetryable",
    "Resources",
    "UnknownKernel",
]

if __name__ != "outlast.kernel":  # Else each of its classes would exist twice.
    raise ImportError("import outlast.kernel")
