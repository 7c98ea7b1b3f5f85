"""What events cost a slice, switched off and each way of switching them on.

What is told of a slice is told again and again, so that the cost, which is too small to be seen in
the time of whole slices, can be: its least CPU time beside that of the shortest slice there is.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
import time
import timeit
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from bench.kernels import CountTo
from bench.table import print_table
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Lease
from outlast.checkpoint.registers.sqlite import SqliteRegister
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqlite import SqliteQueue
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.worker_process import WorkerProcess
from outlast.worker.telemetry.emf import EmfHandler
from outlast.worker.telemetry.job_events import tell_claim, tell_ending
from outlast.worker.telemetry.json_lines import JsonLines
from outlast.worker.telemetry.prometheus import PrometheusHandler
from outlast.worker.telemetry.spans import SpanHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

SLICES = 500
ROUNDS = 30


class Discard(SpanExporter):
    """Takes spans, and does nothing with them."""

    def export(self, _spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Say that it went well."""
        return SpanExportResult.SUCCESS


def main() -> None:
    """Print the cost of telling of one slice in each way, and the share of a slice that it is."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
    ):
        slice_seconds, tell = _slice(Path(folder) / "outlast.db")
        costs = {"off": _cost(tell, logging.NullHandler(level=logging.WARNING))}
        for name, handler in _handlers(nowhere).items():
            costs[name] = _cost(tell, handler)
            handler.close()
    print_table(
        f"Telling of one slice; a slice of one step on SQLite takes {slice_seconds * 1e3:.2f} ms",
        ("", "µs", "of that slice", "of a slice of 1 s"),
        [
            (name, f"{cost * 1e6:.1f}", f"{cost / slice_seconds:.2%}", f"{cost:.4%}")
            for name, cost in costs.items()
        ],
    )


def _handlers(nowhere: TextIO) -> dict[str, logging.Handler]:
    text, lines = logging.StreamHandler(nowhere), logging.StreamHandler(nowhere)
    text.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    lines.setFormatter(JsonLines())
    text.setLevel(logging.INFO)
    lines.setLevel(logging.INFO)
    spans = BatchSpanProcessor(Discard(), max_queue_size=200 * ROUNDS)
    return {
        "lines of text": text,
        "lines of JSON": lines,
        "embedded metrics": EmfHandler(),
        "Prometheus": PrometheusHandler("127.0.0.1", 0),
        "OpenTelemetry": SpanHandler(spans, queue="sqs://jobs", environment={}),
    }


def _cost(tell: Callable[[], None], handler: logging.Handler) -> float:
    """Return the least CPU seconds that `tell` takes with this handler."""
    log = logging.getLogger("outlast")
    log.propagate, log.handlers = False, [handler]
    log.setLevel(handler.level)
    return min(timeit.repeat(tell, timer=time.thread_time, number=100, repeat=ROUNDS)) / 100


def _slice(path: Path) -> tuple[float, Callable[[], None]]:
    """Return the median CPU seconds of a slice, and a function that tells of the last one."""
    jobs, queue, kernel = JobStore(SqliteRegister(path)), SqliteQueue(path), CountTo()
    process = WorkerProcess(jobs=jobs, queue=queue, worker="bench", kernels=lambda _: kernel)
    logging.getLogger("outlast").setLevel(logging.WARNING)
    params = {"steps": SLICES + 1}
    job = Record(job_id="job", kernel=kernel.name, params=params, created_at=0.0, updated_at=0.0)
    jobs.submit(job)
    queue.send(Message(job_id="job", slice=1))
    took = []
    for _ in range(SLICES):
        delivery = queue.receive(visibility_seconds=10, wait_seconds=0)
        assert delivery is not None
        begun = time.thread_time()
        handled = deliver(process, delivery, seconds=0)
        took.append(time.thread_time() - begun)
        queue.ack(delivery)
    ended = handled.record
    assert ended is not None
    lease = Lease(worker="bench", token="t", claimed_at=0.0, expires_at=1.0, at_risk_seconds=1.0)
    before = ended.model_copy(update={"slice_number": SLICES})
    claimed = before.claimed(lease)

    def tell() -> None:
        tell_claim(before, claimed, "local")
        tell_ending(claimed, ended)

    return statistics.median(took), tell
