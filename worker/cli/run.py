"""outlast run: a job from its start, or from where it stands, to its result, in this process."""

from __future__ import annotations

import shlex
import signal
from typing import TYPE_CHECKING

import typer

from worker.cli.options import (
    Debug,
    Isolate,
    Json,
    KernelName,
    NewJobId,
    Params,
    SliceSeconds,
    Tags,
)
from worker.cli.output import put_json, put_result, reserved
from worker.cli.params import params_for

if TYPE_CHECKING:
    from checkpoint.record import Record


def run(
    kernel: KernelName,
    params: Params = None,
    *,
    slice_seconds: SliceSeconds = None,
    job_id: NewJobId = None,
    tags: Tags = None,
    isolate: Isolate = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a job here, slice after slice, and print its result.

    No queue and no worker is needed: progress goes to OUTLAST_STORE, a bar or plain lines to
    standard error, the result to standard output. Ctrl-C and SIGTERM save and say how to go on;
    the same command with the same --job-id goes on from there, and after a kill -9 from the last
    checkpoint; `outlast resume` leaves the job to the workers instead. Where a kernel does not
    come to its next safe point, a second Ctrl-C ends the command at once. While another worker has
    the job this one waits for its turn.

    Examples:
        outlast run nth-prime position=1_000_000
        outlast run nth-prime position=1_000_000_000 --slice-seconds 2 --job-id billion
        outlast run nth-prime position=10_000 --json

    Exit codes:
        0  the result is printed
        1  the job failed, its id belongs to another job, or the store is at fault
        2  the kernel, a parameter, the id, a tag or a setting is wrong; nothing was stored
        3  the job is paused
        130, 143  stopped by Ctrl-C or by SIGTERM, everything is saved; 130 also after a second
                  Ctrl-C, which loses what was done since the last checkpoint
    """
    from worker.cli.embedded import work
    from worker.client import Client
    from worker.settings import overridden, read_settings
    from worker.status import view

    settings = overridden(read_settings(), slice_seconds=slice_seconds, isolate=isolate)
    client = Client(settings=settings)
    values = params_for(kernel, params or ())
    record, _ = client.create(kernel, values, job_id=job_id, tags=tags or ())
    words = _command(kernel, params or [], slice_seconds, isolate, record)
    with reserved():
        record, stopped_by = work(client, record, words, debug=debug)
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
    record: Record,
) -> str:
    """Return the command line that goes on with the job."""
    words = ["outlast", "run", kernel, *params]
    if slice_seconds is not None:
        words += ["--slice-seconds", f"{slice_seconds:g}"]
    if isolate:
        words += ["--isolate"]
    return shlex.join([*words, "--job-id", record.job_id])
