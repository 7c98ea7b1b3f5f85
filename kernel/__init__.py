"""Computations that can be stopped at a safe point and go on elsewhere."""

from kernel.contract import InvalidParams, Kernel, Model, Resources, UnknownKernel

__all__ = ["InvalidParams", "Kernel", "Model", "Resources", "UnknownKernel"]
