"""Computations that can be stopped at a safe point and go on elsewhere."""

from kernel.contract import InvalidParams, Kernel, Resources, UnknownKernel

__all__ = ["InvalidParams", "Kernel", "Resources", "UnknownKernel"]
