"""outlast worker: take slices of whatever job is next."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from worker.cli.options import Debug, Isolate, Json, MaxIdleSeconds, SliceSeconds
from worker.cli.output import put_json, reserved, warn_if_apart

MaxSlices = Annotated[
    int | None,
    typer.Option(
        "--max-slices", min=1, metavar="N", help="End after so many slices. Default: never."
    ),
]


def worker(
    *,
    slice_seconds: SliceSeconds = None,
    max_idle_seconds: MaxIdleSeconds = None,
    max_slices: MaxSlices = None,
    isolate: Isolate = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Be a worker: advance whatever job is next by a slice.

    Jobs are pulled from OUTLAST_QUEUE, slice after slice, until the worker is stopped.

    SIGTERM and Ctrl-C end the slice that runs at its next safe point: its progress is saved and
    its continuation sent, then the worker ends. Any number of workers may share a store and a
    queue, and any of them may be killed at any time. Each slice is one line on standard error,
    unless OUTLAST_LOG_LEVEL is set to less; a worker sweeps every OUTLAST_SWEEP_SECONDS.

    Examples:
        outlast worker
        outlast worker --slice-seconds 30 --max-idle-seconds 60

    Exit codes:
        0  stopped by a signal, or by one of the limits
        1  the store or the queue did not answer when first asked; later on it is asked again
        2  a setting is wrong
    """
    from worker.deadline import Deadline

    log = logging.getLogger("outlast.worker")
    with reserved(), Deadline() as stop:
        # All that takes time comes after: a signal is heard while it is imported.
        from worker.cli.logs import level_of, log_to_stderr
        from worker.cli.stops import stops_told
        from worker.client import Client
        from worker.consumer import Consumer
        from worker.runtime import make_runtime
        from worker.settings import overridden, read_settings

        settings = overridden(read_settings(), slice_seconds=slice_seconds, isolate=isolate)
        client = Client(settings=settings)
        log_to_stderr(level_of(settings, otherwise="INFO"), debug=debug)
        runtime = make_runtime(settings, client.jobs, client.queue)
        client.jobs.reach()
        warn_if_apart(settings)
        consumer = Consumer(
            runtime, slice_seconds=settings.slice_seconds, sweep_seconds=settings.sweep_seconds
        )
        with stops_told(log.warning, lambda: log.warning("ended at once; another worker goes on")):
            stopped_by = consumer.run(
                max_idle_seconds=max_idle_seconds, max_slices=max_slices, outer=stop
            )
    if as_json:
        put_json({"worker": runtime.worker, "stopped_by": stopped_by})
