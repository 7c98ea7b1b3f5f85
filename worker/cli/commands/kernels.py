"""outlast kernels, new-kernel, warmup: what can be computed here, and how to add to it."""

from __future__ import annotations

import shlex
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from outlast.worker.cli.errors import Failures
from outlast.worker.cli.options import Debug, Json, kernel_names
from outlast.worker.cli.output import print_json, say
from outlast.worker.cli.param_files import example_of, types_of
from outlast.worker.cli.streams import stdout_to_stderr
from outlast.worker.cli.tables import wrapped

if TYPE_CHECKING:
    from outlast.worker.slices.worker_process import AnyKernel

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="What jobs will call it, for example longest-walk."),
]
Into = Annotated[
    Path | None,
    typer.Option("--into", metavar="FOLDER", help="Put the package in here. Default: this folder."),
]
Shared = Annotated[
    bool, typer.Option("--divisible", help="Begin with a kernel that many workers can share.")
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KERNEL",
        autocompletion=kernel_names,
        help="Only these. Default: all installed kernels.",
    ),
]


def kernels(only: Names = None, *, as_json: Json = False, _debug: Debug = False) -> None:
    """List the installed kernels with their parameters.

    A Python package adds kernels by being installed beside Outlast: see `outlast help
    writing-a-kernel`. With --json the parameters come as a JSON Schema.

    Examples:
        outlast kernels
        outlast kernels nth-prime
        outlast kernels --json

    Exit codes:
        0  all these kernels are listed
        1  a kernel cannot be loaded: its package is broken
        2  there is no kernel of a name on the command line; nothing is listed
    """
    failures = Failures()
    views = [_view(kernel) for name in _named(only) if (kernel := _load(name, failures))]
    if as_json:
        print_json(views)
    else:
        for view in views:
            _print(view)
    failures.exit_if_any()


def new_kernel(
    name: Name,
    *,
    into: Into = None,
    divisible: Shared = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Write a package with a kernel of your own to begin with.

    It is a folder called NAME with a kernel that runs, its test, a pyproject.toml that registers
    it, and a README with the commands. The kernel finds the longest Collatz walk below a limit: put
    your computation in its place. `outlast help writing-a-kernel` goes on from there. With
    --divisible the kernel can do its work in parts, and its test shows that the result is the same.

    Examples:
        outlast new-kernel longest-walk
        outlast new-kernel longest-walk --divisible
        outlast new-kernel longest-walk --into ~/kernels

    Exit codes:
        0  the package is written
        1  it could not be written; nothing is left of it
        2  the name cannot be used, or there is a folder of that name; nothing was written
    """
    from outlast.worker.cli.scaffolding import scaffold

    folder = scaffold(name, into or Path(), divisible=divisible)
    files = sorted(path.name for path in folder.iterdir())
    if as_json:
        print_json({"name": name, "folder": str(folder), "files": files})
        return
    print(f"{folder}: {', '.join(files)}")
    print(f"next: cd {shlex.quote(str(folder))} && pip install -e '.[dev]' && pytest")
    print(f"then: outlast run {name} limit=1_000_000")


def warmup(only: Names = None, *, as_json: Json = False, debug: Debug = False) -> None:
    """Compile the kernels now, so that no job has to wait for it.

    What is compiled is kept on this machine, so the second time takes a moment.
    Run it when a container image is built or after an upgrade. A kernel that fails is reported and
    does not stop the others; name the kernels that you need, and only they count.

    Examples:
        outlast warmup
        outlast warmup nth-prime

    Exit codes:
        0  all kernels are ready
        1  a kernel cannot be loaded or prepared; the others are ready
        2  there is no kernel of a name on the command line; nothing was done
    """
    failures, views = Failures(), []
    for name in _named(only):
        kernel = _load(name, failures)
        if kernel is None:
            continue
        say(f"preparing kernel {name}")
        begun = time.monotonic()
        if not _prepare(kernel, failures, debug=debug):
            continue
        views.append({"kernel": name, "seconds": round(time.monotonic() - begun, 3)})
        if not as_json:
            print(f"{name}  ready after {views[-1]['seconds']:.1f} s")
    if as_json:
        print_json(views)
    failures.exit_if_any()


def _named(only: list[str] | None) -> list[str]:
    """Return the names of these kernels, each once; of all that are installed if there are none.

    Raises:
        UnknownKernel: one is not installed.
    """
    from outlast.kernel.registry import load, names

    installed = names()
    for name in only or ():
        if name not in installed:
            load(name)  # raises an error that lists those that are installed
    return list(dict.fromkeys(only or installed))


def _load(name: str, failures: Failures) -> AnyKernel | None:
    """Return the kernel; None, after a line that says why, if its package is broken."""
    from outlast.kernel import UnknownKernel
    from outlast.kernel.registry import load

    try:
        with stdout_to_stderr():  # A package may print when it is imported.
            return load(name)
    except UnknownKernel as error:
        failures(error)
        return None


def _prepare(kernel: AnyKernel, failures: Failures, *, debug: bool) -> bool:
    """Prepare a kernel; return False, after a line that says why, if it fails."""
    try:
        with stdout_to_stderr():
            kernel.prepare(None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a foreign kernel may raise anything
        from outlast.worker.slices.kernel_errors import line

        if debug:
            traceback.print_exception(error)
        failures(f"kernel {kernel.name} did not prepare: {line(error)}")
        return False
    return True


def _view(kernel: AnyKernel) -> dict[str, Any]:
    from outlast.kernel.divisible import Divisible

    lines = (type(kernel).__doc__ or "").strip().splitlines()
    return {
        "name": kernel.name,
        "version": kernel.version,
        "summary": lines[0] if lines else "",
        "divisible": isinstance(kernel, Divisible),
        "params": kernel.Params.model_json_schema(),
    }


def _print(view: dict[str, Any]) -> None:
    divisible = "  (can be divided: --parallel)" if view["divisible"] else ""
    print(wrapped(f"{view['name']}  {view['summary']}{divisible}", indent=4))
    for name, schema in view["params"].get("properties", {}).items():
        is_required = name in view["params"].get("required", ())
        value = example_of(schema)
        line = f"{name}={value}  {_describe(schema, is_required=is_required)}"
        print(f"    {wrapped(line, indent=8)}")


def _describe(schema: dict[str, Any], *, is_required: bool) -> str:
    """Return what a JSON Schema says of one parameter, in words."""
    parts = [" or ".join(types_of(schema)) or "any JSON value"]
    parts += [
        f"{word} {schema[key]:,}"
        for key, word in (("minimum", "from"), ("maximum", "to"))
        if key in schema
    ]
    if not is_required:
        parts.append(f"(default: {schema.get('default')})")
    if "description" in schema:
        parts.append(f"- {schema['description']}")
    return " ".join(parts)
