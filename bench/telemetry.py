"""What events cost a slice, switched off and each way of switching them on.

Slices of one step on SQLite, the shortest that there are, in CPU time: what a slice waits for the
disk is left out, which makes the share of events look larger than it is. The ways take turns,
some slices each, so that whatever else the machine does meets them all alike.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from bench.kernels import CountTo
from bench.table import print_table
from checkpoint.jobs import JobStore
from checkpoint.record import Record
from checkpoint.registers.sqlite import SqliteRegister
from worker import delivery as delivering
from worker.message import Message
from worker.queues.sqlite import SqliteQueue
from worker.reporting import report_claim, report_ending
from worker.runtime import Runtime
from worker.telemetry.emf import EmfHandler
from worker.telemetry.json_lines import JsonLines
from worker.telemetry.prometheus import PrometheusHandler
from worker.telemetry.spans import SpanHandler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

SLICES = 1000
TURN = 20
NONE, OFF = "no events at all", "events, all off"


class Discard(SpanExporter):
    """Takes spans, and does nothing with them."""

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Say that it went well."""
        return SpanExportResult.SUCCESS


def main() -> None:
    """Print the median cost of a slice in each way, and its ratio to one without events."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
    ):
        handlers = _handlers(nowhere)
        seconds = _measure(Path(folder) / "outlast.db", handlers)
        for handler in handlers.values():
            handler.close()
    base = seconds[NONE]
    print_table(
        f"One slice on SQLite: median of {SLICES} slices each",
        ("", "CPU ms a slice", "µs more", "ratio"),
        [
            (name, f"{took * 1e3:.3f}", f"{(took - base) * 1e6:.0f}", f"{took / base:.3f}")
            for name, took in seconds.items()
        ],
    )


def _handlers(nowhere: TextIO) -> dict[str, logging.Handler]:
    text, lines = logging.StreamHandler(nowhere), logging.StreamHandler(nowhere)
    text.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    lines.setFormatter(JsonLines())
    text.setLevel(logging.INFO)
    lines.setLevel(logging.INFO)
    spans = BatchSpanProcessor(Discard(), max_queue_size=10 * SLICES)
    return {
        "lines of text": text,
        "lines of JSON": lines,
        "embedded metrics": EmfHandler(),
        "Prometheus": PrometheusHandler("127.0.0.1", 0),
        "OpenTelemetry": SpanHandler(spans, queue="sqs://jobs", environment={}),
    }


def _measure(path: Path, handlers: dict[str, logging.Handler]) -> dict[str, float]:
    """Return the median seconds that a slice takes, by the way in which its events are used."""
    jobs, queue, kernel = JobStore(SqliteRegister(path)), SqliteQueue(path), CountTo()
    runtime = Runtime(jobs=jobs, queue=queue, worker="bench", kernels=lambda _: kernel)
    log = logging.getLogger("outlast")
    log.propagate = False
    ways = [NONE, OFF, *handlers]
    params = {"steps": SLICES * len(ways) + 1}
    job = Record(job_id="job", kernel=kernel.name, params=params, created_at=0.0, updated_at=0.0)
    jobs.submit(job)
    queue.send(Message(job_id="job", slice=1))
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(SLICES // TURN * len(ways)):
        way = ways[number % len(ways)]
        log.handlers = [handlers[way]] if way in handlers else [logging.NullHandler()]
        log.setLevel(handlers[way].level if way in handlers else logging.WARNING)
        claim, ending = (_nothing, _nothing) if way == NONE else (report_claim, report_ending)
        delivering.report_claim, delivering.report_ending = claim, ending
        # The first is not counted: it finds the caches of the way before.
        took[way] += [_slice(runtime) for _ in range(TURN)][1:]
    return {way: statistics.median(times) for way, times in took.items()}


def _slice(runtime: Runtime) -> float:
    received = runtime.queue.receive(visibility_seconds=10, wait_seconds=0)
    assert received is not None
    begun = time.thread_time()
    assert delivering.deliver(runtime, received, seconds=0).ack
    took = time.thread_time() - begun
    runtime.queue.ack(received)
    return took


def _nothing(*_: object) -> None:
    pass


if __name__ == "__main__":
    main()
