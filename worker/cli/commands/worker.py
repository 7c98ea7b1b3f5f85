"""outlast worker, sweep: advance jobs, and wake those whose message was lost."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from outlast.worker.cli.options import Debug, Isolate, Json, SliceSeconds, seconds_option
from outlast.worker.cli.output import print_json, print_lines, warn_if_apart
from outlast.worker.cli.streams import stdout_to_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.cli.hard_stop import HardStop
    from outlast.worker.cli.live_log import LiveLog
    from outlast.worker.settings import Settings
    from outlast.worker.slices.deadline import Deadline
    from outlast.worker.slices.worker_process import WorkerProcess

log = logging.getLogger("outlast.worker")

MaxIdleSeconds = Annotated[
    float | None,
    seconds_option("--max-idle-seconds", "End after this time without work. Default: never."),
]
MaxSlices = Annotated[
    int | None,
    typer.Option(
        "--max-slices", min=1, metavar="N", help="End after this many slices. Default: never."
    ),
]
MetricsPort = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=1,
        max=65535,
        metavar="PORT",
        help="Serve metrics to Prometheus, at /metrics; needs outlast[metrics]. Default: no.",
    ),
]
MetricsHost = Annotated[
    str,
    typer.Option("--metrics-host", metavar="HOST", help="The address to serve metrics at."),
]

Processes = Annotated[
    int,
    typer.Option(
        "--processes", min=1, metavar="N", help="Be so many workers, each a process. Default: 1."
    ),
]

AfterSeconds = Annotated[
    float | None,
    seconds_option(
        "--after-seconds",
        "Wake jobs that have been silent this long. Default: OUTLAST_SWEEP_SECONDS, or 60.",
    ),
]
EveryJob = Annotated[
    bool,
    typer.Option("--all", help="Look at every stored job, as after a restore of the store."),
]


def worker(
    *,
    processes: Processes = 1,
    slice_seconds: SliceSeconds = None,
    max_idle_seconds: MaxIdleSeconds = None,
    max_slices: MaxSlices = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    isolate: Isolate = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Be a worker: advance jobs, one slice after another.

    It pulls jobs from OUTLAST_QUEUE, slice after slice, until it is stopped.

    SIGTERM, Ctrl-C and, without nohup, the end of the terminal end the slice that runs at its next
    safe point: its progress is saved and its continuation sent, then the worker ends, within
    OUTLAST_STOP_SECONDS in any case; what is not saved by then is done again. Any number of
    workers may share a store and a queue, and any of them may be killed at any time. One of them
    sweeps every OUTLAST_SWEEP_SECONDS. OUTLAST_STOP_FILE and OUTLAST_SPOT stop it like SIGTERM.

    Standard error has a line for each slice that ends; a slice that lasts for more than a second
    says so, and then once a minute how far it is. At a terminal a line that moves shows the job at
    work instead. OUTLAST_LOG_LEVEL=WARNING leaves all this out.

    With --processes this process only looks after N others. Each is such a worker, with the other
    options for itself, and with its share of the cores unless OUTLAST_THREADS is set. One that is
    killed is started again; if one ends with an exit code above 0, the others are stopped, and the
    command ends with that code. They end when this process does, whatever ends it.

    Examples:
        outlast worker
        outlast worker --processes 4
        outlast worker --slice-seconds 30 --max-idle-seconds 60
        outlast worker --metrics-port 9464

    Exit codes:
        0  stopped by a signal, or by one of the limits
        1  the store or the queue did not answer at the start; later the worker asks again
        2  a setting is wrong, or metrics cannot be served
        75   this machine cannot run kernels; nothing was charged to the jobs, start another worker
        124  stopped by a signal, and out of time (OUTLAST_STOP_SECONDS) before all was saved
        130  ended at once by a second Ctrl-C
    """
    from outlast.worker.slices.deadline import Deadline

    if processes > 1:
        if metrics_port is not None:
            raise typer.BadParameter(
                "--metrics-port is for one process: start the workers one by one, each with a port"
            )
        words = _words(slice_seconds, max_idle_seconds, max_slices, isolate=isolate, debug=debug)
        _be_several(processes, words, as_json=as_json, debug=debug)
        return
    with stdout_to_stderr(), Deadline() as stop:
        # Imported here: a signal that comes during the slow imports is heard.
        from outlast.worker.settings import overridden, read_settings

        shift = _be_one(
            overridden(read_settings(), slice_seconds=slice_seconds, isolate=isolate),
            stop,
            max_idle_seconds=max_idle_seconds,
            max_slices=max_slices,
            metrics_port=metrics_port,
            metrics_host=metrics_host,
            debug=debug,
        )
    if as_json:
        print_json(shift)


