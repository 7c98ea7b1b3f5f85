"""Batches for the tests, and what became of them."""

from __future__ import annotations

import json
from typing import Any

from outlast import Resources

from batch_items import Batch
from batch_items.models import BatchParams, BatchResult

KERNEL = Batch()
WORDS = "batch_items.functions:word_count"
SHA256 = "batch_items.functions:sha256"
THUMBNAIL = "batch_items.functions:thumbnail"
OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2
PICTURE = b"P5\n64 32\n255\n" + bytes(range(64)) * 32


def batch(**params: Any) -> BatchParams:
    """Return the parameters of a job."""
    return BatchParams.model_validate({"call": WORDS} | params)


def result_of(params: BatchParams) -> BatchResult:
    """Return the result of a run that nothing stops."""
    _, result = ended(KERNEL.run(params, None, Resources()))
    assert isinstance(result, BatchResult)
    return result


def ended(steps: Any) -> tuple[list[Any], Any]:
    """Return what a generator yields, and what it returns."""
    yielded = []
    while True:
        try:
            yielded.append(next(steps))
        except StopIteration as end:
            return yielded, end.value


def lines(result: BatchResult) -> list[Any]:
    """Return the lines of a result."""
    return [json.loads(line) for line in (result.results or b"").splitlines()]
