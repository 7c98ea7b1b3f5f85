"""A function applied to each of many items, on any number of workers: a kernel for Outlast."""

from batch_items.calls import each_item
from batch_items.kernel import Batch

__all__ = ["Batch", "each_item"]
