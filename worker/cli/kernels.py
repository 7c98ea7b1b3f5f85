"""outlast kernels: what can be computed here."""

from __future__ import annotations

from typing import Any

from worker.cli.options import Debug, Json
from worker.cli.output import put, put_json


def kernels(*, as_json: Json = False, _debug: Debug = False) -> None:
    """List the installed kernels with their parameters.

    A Python package adds kernels by being installed beside Outlast; see "Writing a kernel" in the
    documentation. With --json the parameters come as a JSON Schema.

    Examples:
        outlast kernels
        outlast kernels --json

    Exit codes:
        0  all kernels are listed
        1  a kernel cannot be loaded: its package is broken
    """
    from kernel.registry import load, names

    found = [_described(load(name)) for name in names()]
    if as_json:
        put_json(found)
        return
    for kernel in found:
        put(f"{kernel['name']}  {kernel['summary']}")
        for name, schema in kernel["params"].get("properties", {}).items():
            needed = name in kernel["params"].get("required", ())
            put(f"    {name}=...  {_about(schema, needed=needed)}")


def _described(kernel: Any) -> dict[str, Any]:
    lines = (type(kernel).__doc__ or "").strip().splitlines()
    return {
        "name": kernel.name,
        "version": kernel.version,
        "summary": lines[0] if lines else "",
        "params": kernel.Params.model_json_schema(),
    }


def _about(schema: dict[str, Any], *, needed: bool) -> str:
    """Return what a JSON Schema says of one parameter, in words."""
    parts = [str(schema.get("type", "any JSON value"))]
    parts += [
        f"{word} {schema[key]:,}"
        for key, word in (("minimum", "from"), ("maximum", "to"))
        if key in schema
    ]
    if not needed:
        parts.append(f"(default: {schema.get('default')})")
    if "description" in schema:
        parts.append(f"- {schema['description']}")
    return " ".join(parts)
