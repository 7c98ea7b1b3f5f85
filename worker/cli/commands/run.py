"""outlast run: a job worked to its result in this process."""

from __future__ import annotations

import shlex
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.worker.cli.options import (
    Debug,
    Isolate,
    Json,
    KernelName,
    NewJobId,
    Notify,
    Params,
    PartSeconds,
    SliceSeconds,
    Tags,
)
from outlast.worker.cli.output import print_json, print_result, say
from outlast.worker.cli.params import params_for
from outlast.worker.cli.streams import stdout_to_stderr

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client

Processes = Annotated[
    int | None,
    typer.Option(
        "--processes",
        min=1,
        metavar="N",
        help="Cut the job into parts, which so many processes share. Default: one has all of it.",
    ),
]


def run(
    kernel: KernelName,
    params: Params = None,
    *,
    processes: Processes = None,
    part_seconds: PartSeconds = None,
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
    (unless under nohup) save and print how to go on; the same command with the same --job-id goes
    on from there, and after a kill -9 from the last checkpoint; `outlast resume` leaves the job to
    the workers instead. If a kernel does not reach its next safe point, or the store does not
    answer, the command ends after OUTLAST_STOP_SECONDS, or at once by a second Ctrl-C. While
    another worker has the job this one waits for its turn.

    With --processes the job is cut into parts, as by `outlast submit --parallel`: this process and
    N-1 others share them, and the others end with it. Each may use its share of the cores, unless
    OUTLAST_THREADS is set. They find each other by a queue of their own, in a file that lasts as
    long as the run; workers elsewhere may help from their own queue after `outlast resume`.

    Each --notify is a target to tell when the job is over, and image=@file a parameter from a file,
    like those of `outlast submit`.

    Examples:
        outlast run nth-prime position=1_000_000 && notify-send done
        outlast run nth-prime position=1_000_000_000 --slice-seconds 2 --job-id billion
        outlast run nth-prime position=1e15 --processes 4 --job-id quadrillion
        outlast run nth-prime position=10_000 --json
        outlast run smooth image=@photo.npy

    Exit codes:
        0  the result is printed
        1  the job failed, its id belongs to another job, or the store is at fault
        2  the kernel, a parameter, the id, a tag, target or setting is wrong, the kernel cannot be
           divided, or a package or the memory that the job needs is missing
        3  the job is paused
        124  stopped, and out of time (OUTLAST_STOP_SECONDS): what was done since the last
             checkpoint is lost
        129, 130, 143  stopped by the end of the terminal (SIGHUP), by Ctrl-C or by SIGTERM:
                       everything is saved; 130 also after a second Ctrl-C, which loses what was
                       done since the last checkpoint
    """
    from outlast.kernel.bulk import dumped
    from outlast.kernel.registry import load
    from outlast.worker.cli.foreground import work
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.new_job import valid_params
    from outlast.worker.jobs.outcome import result_of
    from outlast.worker.jobs.parts import view_of
    from outlast.worker.settings import overridden, read_settings
    from outlast.worker.slices.loading import require_packages

    settings = overridden(read_settings(), slice_seconds=slice_seconds, isolate=isolate)
    client = Client(settings=settings)
    values = params_for(kernel, params or ())
    # A submit cannot check this: here the job runs on this machine, if it is not over.
    if not _is_over(client, job_id):
        require_packages(load(kernel), dumped(valid_params(kernel, values)))
    record, _ = client.create(
        kernel,
        values,
        job_id=job_id,
        tags=tags or (),
        notify=notify or (),
        parallel=processes,
        part_seconds=part_seconds,
    )
    words = ["outlast", "run", kernel, *(params or ())]
    if processes is not None:
        words += ["--processes", str(processes)]
    if part_seconds is not None:
        words += ["--part-seconds", f"{part_seconds:g}"]
    if slice_seconds is not None:
        words += ["--slice-seconds", f"{slice_seconds:g}"]
    if isolate:
        words += ["--isolate"]
    words += ["--job-id", record.job_id]
    with stdout_to_stderr():
        record, stopped_by = work(
            client, record, shlex.join(words), processes=processes or 1, debug=debug
        )
        _say_open_notices(record)
    if as_json:
        print_json(view_of(client.jobs, record))
    if stopped_by and not record.status.is_final:
        raise typer.Exit(128 + signal.Signals[stopped_by])
    result = result_of(client.status(record.job_id))
    if not as_json:
        print_result(result, as_json=False)


def _is_over(client: Client, job_id: str | None) -> bool:
    from outlast.checkpoint.errors import UnknownJob

    try:
        return job_id is not None and client.status(job_id).status.is_final
    except UnknownJob:
        return False


def _say_open_notices(record: Record) -> None:
    from outlast.checkpoint.safe_text import redacted

    for target in record.notices.owed:
        say(f"{redacted(target)} was not told yet; workers and `outlast sweep` try again")
    for target in record.notices.given_up:
        say(f"{redacted(target)} will not be told")
