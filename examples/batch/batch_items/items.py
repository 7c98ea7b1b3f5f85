"""What there is to do: the items of the parameters as a plan."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

from outlast import NonRetryable

from batch_items.models import BatchParams, BatchPlan
from batch_items.places import opened

MAX_FILES = 1_000
ITEM_KIB = 64
"""Whatever its size, an item takes about as much time as so many KiB more."""


def plan_of(params: BatchParams) -> BatchPlan:
    """Return what there is to do: the items as they are listed, or as a place has them, by name.

    Raises:
        NonRetryable: there is nothing, or the items cannot be read.
    """
    sizes: list[int] = []
    if params.items is None:
        with opened(params.place) as place:
            found = sorted(place.found(params.pattern)) if place else []
        items: list[Any] = [name for name, _ in found]
        sizes = [size for _, size in found]
    else:
        items = [*_not_done(_listed(params.items))]
    if not items:
        raise NonRetryable(f"there is nothing to do: {_nothing(params)}")
    if params.place and not all(isinstance(item, str) and item for item in items):
        raise NonRetryable(f"items: give names, as their contents are in {params.place}")
    weights = accumulate((ITEM_KIB + (size >> 10) for size in sizes), initial=0)
    return BatchPlan(
        call=params.call,
        place=params.place,
        items="\n".join(map(json.dumps, items)),
        before=list(weights) if sizes else [],
        count=len(items),
        a_piece=(params.items_a_file or -(-len(items) // MAX_FILES)) if params.out else 1,
        out=params.out,
        max_errors=params.max_errors,
    )


def _listed(items: list[Any] | bytes) -> Iterable[Any]:
    """Return the items of a list, or of a file: one a line, and none where it is blank.

    A line is text, unless it is an object, a list or a text of JSON.
    """
    if isinstance(items, list):
        return items
    try:
        lines = items.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise NonRetryable(f"items: the file is not text in UTF-8: {error}") from error
    return (_value(line.removesuffix("\r")) for line in lines if line.strip())


def _value(line: str) -> Any:
    if line.lstrip()[0] not in '{["':
        return line
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return line
    return value


def _not_done(items: Iterable[Any]) -> Iterable[Any]:
    """Yield the items that are to be done: of lines of results, those with an error."""
    for item in items:
        if isinstance(item, dict) and item.keys() == {"item", "error"}:
            yield item["item"]
        elif not (isinstance(item, dict) and item.keys() == {"item", "result"}):
            yield item


def _nothing(params: BatchParams) -> str:
    if params.items is not None:
        return "no item is left in items, or none of them has an error"
    if params.folder:
        return f"no file in {params.folder} is named like {params.pattern}"
    return f"there is no object below {params.prefix}"
