"""OpenTelemetry: a span for each slice, and one trace for each job; the extra `outlast[otel]`.

The ids of a job's trace and of its root span are computed from the job. So all slices of a job are
in one trace, whichever workers run them, with nothing stored and nothing in a message. The worker
that ends the job sends the root span.
"""

from __future__ import annotations

import logging
import threading
from hashlib import blake2b
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from outlast.checkpoint.redis_url import REDIS_URL
from outlast.worker.settings import InvalidSettings
from outlast.worker.telemetry.events import TRACES_UNSENT, tell
from outlast.worker.telemetry.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

log = logging.getLogger("outlast.traces")

ON_LAMBDA = {
    "cloud.region": "AWS_REGION",
    "faas.name": "AWS_LAMBDA_FUNCTION_NAME",
    "faas.version": "AWS_LAMBDA_FUNCTION_VERSION",
    "faas.instance": "AWS_LAMBDA_LOG_STREAM_NAME",
}


class Ids(NamedTuple):
    """The ids of a job's trace and of its root span."""

    trace_id: int
    root_id: int


def ids_of(job_id: str, created_at: float) -> Ids:
    """Return the ids of the job; a later job with the same job id has different ones."""
    digest = blake2b(f"{job_id} {created_at!r}".encode(), digest_size=24).digest()
    return Ids(int.from_bytes(digest[:16]), int.from_bytes(digest[16:]))


class JobIds(RandomIdGenerator):
    """Random ids, except while `root` is set: then the ids of that job's root span."""

    root: Ids | None = None

    def generate_trace_id(self) -> int:
        """Return the id of the next trace."""
        return self.root.trace_id if self.root else super().generate_trace_id()

    def generate_span_id(self) -> int:
        """Return the id of the next span."""
        return self.root.root_id if self.root else super().generate_span_id()


class SpanHandler(Sink):
    """Makes a span of each slice that ends here, and of each job."""

    def __init__(
        self, processor: SpanProcessor, *, queue: str, environment: Mapping[str, str]
    ) -> None:
        """Send the spans through `processor`; `queue` is the queue's URL."""
        super().__init__(logging.INFO)
        self._ids = JobIds()
        self._provider = TracerProvider(
            resource=Resource.create(_resource(environment)), id_generator=self._ids
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("outlast", version("outlast"))
        self._messaging = _messaging(queue)

    def emit(self, record: logging.LogRecord) -> None:
        """Send the span that ends with `record`, if one does."""
        event: Any = record
        try:
            match getattr(record, "event", None):
                case "slice_ended":
                    self._slice(event, event.outcome, event.ending)
                case "lease_lost":
                    self._slice(event, "lease_lost", "lease_lost")
                case "job_succeeded":
                    self._job(event, None)
                case "job_failed":
                    self._job(event, event.error)
        except Exception:  # noqa: BLE001 - a trace is never worth a slice
            self.handleError(record)

    def stop(self, seconds: float) -> None:
        """Send all spans that are not sent yet, for so many seconds at most."""
        # It waits for as long as the exporter does, which is 10 s by default.
        sender = threading.Thread(target=self._provider.shutdown, daemon=True)
        sender.start()
        sender.join(seconds)
        if sender.is_alive():
            tell(log, TRACES_UNSENT, seconds=seconds)
        super().stop(seconds)

    def _slice(self, event: Any, outcome: str, ending: str) -> None:
        ids = ids_of(event.job_id, event.created_at)
        attributes = self._messaging | {
            "outlast.slice": event.slice,
            "outlast.worker": event.worker,
            "outlast.platform": event.platform,
            "outlast.outcome": outcome,
        }
        for name in ("progress", "compute_seconds", "checkpoints"):
            if (value := getattr(event, name, None)) is not None:
                attributes[f"outlast.{name}"] = value
        span = self._tracer.start_span(
            f"slice {event.kernel}",
            self._within(ids),
            SpanKind.CONSUMER,
            attributes,
            start_time=_nanoseconds(event.created - event.seconds),
        )
        _end(span, event, ending if outcome in {"error", "failed", "lease_lost"} else None)

    def _within(self, ids: Ids) -> Context:
        """Return the context of a job's root span, which another worker may send later.

        The sampler decides by the trace's id alone, so all workers of a job decide alike.
        """
        sampled = self._provider.sampler.should_sample(None, ids.trace_id, "job").decision
        is_sampled = sampled is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
        root = SpanContext(ids.trace_id, ids.root_id, is_remote=True, trace_flags=flags)
        return set_span_in_context(NonRecordingSpan(root), Context())

    def _job(self, event: Any, error: str | None) -> None:
        self._ids.root = ids_of(event.job_id, event.created_at)
        try:
            span = self._tracer.start_span(
                f"job {event.kernel}",
                Context(),
                attributes={"outlast.slices": event.slices},
                start_time=_nanoseconds(event.created_at),
            )
        finally:
            self._ids.root = None
        _end(span, event, error)


def make_processor(environment: Mapping[str, str]) -> SpanProcessor:
    """Return the processor that sends spans as the OTEL_ variables in `environment` say.

    On Lambda it sends each span immediately, as the process is frozen once the function answers.

    Raises:
        InvalidSettings: no exporter of that name is installed.
    """
    name = environment.get("OTEL_TRACES_EXPORTER", "otlp")
    if name == "otlp":
        common = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", common)
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    for exporter in entry_points(group="opentelemetry_traces_exporter", name=name):
        on_lambda = "AWS_LAMBDA_FUNCTION_NAME" in environment
        return (SimpleSpanProcessor if on_lambda else BatchSpanProcessor)(exporter.load()())
    raise InvalidSettings(f"OUTLAST_TRACES=otel: no exporter {name!r} is installed")


def _end(span: Span, event: Any, error: str | None) -> None:
    span.set_attributes({"outlast.job_id": event.job_id, "outlast.kernel": event.kernel})
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, error))
    span.end(_nanoseconds(event.created))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _messaging(queue: str) -> dict[str, Any]:
    """Return the attributes of the queue by OpenTelemetry's conventions for messaging."""
    attributes = {"messaging.operation.type": "process", "messaging.operation.name": "slice"}
    if queue.startswith("sqlite:"):
        return attributes
    if redis := REDIS_URL.fullmatch(queue):
        system, name = "redis", redis["name"] or "jobs"
    else:
        url = urlsplit(queue)
        system, name = "aws_sqs", url.path.rpartition("/")[2] or url.netloc
    return attributes | {"messaging.system": system, "messaging.destination.name": name}


def _resource(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the attributes of this process that the OTEL_ variables do not set."""
    attributes: dict[str, Any] = {}
    has_name = "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if "OTEL_SERVICE_NAME" not in environment and not has_name:
        attributes["service.name"] = "outlast"
    if "AWS_LAMBDA_FUNCTION_NAME" in environment:
        attributes |= {"cloud.provider": "aws", "cloud.platform": "aws_lambda"}
        attributes |= {
            name: environment[variable]
            for name, variable in ON_LAMBDA.items()
            if variable in environment
        }
    return attributes
