"""outlast kernels: what can be computed here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from outlast.checkpoint.lines import one_line
from outlast.worker.cli.errors import FAULT, LINE_CHARACTERS
from outlast.worker.cli.options import Debug, Json
from outlast.worker.cli.streams import put, put_json, reserved

if TYPE_CHECKING:
    from outlast.worker.slices.process import AnyKernel


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
    from outlast.kernel.registry import names

    known = names()
    found = [_described(kernel) for name in known if (kernel := loaded(name))]
    if as_json:
        put_json(found)
    else:
        _put_list(found)
    if len(found) < len(known):
        raise typer.Exit(FAULT)


def loaded(name: str) -> AnyKernel | None:
    """Return the kernel; None, after a line that says why, if its package is broken."""
    from outlast.kernel import UnknownKernel
    from outlast.kernel.registry import load

    try:
        with reserved():  # A package may print when it is imported.
            return load(name)
    except UnknownKernel as error:
        print(f"outlast: {one_line(str(error), LINE_CHARACTERS)}", file=sys.stderr)
        return None


def _put_list(found: list[dict[str, Any]]) -> None:
    for kernel in found:
        put(f"{kernel['name']}  {kernel['summary']}")
        for name, schema in kernel["params"].get("properties", {}).items():
            needed = name in kernel["params"].get("required", ())
            put(f"    {name}=...  {_about(schema, needed=needed)}")


def _described(kernel: AnyKernel) -> dict[str, Any]:
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
