"""The references to arrays and blobs in a JSON value, and what they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from outlast.kernel.bulk import Beside, Blob, Bulk

if TYPE_CHECKING:
    from collections.abc import Callable

    Reference = dict[str, Any]


KEYS = ({"$array", "shape", "at"}, {"$array", "shape", "order", "at"}, {"$blob", "at"})


def replaced(value: Any, replace: Callable[[str, Reference], Any], path: str = "") -> Any:
    """Return a JSON value with what `replace` returns for the path and the reference of each.

    A path is the names and numbers that lead to it, with dots between.
    """
    if isinstance(value, dict):
        if value.keys() in KEYS:
            return replace(path, value)
        return {name: replaced(part, replace, _below(path, name)) for name, part in value.items()}
    if isinstance(value, list):
        return [replaced(part, replace, _below(path, n)) for n, part in enumerate(value)]
    return value


def references(value: Any) -> list[tuple[str, Reference]]:
    """Return the references in a JSON value, each with its path."""
    found: list[tuple[str, Reference]] = []
    replaced(value, lambda path, reference: found.append((path, reference)))
    return found


def filled(value: Any, row: memoryview) -> Any:
    """Return a JSON value with arrays, which share the memory of `row`, and bytes for references.

    Raises:
        ValueError, TypeError: the row has no such bytes, or a reference is damaged.
    """
    bulk = Bulk.of(row)

    def load(_: str, reference: Reference) -> object:
        begin, size = span_of(reference)
        data = bulk.owner_at(begin, size) if size else memoryview(b"")
        return _kind_of(reference).load(reference, cast("memoryview", data))

    return replaced(value, load)


def span_of(reference: Reference) -> tuple[int, int]:
    """Return where the bytes begin that a reference stands for, and how many there are.

    Raises:
        ValueError, TypeError: it is damaged.
    """
    return int(reference["at"]), _kind_of(reference).size(reference)


def _kind_of(reference: Reference) -> Beside:
    if "$blob" in reference:
        annotated: object = Blob
    else:
        from outlast.kernel.array import Array  # here, as numpy comes with it

        annotated = Array
    kind: Beside = get_args(annotated)[1]
    return kind


def _below(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
