"""Metrics that Prometheus fetches over HTTP, with its own client; the extra `outlast[metrics]`.

No label is a job's id, or anything else with many values.
"""

from __future__ import annotations

import logging
from threading import Thread
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from outlast.worker.settings import InvalidSettings
from outlast.worker.telemetry.metrics_server import MetricsServer
from outlast.worker.telemetry.sink import Sink

# Why a message is left: the names of the errors in `outlast.worker.loops.errors.LEAVE_MESSAGE`.
ERROR_TYPES = (
    "ForeignMessage",
    "UnknownJob",
    "CorruptRecord",
    "NewerRecord",
    "UnknownKernel",
    "NewerState",
)
# Of each kernel; others are not counted.
MAX_NAMES = 16
BUCKETS_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class PrometheusHandler(Sink):
    """Counts the events of this process, and serves the counts in a thread."""

    def __init__(self, host: str, port: int) -> None:
        """Listen at `host` and `port`; 0: any free port.

        Raises:
            InvalidSettings: the port cannot be used.
        """
        super().__init__(logging.DEBUG)
        registry = CollectorRegistry()
        self._metrics = _Metrics(registry)
        try:
            self._server = MetricsServer(host, port, make_wsgi_app(registry))
        except OSError as error:
            raise InvalidSettings(
                f"metrics cannot be served at {host}:{port}: {error.strerror}; choose another "
                "--metrics-port"
            ) from error
        self._thread = Thread(
            target=self._server.serve_forever, name="outlast-metrics", daemon=True
        )
        self._thread.start()
        self.port: int = self._server.server_port

    def emit(self, record: logging.LogRecord) -> None:
        """Count `record`, if its event has a metric."""
        if count := getattr(self._metrics, getattr(record, "event", ""), None):
            try:
                count(record)
            except Exception:  # noqa: BLE001 - a metric is never worth a slice
                self.handleError(record)

    def stop(self, seconds: float) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        super().stop(seconds)


class _Metrics:
    """The metrics, and a method for each event with a metric, named after it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, help_: str, *labels: str) -> Counter:
            return Counter(f"outlast_{name}", help_, labels, registry=registry)

        self._slices = counter("slices", "Slices that ended here.", "kernel", "outcome")
        self._occupied = counter("slice_seconds", "Time from their claim to release.", "kernel")
        self._compute = counter("compute_seconds", "Time spent in the kernel.", "kernel")
        self._lost = counter("slices_lost", "Slices that died with another worker.", "kernel")
        self._redone = counter("redone_seconds", "Work done again for that, at most.", "kernel")
        self._leases = counter("leases_lost", "Slices whose job was taken away.", "kernel")
        self._jobs = counter("jobs", "Jobs that came to their end here.", "kernel", "status")
        self._errors = counter("kernel_errors", "Errors raised by kernels.", "kernel")
        self._damaged = counter("checkpoints_quarantined", "Damaged checkpoints.", "kernel")
        self._woken = counter("jobs_woken", "Jobs that had lost their message.")
        self._left = counter("messages_left", "Left for the dead-letter queue.", "error_type")
        self._troubles = counter("troubles", "What store or queue did not do.", "service")
        self._saves = Histogram(
            "outlast_checkpoint_seconds",
            "Time that saving a checkpoint within a slice took.",
            ["kernel"],
            buckets=BUCKETS_SECONDS,
            registry=registry,
        )
        self._running = Gauge(
            "outlast_slices_running", "Slices that run here: 1 or 0.", registry=registry
        )
        self._progress = Gauge(
            "outlast_slice_progress_ratio", "Stored progress of the last slice.", registry=registry
        )
        self._figures = Gauge(
            "outlast_kernel_metric",
            "A figure of the kernel's own, of the job that was saved last.",
            ["kernel", "name"],
            registry=registry,
        )
        self._names: dict[str, set[str]] = {}
        # An alarm needs a 0 before the first 1: Prometheus sees increases only.
        for service in ("store", "queue"):
            self._troubles.labels(service)
        for error in ERROR_TYPES:
            self._left.labels(error)

    def slice_started(self, event: Any) -> None:
        self._running.set(1)
        self._show(event.progress)
        for status in ("succeeded", "failed"):
            self._jobs.labels(event.kernel, status)
        for counted in (self._lost, self._redone, self._errors, self._damaged):
            counted.labels(event.kernel)

    def checkpoint_saved(self, event: Any) -> None:
        self._saves.labels(event.kernel).observe(event.seconds)
        self._show(event.progress)
        self._measure(event)

    def slice_ended(self, event: Any) -> None:
        self._running.set(0)
        self._show(event.progress)
        self._slices.labels(event.kernel, event.outcome).inc()
        self._occupied.labels(event.kernel).inc(event.seconds)
        self._compute.labels(event.kernel).inc(event.compute_seconds)
        self._measure(event)

    def _show(self, progress: float | None) -> None:
        if progress is not None:  # a part may not tell
            self._progress.set(progress)

    def _measure(self, event: Any) -> None:
        names = self._names.setdefault(event.kernel, set())
        for name, value in event.metrics.items():
            if name in names or len(names) < MAX_NAMES:
                names.add(name)
                self._figures.labels(event.kernel, name).set(value)

    def slice_lost(self, event: Any) -> None:
        self._lost.labels(event.kernel).inc()
        self._redone.labels(event.kernel).inc(event.redone_seconds)

    def lease_lost(self, event: Any) -> None:
        self._running.set(0)
        self._leases.labels(event.kernel).inc()

    def job_succeeded(self, event: Any) -> None:
        self._jobs.labels(event.kernel, "succeeded").inc()

    def job_failed(self, event: Any) -> None:
        self._jobs.labels(event.kernel, "failed").inc()

    def kernel_failed(self, event: Any) -> None:
        self._errors.labels(event.kernel).inc()

    def checkpoint_quarantined(self, event: Any) -> None:
        self._damaged.labels(event.kernel).inc()

    def job_woken(self, _event: Any) -> None:
        self._woken.inc()

    # A slice whose kernel is missing, or whose end cannot be stored, has no event of its end.
    def worker_idle(self, _event: Any) -> None:
        self._running.set(0)

    def message_left(self, event: Any) -> None:
        self._running.set(0)
        self._left.labels(event.error_type).inc()

    def store_unavailable(self, event: Any) -> None:
        self._troubles.labels("store").inc(event.failures)

    def queue_unavailable(self, event: Any) -> None:
        self._troubles.labels("queue").inc(event.failures)

    store_answers, queue_answers = store_unavailable, queue_unavailable
