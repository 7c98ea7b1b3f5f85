"""Metrics that Prometheus fetches over HTTP, with its own client; the extra `outlast[metrics]`.

No label is a job's id, or anything else of which there may be many.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from worker.settings import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKETS_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class PrometheusHandler(logging.Handler):
    """Counts the events of this process, and serves the counts from a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        """Listen at `host` and `port`; 0 is a port that is free.

        Raises:
            InvalidSettings: that is not possible.
        """
        super().__init__(logging.DEBUG)
        registry = CollectorRegistry()
        self._counts = _counts(registry)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise InvalidSettings(
                f"metrics cannot be served at {host}:{port}: {error.strerror}; choose another "
                "--metrics-port"
            ) from error
        self.port: int = self._server.server_port

    def emit(self, record: logging.LogRecord) -> None:
        """Count `record`, if it is an event that is counted."""
        if count := self._counts.get(getattr(record, "event", "")):
            try:
                count(record)
            except Exception:  # noqa: BLE001 - a metric is never worth a slice
                self.handleError(record)

    def close(self) -> None:
        """Stop to serve."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        super().close()


def _counts(registry: CollectorRegistry) -> dict[str, Callable[[Any], None]]:
    """Return what is to be done about each event that is counted."""

    def counter(name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"outlast_{name}", help_, labels, registry=registry)

    slices = counter("slices", "Slices that ended here, by their outcome.", "kernel", "outcome")
    occupied = counter("slice_seconds", "Time from claim to release of these slices.", "kernel")
    compute = counter("compute_seconds", "Time spent in the kernel.", "kernel")
    lost = counter("slices_lost", "Slices found to have died with another worker.", "kernel")
    redone = counter("redone_seconds", "Work done again because of that, at most.", "kernel")
    leases = counter("leases_lost", "Slices stopped here as their job was taken away.", "kernel")
    jobs = counter("jobs", "Jobs that came to their end here.", "kernel", "status")
    errors = counter("kernel_errors", "Errors raised by kernels.", "kernel")
    damaged = counter("checkpoints_quarantined", "Checkpoints that did not verify.", "kernel")
    woken = counter("jobs_woken", "Jobs that had lost their message.")
    left = counter("messages_left", "Deliveries left for the dead-letter queue.", "error_type")
    troubles = counter("troubles", "Requests that the store or the queue did not do.", "service")
    saves = Histogram(
        "outlast_checkpoint_seconds",
        "Time that saving a checkpoint within a slice took.",
        ("kernel",),
        buckets=BUCKETS_SECONDS,
        registry=registry,
    )
    running = Gauge("outlast_slices_running", "Slices that run here: 1 or 0.", registry=registry)
    progress = Gauge(
        "outlast_slice_progress_ratio",
        "Progress of the job whose slice ran last, as stored.",
        registry=registry,
    )
    for service in ("store", "queue"):
        troubles.labels(service)  # so that there is a 0 before the first

    def started(event: Any) -> None:
        running.set(1)
        progress.set(event.progress)

    def saved(event: Any) -> None:
        saves.labels(event.kernel).observe(event.seconds)
        progress.set(event.progress)

    def ended(event: Any) -> None:
        running.set(0)
        progress.set(event.progress)
        slices.labels(event.kernel, event.outcome).inc()
        occupied.labels(event.kernel).inc(event.seconds)
        compute.labels(event.kernel).inc(event.compute_seconds)

    def was_lost(event: Any) -> None:
        lost.labels(event.kernel).inc()
        redone.labels(event.kernel).inc(event.redone_seconds)

    def lease_lost(event: Any) -> None:
        running.set(0)
        leases.labels(event.kernel).inc()

    return {
        "slice_started": started,
        "checkpoint_saved": saved,
        "slice_ended": ended,
        "slice_lost": was_lost,
        "lease_lost": lease_lost,
        "job_succeeded": lambda event: jobs.labels(event.kernel, "succeeded").inc(),
        "job_failed": lambda event: jobs.labels(event.kernel, "failed").inc(),
        "kernel_failed": lambda event: errors.labels(event.kernel).inc(),
        "checkpoint_quarantined": lambda event: damaged.labels(event.kernel).inc(),
        "job_woken": lambda _: woken.inc(),
        "message_left": lambda event: left.labels(event.error_type).inc(),
        "store_unavailable": lambda _: troubles.labels("store").inc(),
        "queue_unavailable": lambda _: troubles.labels("queue").inc(),
    }
