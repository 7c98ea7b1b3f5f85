"""CloudWatch's embedded metrics: on Lambda, JSON lines on standard output.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import logging
import sys

from outlast.worker.telemetry.sink import Sink

NAMESPACE = "Outlast"
# Each metric exists by kernel and platform, and in total. A job's id would make a metric for each
# job, and CloudWatch charges for each metric.
DIMENSIONS = ["kernel", "platform"]
# More fields of the line, for a person who reads it.
PROPERTIES = ("job_id", "slice", "worker", "outcome")

COUNT, SECONDS = "Count", "Seconds"

# The metrics of an event: name, unit, and the event's field with the value; None: the value is 1.
METRICS: dict[str, list[tuple[str, str, str | None]]] = {
    "slice_ended": [
        ("SlicesEnded", COUNT, None),
        ("SliceSeconds", SECONDS, "seconds"),
        ("ComputeSeconds", SECONDS, "compute_seconds"),
        ("Checkpoints", COUNT, "checkpoints"),
    ],
    "slice_lost": [("SlicesLost", COUNT, None), ("RedoneSeconds", SECONDS, "redone_seconds")],
    "lease_lost": [("LeasesLost", COUNT, None)],
    "job_succeeded": [("JobsSucceeded", COUNT, None)],
    "job_failed": [("JobsFailed", COUNT, None)],
    "job_woken": [("JobsWoken", COUNT, None)],
    "kernel_failed": [("KernelErrors", COUNT, None)],
    "checkpoint_quarantined": [("CheckpointsQuarantined", COUNT, None)],
    "message_left": [("MessagesLeft", COUNT, None)],
    "store_unavailable": [("StoreErrors", COUNT, "failures")],
    "store_answers": [("StoreErrors", COUNT, "failures")],
    "queue_unavailable": [("QueueErrors", COUNT, "failures")],
    "queue_answers": [("QueueErrors", COUNT, "failures")],
}


class EmfHandler(Sink):
    """Prints one line for each event that has metrics."""

    def __init__(self, namespace: str = NAMESPACE) -> None:
        super().__init__(logging.INFO)
        self._namespace = namespace
        self._stream = sys.stdout  # While a kernel runs there is another one in its place.

    def emit(self, record: logging.LogRecord) -> None:
        """Print the metrics of `record`, if it is an event that has any."""
        if (document := document_of(record, self._namespace)) is not None:
            try:
                print(json.dumps(document), file=self._stream, flush=True)
            except OSError:
                self.handleError(record)


def document_of(record: logging.LogRecord, namespace: str = NAMESPACE) -> dict[str, object] | None:
    """Return the metrics of `record` in CloudWatch's format; None: it has no metrics.

    The metrics of an event without a kernel have no dimensions.
    """
    if (metrics := METRICS.get(getattr(record, "event", ""))) is None:
        return None
    members = {name: getattr(record, name, None) for name in (*DIMENSIONS, *PROPERTIES)}
    members = {name: value for name, value in members.items() if value is not None}
    has_all = all(name in members for name in DIMENSIONS)
    directive = {
        "Namespace": namespace,
        "Dimensions": [DIMENSIONS, []] if has_all else [[]],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit, _ in metrics],
    }
    values = {name: getattr(record, field) if field else 1 for name, _, field in metrics}
    directives = [directive]
    # A kernel's own figures: over all kernels they would mean nothing.
    if has_all and (figures := _figures(record)):
        own = [{"Name": name, "Unit": "None"} for name in figures]
        directives.append({"Namespace": namespace, "Dimensions": [DIMENSIONS], "Metrics": own})
        values |= figures
    timestamp = int(record.created * 1000)
    return {"_aws": {"Timestamp": timestamp, "CloudWatchMetrics": directives}, **members, **values}


def _figures(record: logging.LogRecord) -> dict[str, float]:
    return {f"Kernel_{name}": value for name, value in getattr(record, "metrics", {}).items()}
