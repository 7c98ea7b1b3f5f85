"""outlast run: a job from its start, or from where it stands, to its result, in this process."""

from __future__ import annotations

import shlex
import signal
from typing import TYPE_CHECKING

import typer

from outlast.worker.cli.options import (
    Debug,
    Isolate,
    Json,
    KernelName,
    NewJobId,
    Notify,
    Params,
    SliceSeconds,
    Tags,
)
from outlast.worker.cli.params import params_for
from outlast.worker.cli.streams import put_json, put_result, reserved

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record


def run(
    kernel: KernelName,
    params: Params = None,
    *,
    slice_seconds: SliceSeconds = None,
    job_id: NewJobId = None,
    tags: Tags = None,
    notify: Notify = None,
    isolate: Isolate = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a job here, slice after slice, and print its result.

    No queue and no worker is needed: progress goes to OUTLAST_STORE, a bar or plain lines to
    standard error, the result to standard output. Ctrl-C, SIGTERM and the end of the terminal
    (unless by nohup) save and say how to go on; the same command with the same --job-id goes on
    from there, and after a kill -9 from the last checkpoint; `outlast resume` leaves the job to the
    workers instead. Where a kernel does not come to its next safe point, a second Ctrl-C ends the
    command at once. While another worker has the job this one waits for its turn.

    Each --notify names one that is told, at least once, when the job is over. What `outlast submit`
    takes is kept with the job. Two more are of this command alone and of this machine: file:///path
    gets a line of JSON, and exec:command is run without a shell, with that JSON on its standard
    input; both once it is over or found to be. They are never stored, as then whoever may write to
    the store could run commands. One that fails is told of on standard error.

    Examples:
        outlast run nth-prime position=1_000_000
        outlast run nth-prime position=1_000_000_000 --slice-seconds 2 --job-id billion
        outlast run nth-prime position=10_000 --json
        outlast run nth-prime position=1_000_000 --notify 'exec:notify-send "it is found"'

    Exit codes:
        0  the result is printed
        1  the job failed, its id belongs to another job, or the store is at fault
        2  the kernel, a parameter, the id, a tag, target or setting is wrong, or a package is
           missing that the job needs; nothing was stored
        3  the job is paused
        129, 130, 143  stopped by the end of the terminal (SIGHUP), by Ctrl-C or by SIGTERM:
                       everything is saved; 130 also after a second Ctrl-C, which loses what was
                       done since the last checkpoint
    """
    from outlast.kernel.registry import load
    from outlast.worker.cli.notices import give, prepared
    from outlast.worker.cli.run_display import work
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.new_job import valid_params
    from outlast.worker.jobs.view import view
    from outlast.worker.notify.target import split
    from outlast.worker.settings import overridden, read_settings

    settings = overridden(read_settings(), slice_seconds=slice_seconds, isolate=isolate)
    client = Client(settings=settings)
    values = params_for(kernel, params or ())
    # Not known where a job is submitted: this is the machine that it is to run on.
    load(kernel).require(valid_params(kernel, values))
    local, stored = split(notify or ())
    notices = prepared(local)
    record, _ = client.create(kernel, values, job_id=job_id, tags=tags or (), notify=stored)
    words = _command(kernel, params or [], slice_seconds, isolate, notify=local, record=record)
    with reserved():
        record, stopped_by = work(client, record, words, debug=debug)
        give(notices, record)
    if as_json:
        put_json(view(record))
    if stopped_by and not record.status.is_final:
        raise typer.Exit(128 + signal.Signals[stopped_by])
    found = client.result(record.job_id)
    if not as_json:
        put_result(found)


def _command(
    kernel: str,
    params: list[str],
    slice_seconds: float | None,
    isolate: bool | None,  # noqa: FBT001 - an option of the command, as given
    *,
    notify: tuple[str, ...],
    record: Record,
) -> str:
    """Return the command line that goes on with the job."""
    words = ["outlast", "run", kernel, *params]
    if slice_seconds is not None:
        words += ["--slice-seconds", f"{slice_seconds:g}"]
    if isolate:
        words += ["--isolate"]
    for target in notify:
        words += ["--notify", target]
    return shlex.join([*words, "--job-id", record.job_id])
