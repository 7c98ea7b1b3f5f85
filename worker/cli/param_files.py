"""Parameters that are arrays or blobs, typed as @ and the path of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

ARRAY, BLOB = "array", "blob"
NUMPY = ".npy"


def read_files(kernel: str, model: type[BaseModel], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return what is in the files that these parameters of a kernel name.

    A file of numpy's is an array where the parameter may be one; any other is bytes. Where a
    parameter is neither array nor blob, @ has no meaning.

    Raises:
        InvalidParams: a file cannot be read.
    """
    schemas = model.model_json_schema().get("properties", {})
    kinds = {key: _kinds(schemas.get(key, {})) for key in typed}
    return {
        key: _read(kernel, key, text, is_array=ARRAY in kinds[key] and text.endswith(NUMPY))
        for key, text in typed.items()
        if text.startswith("@") and kinds[key]
    }


def types_of(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a JSON Schema has for a parameter; none where it may be anything."""
    if "anyOf" in schema:
        return list(dict.fromkeys(name for each in schema["anyOf"] for name in types_of(each)))
    if kinds := _kinds(schema):
        return sorted(kinds)
    return [str(schema["type"])] if "type" in schema else []


def example_of(schema: Mapping[str, Any]) -> str:
    """Return how such a parameter may be typed."""
    kinds = _kinds(schema)
    return "..." if not kinds else f"@file{NUMPY}" if ARRAY in kinds else "@file"


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """Return which of an array and a blob a parameter may be; JSON's own array is a list."""
    if "anyOf" in schema:
        return set().union(*map(_kinds, schema["anyOf"]))
    is_beside = schema.get("type") == "object" and "properties" not in schema
    return {schema["title"]} & {ARRAY, BLOB} if is_beside and "title" in schema else set()


def _read(kernel: str, key: str, text: str, *, is_array: bool) -> Any:
    from outlast.kernel import InvalidParams

    path = Path(text[1:]).expanduser()
    try:
        if not is_array:
            return path.read_bytes()
        import numpy as np

        return np.load(path, allow_pickle=False)
    except (OSError, EOFError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise InvalidParams(f"{kernel}: {key}={text!r}: cannot be read: {reason}") from None
