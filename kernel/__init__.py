"""Computations that can be stopped at a safe point and go on elsewhere."""

from kernel.contract import (
    Estimate,
    InvalidParams,
    Kernel,
    Model,
    NonRetryable,
    Resources,
    UnknownKernel,
)

__all__ = [
    "Estimate",
    "InvalidParams",
    "Kernel",
    "Model",
    "NonRetryable",
    "Resources",
    "UnknownKernel",
]
