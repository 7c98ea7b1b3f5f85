"""outlast submit, fork: a new job for the workers, from parameters or from a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from outlast.worker.cli.options import (
    Debug,
    Generation,
    JobId,
    Json,
    KernelName,
    NewJobId,
    Notify,
    Params,
    PartSeconds,
    Tags,
)
from outlast.worker.cli.output import print_json, say, warn_if_apart
from outlast.worker.cli.params import params_for

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record

Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="Put the new job in this store, and wake no worker. Default: OUTLAST_STORE.",
    ),
]

Parallel = Annotated[
    int | None,
    typer.Option(
        "--parallel",
        min=1,
        metavar="N",
        help="Cut the job into parts, for so many workers at a time. Default: one has all of it.",
    ),
]


def submit(
    kernel: KernelName,
    params: Params = None,
    *,
    parallel: Parallel = None,
    part_seconds: PartSeconds = None,
    job_id: NewJobId = None,
    tags: Tags = None,
    notify: Notify = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Hand a job to the workers and print its id.

    The job is stored in OUTLAST_STORE and a message for it is sent to OUTLAST_QUEUE. With --job-id
    it is safe to repeat: the same id with the same parameters is the same job, with other
    parameters it is an error.

    For a parameter that is an array, weights=@file.npy names a file of numpy's; for one that is a
    blob, any file. `outlast kernels` tells which are.

    With --parallel the job is cut into parts, which any workers compute at the same time: at least
    four parts for each of N workers are open at a time, while so many are left, so that none waits.
    How many workers there are is up to you and your platform: each of more than N has less to do,
    and fewer take longer. `outlast kernels` tells which kernels can be divided. --part-seconds
    counts if the kernel can estimate its time.

    Each --notify is a target, at most four, that a worker tells once the job has succeeded, failed
    or been cancelled: sqs://queue-name, an SQS queue's https URL, or a webhook, https://host/path,
    signed with OUTLAST_NOTIFY_SECRET (set it for the workers, too). Each is told at least once,
    with the job as `outlast status --json` shows it. Workers retry a target that does not answer
    for about a day, and `outlast status` shows which ones were told.

    Examples:
        outlast submit nth-prime position=1_000_000
        outlast submit nth-prime position=1_000_000 --job-id million --tag primes
        outlast submit nth-prime position=1_000_000 --notify https://example.com/done
        outlast submit nth-prime position=1e20 --parallel 20
        outlast submit smooth image=@photo.npy

    Exit codes:
        0  the job is stored and its message sent
        1  the id belongs to another job, or the store or the queue is at fault
        2  the kernel, a parameter, the id, a tag, target or setting is wrong, or the kernel cannot
           be divided; nothing was stored
    """
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.parts import view_of

    client = Client()
    values = params_for(kernel, params or ())
    new_id = client.submit(
        kernel,
        job_id=job_id,
        tags=tags or (),
        notify=notify or (),
        parallel=parallel,
        part_seconds=part_seconds,
        **values,
    )
    warn_if_apart(client.settings)
    record = client.status(new_id) if as_json or parallel else None
    if record and parallel:
        _say_if_shared_otherwise(record, parallel)
    if record and as_json:
        print_json(view_of(client.jobs, record))
    else:
        print(new_id)


def _say_if_shared_otherwise(record: Record, parallel: int) -> None:
    """Say that a job that was there before keeps the number of its workers."""
    if record.fleet is None:
        say(f"job {record.job_id} was there already, and is not divided: it stays so")
    elif record.fleet.parallel != parallel:
        meant = f"for {record.fleet.parallel:,} workers"
        say(f"job {record.job_id} was there already, and is meant {meant}: it stays so")


def fork(
    from_id: JobId,
    *,
    generation: Generation = None,
    job_id: NewJobId = None,
    store: Store = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Start a new job from a checkpoint of another one.

    Prints the new job's id. It has the parameters of the other job, which does not change, and
    limits and accounts of its own; workers go on with it. --store puts it into another store
    instead, for example a file on this machine, where `outlast run` with its id and parameters
    goes on with it: to look at a fault closely, again and again, out of the workers' reach. The new
    job has copies of all arrays; with --store they go beside that store, or into its part of
    OUTLAST_BLOBS where that is set. Of a job that is divided it has the parts that are done, and
    begins the others anew.

    Examples:
        outlast fork million --generation 7
        outlast fork million --store sqlite:///fault.db --job-id fault
        OUTLAST_STORE=sqlite:///fault.db outlast run nth-prime position=1_000_000 --job-id fault

    Exit codes:
        0  the new job is stored and, without --store, its message sent
        1  there is no such job or checkpoint, it is damaged, the new id is taken, or the store or
           the queue is at fault
        2  an id, the store's URL or a setting is wrong; nothing was stored
    """
    from outlast.worker.jobs.client import Client

    client = Client()
    new_id = client.fork(from_id, generation=generation, new_id=job_id, store=store)
    if generation is None:
        _say_if_damaged(client.status(from_id))
    print_json({"job_id": new_id, "forked_from": from_id}) if as_json else print(new_id)


def _say_if_damaged(record: Record) -> None:
    """Say so if the newest checkpoint is damaged, and the new job goes on from an older one."""
    newest = next(iter(record.checkpoints), None)
    if newest is not None and not newest.is_intact:
        say(f"job {record.job_id}: checkpoint {newest.sequence} is damaged: an older one was taken")
