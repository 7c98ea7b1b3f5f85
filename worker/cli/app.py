"""The commands put together, and the one place where a command ends."""

from __future__ import annotations

import gc
import inspect
import os
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperArgument
from typer.main import get_command

from outlast.worker.cli.errors import report
from outlast.worker.cli.options import Debug, Json, Session
from outlast.worker.cli.streams import reopen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Command = Callable[..., Any]

# The function of each, by its module in `commands`. Only what the words may mean is imported.
COMMANDS = {
    "run": "run.run",
    "submit": "submit.submit",
    "status": "status.status",
    "result": "status.result",
    "wait": "status.wait",
    "watch": "watch.watch",
    "list": "listing.list_jobs",
    "history": "history.history",
    "cancel": "steering.cancel",
    "pause": "steering.pause",
    "resume": "steering.resume",
    "retry": "steering.retry",
    "delete": "delete.delete",
    "prune": "delete.prune",
    "checkpoints": "history.checkpoints",
    "fork": "submit.fork",
    "cost": "cost.cost",
    "estimate": "estimate.estimate",
    "worker": "worker.worker",
    "dashboard": "dashboard.dashboard",
    "sweep": "worker.sweep",
    "doctor": "doctor.doctor",
    "kernels": "kernels.kernels",
    "new-kernel": "kernels.new_kernel",
    "warmup": "kernels.warmup",
    "help": "manual.show_help",
}

# These load no kernel, whose models may want plugins of pydantic's: to look for them takes longer
# the more packages are installed.
WITHOUT_KERNELS = {
    *("status", "result", "wait", "watch", "list", "history", "checkpoints", "cost", "sweep"),
    *("cancel", "pause", "resume", "retry", "delete", "prune", "dlq"),
}


def main(args: Sequence[str] | None = None) -> int:
    """Run `args` (None: those of the process) and return the exit code."""
    reopen()
    session = Session()
    try:
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        command = _with_plain_arguments(get_command(_app(words)))
        code = command(words, prog_name="outlast", obj=session, standalone_mode=False)
        sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - any error ends in one line
        return report(error, debug=session.debug)
    return code if isinstance(code, int) else 0


def program() -> NoReturn:
    """Be the process of a command, and end it, even where a kernel has left threads behind.

    Python would wait for them, and a worker that was stopped would stay until it is killed. The
    same holds for processes, which are killed.
    """
    if {*sys.argv[1:2]} & WITHOUT_KERNELS:
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    code = main()
    if "multiprocessing" in sys.modules:
        for child in sys.modules["multiprocessing"].active_children():
            child.kill()
    if all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate()):
        gc.disable()  # Else the interpreter looks for garbage before it ends, a tenth of `status`.
        sys.exit(code)
    with suppress(OSError):  # nobody reads what is left
        sys.stdout.flush()
    os._exit(code)


def _version(value: bool) -> None:  # noqa: FBT001 - the signature is typer's
    if value:
        from importlib.metadata import version

        print(f"outlast {version('outlast')}")
        raise typer.Exit


def _outlast(
    *,
    _as_json: Json = False,
    _debug: Debug = False,
    _show_version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Run long computations on workers that each live only minutes.

    A job is a kernel (a computation) with parameters. It advances in slices, one after the other,
    on any worker that is free, and its progress is stored between them. OUTLAST_STORE says where
    jobs are kept and OUTLAST_QUEUE what wakes them; by default both are one file in your data
    folder, and nothing else is needed.

    Examples:
        outlast run nth-prime position=1_000_000      here and now
        outlast submit nth-prime position=1_000_000   for workers to do
        outlast worker                                be one of these workers

    Exit codes:
        0  done
        1  the job failed, or the store, the queue or something else is at fault
        2  the command line or a setting is wrong; nothing was done
        3  the job has no result yet
        75  a worker whose machine cannot run kernels: start another one
        124  stopped, and out of time (OUTLAST_STOP_SECONDS) before all was saved
        129, 130, 143  stopped by the end of the terminal, by Ctrl-C or by SIGTERM
    """


def _help(command: Command) -> str:
    """Return the docstring, marked so that paragraphs with indented lines keep their form."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    # typer does not fill the lines of a paragraph that begins with \b.
    return "\n\n".join(f"\b\n{p}" if "\n    " in p else p for p in paragraphs)


def _group(commands: Mapping[str, Command], about: Command, **options: Any) -> typer.Typer:
    """Return the commands as one; `about` has the options and the help of the whole."""
    # rich would draw boxes around help and errors, and cost 0.1 s of every start.
    group = typer.Typer(rich_markup_mode=None, **options)
    for name, command in commands.items():
        group.command(name, help=_help(command))(command)
    group.callback(help=_help(about))(about)
    return group


def _app(words: Sequence[str]) -> typer.Typer:
    """Return the command that the words begin with, or all of them if they begin otherwise."""
    chosen = words[:1] if words[0] in {*COMMANDS, "dlq"} else [*COMMANDS, "dlq"]
    app = _group(
        {name: _function(COMMANDS[name]) for name in chosen if name in COMMANDS},
        _outlast,
        name="outlast",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    if "dlq" in chosen:
        from outlast.worker.cli.commands import dlq

        app.add_typer(_group(dlq.COMMANDS, dlq.dlq, invoke_without_command=True), name="dlq")
    return app


def _with_plain_arguments(command: Any) -> Any:
    """Return the command, with arguments in its help as other programs write them.

    typer puts their Python types behind them, and those that must be there in braces.
    """
    for parameter in command.params:
        if isinstance(parameter, TyperArgument):
            name = parameter.metavar if parameter.required else f"[{parameter.metavar}]"
            words = f"{name}{'' if parameter.nargs == 1 else '...'}"
            plain: Any = parameter
            plain.display_type_rich = lambda ctx: None  # noqa: ARG005 - typer's own signature
            plain._usage_display_name = words.__str__  # noqa: SLF001 - typer offers no other way
    for each in getattr(command, "commands", {}).values():
        _with_plain_arguments(each)
    return command


def _function(path: str) -> Command:
    module, _, name = path.partition(".")
    command: Command = getattr(import_module(f"outlast.worker.cli.commands.{module}"), name)
    return command