def _be_one(
    settings: Settings,
    stop: Deadline,
    *,
    max_idle_seconds: float | None,
    max_slices: int | None,
    metrics_port: int | None,
    metrics_host: str,
    debug: bool,
) -> dict[str, str | None]:
    """Work until `stop` or a limit; return what --json prints of that."""
    from outlast.worker.cli.live_log import log_of_worker
    from outlast.worker.jobs.client import Client
    from outlast.worker.loops.consumer import Consumer
    from outlast.worker.loops.preemption import notices_of, stop_on_notice
    from outlast.worker.queues.local_receipts import local_receipts
    from outlast.worker.slices.worker_process import make_process
    from outlast.worker.telemetry.events import WORKER_STARTED, WORKER_STOPPED, tell

    client = Client(settings=settings)
    live_log = log_of_worker(settings, debug=debug)
    watch = None if live_log is None else live_log.watch
    process = make_process(settings, client.jobs, client.queue, watch=watch)
    consumer = Consumer(
        process,
        slice_seconds=settings.slice_seconds,
        sweep_seconds=settings.sweep_seconds,
        receipts=local_receipts(settings.queue, client.queue),
    )
    with _observed(
        process, settings, stop, live_log, metrics_port=metrics_port, metrics_host=metrics_host
    ):
        client.jobs.reach()
        warn_if_apart(settings)
        tell(log, WORKER_STARTED, worker=process.worker, platform=process.platform)
        with stop_on_notice(notices_of(settings), stop):
            stopped_by = consumer.run(
                max_idle_seconds=max_idle_seconds, max_slices=max_slices, outer=stop
            )
        tell(log, WORKER_STOPPED, worker=process.worker, reason=stopped_by or "limit")
    return {"worker": process.worker, "stopped_by": stopped_by}


@contextmanager
def _observed(
    process: WorkerProcess,
    settings: Settings,
    stop: Deadline,
    live_log: LiveLog | None,
    *,
    metrics_port: int | None,
    metrics_host: str,
) -> Iterator[None]:
    """Show, measure and trace what the worker does in the block, and bound the time of its stop."""
    from outlast.worker.telemetry.switches import switched_on

    with (
        live_log or nullcontext(),
        _hard_stop(stop, settings.stop_seconds, process.worker, live_log) as hard_stop,
        switched_on(
            settings,
            metrics_port=metrics_port,
            metrics_host=metrics_host,
            flush_seconds=hard_stop.seconds_left,
        ),
    ):
        hard_stop.more_seconds = process.timing.last_save_seconds
        yield


def _words(
    slice_seconds: float | None,
    max_idle_seconds: float | None,
    max_slices: int | None,
    *,
    isolate: bool | None,
    debug: bool,
) -> list[str]:
    """Return the options of each of several workers."""
    numbers = {
        "--slice-seconds": slice_seconds,
        "--max-idle-seconds": max_idle_seconds,
        "--max-slices": max_slices,
    }
    words = [f"{name}={number!r}" for name, number in numbers.items() if number is not None]
    return [*words, *(["--isolate"] if isolate else []), *(["--debug"] if debug else [])]


def _be_several(processes: int, words: list[str], *, as_json: bool, debug: bool) -> None:
    from outlast.worker.slices.deadline import Deadline

    with stdout_to_stderr(), Deadline() as stop:
        from outlast.worker.cli.crew import look_after

        shift = look_after(processes, words, stop, debug=debug)
    if as_json:
        print_json({"processes": processes, "stopped_by": shift.stopped_by})
    if shift.code:
        raise typer.Exit(shift.code)


def _hard_stop(stop: Deadline, seconds: float, name: str, live_log: LiveLog | None) -> HardStop:
    """Return what ends the worker of this name so many seconds after a stop signal."""
    from outlast.worker.cli.hard_stop import HardStop
    from outlast.worker.telemetry.events import WORKER_CUT_OFF, tell

    def end(how: str) -> None:
        tell(log, WORKER_CUT_OFF, worker=name, how=how)
        if live_log is not None:
            live_log.__exit__()  # Else the terminal's cursor stays hidden.

    return HardStop(stop, seconds, say=log.warning, end=end)


def sweep(
    *,
    after_seconds: AfterSeconds = None,
    every_job: EveryJob = False,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Wake the jobs whose message was lost, and print their ids.

    That is every job that is not over, not paused, has no worker, has been silent for a while and
    does not wait in the queue. Workers sweep by themselves, and look at every stored job once a
    day. Sweeping too often is harmless: a message carries the number of its slice, and a duplicate
    is dropped.

    Examples:
        outlast sweep
        outlast sweep --after-seconds 5
        outlast sweep --all

    Exit codes:
        0  done, even if there was nothing to wake
        1  the store or the queue is at fault
        2  a setting is wrong
    """
    from outlast.worker.cli.logs import level_of, log_to_stderr
    from outlast.worker.jobs.client import Client

    client = Client()
    settings = client.settings
    # The answer lists the jobs; OUTLAST_LOG_LEVEL adds a log line for each.
    log_to_stderr(level_of(settings, otherwise="ERROR"), log_format=settings.log_format)
    woken = client.sweep(after_seconds=after_seconds, every_job=every_job)
    if as_json:
        print_json({"woken": woken})
    else:
        print_lines(woken)
