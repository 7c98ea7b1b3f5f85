"""What a worker tells machines: JSON lines, metrics for Prometheus, spans for a collector."""

from __future__ import annotations

import json
import signal
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests import servers
from tests.cli.process import until
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast, Start


def fetch(port: int) -> dict[str, float]:
    """Return the samples that a worker serves, by name and labels, as Prometheus would read them.

    There are none while nobody listens.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{servers.HOST}:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_can_fetch_what_a_worker_does(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would be told that jobs fail, or that nothing moves, before a person looks."""
    client.submit("tally", job_id="good", steps=40, step_seconds=0.02)
    client.submit("tally", job_id="long", steps=10**6, step_seconds=0.02)
    port = servers.free_ports(1)[0]
    words = ["--slice-seconds", "0.5", "--metrics-port", str(port)]
    monkeypatch.setenv("OUTLAST_CHECKPOINT_SECONDS", "0.1")
    process = start("worker", *words)
    until(lambda: fetch(port).get("outlast_jobs_total tally succeeded") == 1)
    samples = fetch(port)
    assert samples["outlast_slices_total tally succeeded"] == 1
    assert samples["outlast_slices_total tally deadline"] >= 1
    assert samples["outlast_compute_seconds_total tally"] > 0.7
    assert samples["outlast_checkpoint_seconds_count tally"] >= 2
    assert 0 < samples["outlast_slice_progress_ratio"] <= 1
    assert samples["outlast_troubles_total store"] == samples["outlast_troubles_total queue"] == 0
    assert samples["outlast_jobs_total tally failed"] == 0
    assert samples["outlast_messages_left_total UnknownJob"] == 0
    assert not any("good" in name or "long" in name for name in samples)  # a series for each job
    process.send(signal.SIGTERM)
    assert process.end().code == 0
    assert fetch(port) == {}


def test_a_port_in_use_is_reported(outlast: Outlast) -> None:
    """A worker would run without the metrics that it was asked for."""
    with ThreadingHTTPServer((servers.HOST, 0), BaseHTTPRequestHandler) as other:
        ended = outlast("worker", "--metrics-port", str(other.server_port))
    assert ended.code == 2
    assert ended.err.startswith(
        f"outlast: metrics cannot be served at 127.0.0.1:{other.server_port}"
    )
    assert ended.err.count("\n") == 1


def test_log_lines_are_json(start: Start, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log collector would have to guess at the parts of a line."""
    client.submit("tally", job_id="a", steps=3)
    monkeypatch.setenv("OUTLAST_LOG_FORMAT", "json")
    process = start("worker", "--max-slices", "1")
    lines = [json.loads(line) for line in process.end().err.splitlines()]
    events = [line["event"] for line in lines]
    assert events == ["worker_started", "slice_ended", "job_succeeded", "worker_stopped"]
    assert lines[1]["job_id"] == "a"
    assert "traceback" not in lines[1]


def test_no_password_gets_into_a_line(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever may read the log could read, and change, all jobs."""
    port = servers.free_ports(1)[0]
    monkeypatch.setenv("OUTLAST_STORE", f"redis://user:sesame@{servers.HOST}:{port}/0")
    monkeypatch.setenv("OUTLAST_LOG_FORMAT", "json")
    monkeypatch.setenv("OUTLAST_LOG_LEVEL", "DEBUG")
    ended = start("worker", "--max-idle-seconds", "0.1").end()
    assert ended.code == 1
    assert str(port) in ended.err
    assert "sesame" not in ended.err


class Collector(ThreadingHTTPServer):
    """An OpenTelemetry collector, as far as it takes traces over HTTP."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((servers.HOST, 0), _Post)
        self.spans: Queue[Any] = Queue()


class _Post(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.server.spans.put(span)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    with serving(Collector()) as server:
        yield server


def trace_to(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers send their spans to this port."""
    monkeypatch.setenv("OUTLAST_TRACES", "otel")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{servers.HOST}:{port}")


def test_spans_reach_a_collector_from_several_workers(
    start: Start, client: Client, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last spans of a worker would be lost when it ends, or lie in a trace each."""
    client.submit("tally", job_id="a", steps=30, step_seconds=0.02)
    trace_to(collector.server_port, monkeypatch)
    for _ in range(2):
        words = ["--slice-seconds", "0.3", "--max-slices", "1"]
        assert start("worker", *words).end().code == 0
    assert start("worker", "--max-idle-seconds", "0.1").end().code == 0
    spans = [collector.spans.get(timeout=10) for _ in range(collector.spans.qsize())]
    assert [span.name for span in spans].count("job tally") == 1
    assert (
        [span.name for span in spans].count("slice tally")
        == client.status("a").usage.slices_begun
        >= 3
    )
    assert len({span.trace_id for span in spans}) == 1


def test_a_collector_that_is_not_there_costs_no_job(
    start: Start, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job would wait for, or fail with, what only looks at it."""
    client.submit("tally", job_id="a", steps=3)
    trace_to(servers.free_ports(1)[0], monkeypatch)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_EXPORT_TIMEOUT", "1000")
    assert start("worker", "--max-slices", "1").end().code == 0
    assert client.result("a") == {"total": 3}
