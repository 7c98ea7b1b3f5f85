"""outlast worker: take slices of whatever job is next."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from outlast.worker.cli.options import Debug, Isolate, Json, MaxIdleSeconds, SliceSeconds
from outlast.worker.cli.streams import put_json, reserved, warn_if_apart

log = logging.getLogger("outlast.worker")

MaxSlices = Annotated[
    int | None,
    typer.Option(
        "--max-slices", min=1, metavar="N", help="End after so many slices. Default: never."
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=1,
        max=65535,
        metavar="PORT",
        help="Serve metrics to Prometheus, at /metrics; needs outlast[metrics]. Default: not.",
    ),
]
MetricsHost = Annotated[
    str,
    typer.Option("--metrics-host", metavar="HOST", help="The address that metrics are served at."),
]


def worker(
    *,
    slice_seconds: SliceSeconds = None,
    max_idle_seconds: MaxIdleSeconds = None,
    max_slices: MaxSlices = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    isolate: Isolate = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Be a worker: advance whatever job is next by a slice.

    Jobs are pulled from OUTLAST_QUEUE, slice after slice, until the worker is stopped.

    SIGTERM, Ctrl-C and, without nohup, the end of the terminal end the slice that runs at its next
    safe point: its progress is saved and its continuation sent, then the worker ends. Any number of
    workers may share a store and a queue, and any of them may be killed at any time. Each slice is
    one line on standard error, unless OUTLAST_LOG_LEVEL is set to less; a worker sweeps every
    OUTLAST_SWEEP_SECONDS.

    Examples:
        outlast worker
        outlast worker --slice-seconds 30 --max-idle-seconds 60
        outlast worker --metrics-port 9464

    Exit codes:
        0  stopped by a signal, or by one of the limits
        1  the store or the queue did not answer when first asked; later on it is asked again
        2  a setting is wrong, or metrics cannot be served
    """
    from outlast.worker.slices.deadline import Deadline

    log = logging.getLogger("outlast.worker")
    with reserved(), Deadline() as stop:
        # All that takes time comes after: a signal is heard while it is imported.
        from outlast.worker.cli.logs import level_of, log_to_stderr
        from outlast.worker.cli.stop_lines import stops_told
        from outlast.worker.jobs.client import Client
        from outlast.worker.loops.consumer import Consumer
        from outlast.worker.settings import overridden, read_settings
        from outlast.worker.slices.process import make_runtime
        from outlast.worker.telemetry.events import WORKER_STARTED, WORKER_STOPPED, tell
        from outlast.worker.telemetry.switches import switched_on

        settings = overridden(read_settings(), slice_seconds=slice_seconds, isolate=isolate)
        client = Client(settings=settings)
        level = level_of(settings, otherwise="INFO")
        log_to_stderr(level, log_format=settings.log_format, debug=debug)
        runtime = make_runtime(settings, client.jobs, client.queue)
        client.jobs.reach()
        warn_if_apart(settings)
        consumer = Consumer(
            runtime, slice_seconds=settings.slice_seconds, sweep_seconds=settings.sweep_seconds
        )
        with (
            switched_on(settings, metrics_port=metrics_port, metrics_host=metrics_host),
            stops_told(log.warning, lambda: log.warning("ended at once; another worker goes on")),
        ):
            tell(log, WORKER_STARTED, worker=runtime.worker, platform=runtime.platform)
            stopped_by = consumer.run(
                max_idle_seconds=max_idle_seconds, max_slices=max_slices, outer=stop
            )
            tell(log, WORKER_STOPPED, worker=runtime.worker, reason=stopped_by or "limit")
    if as_json:
        put_json({"worker": runtime.worker, "stopped_by": stopped_by})
