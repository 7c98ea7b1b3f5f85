"""Metrics and traces made of the events of slices, and nothing where they are off."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from outlast.checkpoint.record import Record
from outlast.kernel.extras import how_to_install
from outlast.worker.settings import InvalidSettings, Settings
from outlast.worker.telemetry.emf import DIMENSIONS, METRICS, document_of
from outlast.worker.telemetry.events import (
    EVENTS,
    MESSAGE_LEFT,
    SLICE_STARTED,
    WORKER_IDLE,
    Event,
    tell,
)
from outlast.worker.telemetry.json_lines import JsonLines
from outlast.worker.telemetry.metrics_server import MAX_REQUESTS
from outlast.worker.telemetry.prometheus import PrometheusHandler
from outlast.worker.telemetry.spans import SpanHandler, _messaging, ids_of, make_processor
from outlast.worker.telemetry.switches import switched_on
from tests.cli.process import PATIENCE_SECONDS, until
from tests.kernels import raising
from tests.worker.emf_schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.worker.floor import Floor


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """The logger as a worker finds it: without handlers of its own, showing warnings."""
    log = logging.getLogger("outlast")
    monkeypatch.setattr(log, "handlers", [])
    before = log.level
    log.setLevel(logging.WARNING)
    yield log
    log.setLevel(before)


def emf_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the documents on standard output, each checked by Amazon's own schema."""
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for document in documents:
        jsonschema.validate(document, SCHEMA)
        for directive in document["_aws"]["CloudWatchMetrics"]:
            targets = [metric["Name"] for metric in directive["Metrics"]]
            assert all(isinstance(document[name], (int, float)) for name in targets)
            named = {name for names in directive["Dimensions"] for name in names}
            assert all(isinstance(document[name], str) for name in named)
            assert "job_id" not in named  # one metric for each job would be paid for
    return documents


def test_a_job_is_embedded_metrics(floor: Floor, capsys: pytest.CaptureFixture[str]) -> None:
    """CloudWatch would drop the lines without a word, and no alarm ring."""
    floor.submit()
    with switched_on(Settings(metrics="emf")):
        floor.work(seconds=6.0)
        floor.work()
    first, last, job = emf_lines(capsys)
    assert first["SlicesEnded"] == last["SlicesEnded"] == job["JobsSucceeded"] == 1
    assert first["ComputeSeconds"] + last["ComputeSeconds"] == floor.record.usage.compute_seconds
    assert first["Checkpoints"] + last["Checkpoints"] == floor.record.usage.saves
    assert (first["kernel"], first["platform"], first["slice"]) == ("counting", "local", 1)
    assert first["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [DIMENSIONS, []]


def test_metrics_can_be_kept_apart(floor: Floor, capsys: pytest.CaptureFixture[str]) -> None:
    """The alarms of one deployment would ring for the jobs of all others in the region."""
    floor.submit()
    with switched_on(Settings(metrics="emf:Outlast/blue")):
        floor.work()
    directives = [each for line in emf_lines(capsys) for each in line["_aws"]["CloudWatchMetrics"]]
    assert {directive["Namespace"] for directive in directives} == {"Outlast/blue"}


@pytest.mark.parametrize("name", METRICS)
def test_each_event_with_metrics_is_a_valid_document(name: str) -> None:
    """A metric would refer to a field that its event does not have."""
    values = {"kernel": "k", "platform": "p", "metrics": {"loss": 0.5}}
    fields = dict.fromkeys(EVENTS[name].fields, 1) | values
    known = {field: value for field, value in fields.items() if field in EVENTS[name].fields}
    document = document_of(logging.makeLogRecord({"event": name, **known}))
    jsonschema.validate(document, SCHEMA)


def test_metrics_do_not_make_the_log_longer(
    floor: Floor, log: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever turned the log down would get it back with the metrics, and pay for it."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    log.addHandler(handler)
    floor.submit()
    with switched_on(Settings(metrics="emf"), metrics_port=0):
        floor.work()
        logging.getLogger("outlast.jobs").debug("no event")
    assert emf_lines(capsys)
    assert lines == []
    assert log.level == logging.WARNING


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (MESSAGE_LEFT, {"error": "no such kernel", "error_type": "UnknownKernel"}),
        (WORKER_IDLE, {"worker": "w"}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_slice_without_an_event_of_its_end_does_not_seem_to_run(
    log: logging.Logger, event: Event, fields: dict[str, str]
) -> None:
    """The alarm for a kernel that hangs would ring for a worker that waits for messages."""
    started = {"job_id": "a", "part": None, "kernel": "k", "slice": 1, "worker": "w"}
    handler = PrometheusHandler("127.0.0.1", 0)
    log.addHandler(handler)
    log.setLevel(handler.level)
    try:
        tell(log, SLICE_STARTED, **started, platform="local", progress=0.5)
        assert "outlast_slices_running 1.0" in metrics_of(handler)
        tell(log, event, **fields)
        assert "outlast_slices_running 0.0" in metrics_of(handler)
    finally:
        handler.stop(30.0)


def test_a_kernel_that_sets_up_logging_does_not_end_the_metrics(log: logging.Logger) -> None:
    """Importing one library would close the port, and the alarms of a fleet would go blind."""
    with switched_on(Settings(), metrics_port=0):
        (handler,) = log.handlers
        assert isinstance(handler, PrometheusHandler)
        logging.config.dictConfig({"version": 1})
        tell(log, MESSAGE_LEFT, error="", error_type="UnknownJob")
        assert 'outlast_messages_left_total{error_type="UnknownJob"} 1.0' in metrics_of(handler)


@pytest.mark.parametrize("again", [b"", b"a"], ids=["silent", "slow"])
def test_a_scraper_that_dawdles_takes_no_thread_of_a_worker_for_long(
    monkeypatch: pytest.MonkeyPatch, again: bytes
) -> None:
    """Anyone who can reach the port could use up the files of a worker, and so end its job."""
    monkeypatch.setattr("outlast.worker.telemetry.metrics_server.REQUEST_SECONDS", 0.3)
    handler = PrometheusHandler("127.0.0.1", 0)
    before = threading.active_count()
    try:
        with ExitStack() as sockets:
            address = ("127.0.0.1", handler.port)
            first, *_ = [
                sockets.enter_context(socket.create_connection(address, PATIENCE_SECONDS))
                for _ in range(3 * MAX_REQUESTS)
            ]
            first.settimeout(0.01)

            def is_over() -> bool:
                # A thread and its timer for each.
                assert threading.active_count() - before <= 2 * MAX_REQUESTS
                return is_closed(first, again)

            until(is_over)
            until(lambda: threading.active_count() == before)
        assert "outlast_jobs_woken_total" in metrics_of(handler)
    finally:
        handler.stop(30.0)


def is_closed(connection: socket.socket, again: bytes) -> bool:
    """Send some more; return whether the other side has closed the connection."""
    try:
        connection.sendall(again)
        return not connection.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def metrics_of(handler: PrometheusHandler) -> str:
    """Return what Prometheus would fetch."""
    with urllib.request.urlopen(f"http://127.0.0.1:{handler.port}/metrics", timeout=10) as answer:
        return answer.read().decode()


def test_a_line_is_one_json_object(floor: Floor, log: logging.Logger) -> None:
    """A log collector would take a line apart that has a break inside, or lack its fields."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.setFormatter(JsonLines())
    handler.emit = lambda record: lines.append(handler.format(record))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    floor.kernel = raising(ValueError("one\ntwo"), 3)
    floor.submit(max_failures=1)
    floor.work()
    assert not any("\n" in line for line in lines)
    error, ended, failed = map(json.loads, lines)
    assert (error["event"], error["level"], error["kernel"]) == (
        "kernel_failed",
        "ERROR",
        "counting",
    )
    assert "raise error" in error["traceback"]
    assert (ended["event"], ended["slice"], ended["outcome"]) == ("slice_ended", 1, "failed")
    assert ended["message"].startswith("job job-1 slice 1 ended at ")
    assert (failed["event"], failed["job_id"]) == ("job_failed", "job-1")
    assert failed["timestamp"].endswith("Z")


@pytest.fixture
def exporters() -> list[InMemorySpanExporter]:
    """The exporters of the workers of a test."""
    return []


@pytest.fixture
def trace(
    log: logging.Logger, exporters: list[InMemorySpanExporter]
) -> Iterator[Callable[[], None]]:
    """A function after whose call slices are traced as by a new worker, with nothing in common."""

    def new_worker(queue: str = "sqs://jobs", **environment: str) -> None:
        for handler in log.handlers:
            handler.stop(30.0)
        exporters.append(InMemorySpanExporter())
        processor = SimpleSpanProcessor(exporters[-1])
        log.handlers = [SpanHandler(processor, queue=queue, environment=environment)]
        log.setLevel(logging.INFO)

    yield new_worker
    for handler in log.handlers:
        handler.stop(30.0)


def spans_of(exporters: list[InMemorySpanExporter]) -> list[ReadableSpan]:
    """Return all spans in the order of their ends."""
    return [span for exporter in exporters for span in exporter.get_finished_spans()]


def test_the_slices_of_a_job_are_one_trace(
    floor: Floor, trace: Callable[..., None], exporters: list[InMemorySpanExporter]
) -> None:
    """A person would have to look for the slices of a job one by one, on each worker."""
    floor.submit()
    for _ in range(3):
        trace()
        floor.work(seconds=4.0)
    trace()
    floor.work()
    *slices, job = spans_of(exporters)
    ids = ids_of("job-1", floor.record.created_at)
    assert [span.attributes["outlast.slice"] for span in slices] == [1, 2, 3, 4]
    assert {span.context.trace_id for span in (*slices, job)} == {ids.trace_id}
    assert len({span.context.span_id for span in (*slices, job)}) == 5
    assert {span.parent.span_id for span in slices} == {job.context.span_id} == {ids.root_id}
    assert job.parent is None
    assert (job.name, slices[0].name) == ("job counting", "slice counting")
    assert slices[0].attributes["messaging.system"] == "aws_sqs"
    assert slices[0].attributes["messaging.destination.name"] == "jobs"
    assert slices[0].end_time - slices[0].start_time == pytest.approx(4e9, abs=1e9)


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ("sqlite:///a.db", (None, None)),
        ("redis://me:s3cret@h", ("redis", "jobs")),
        ("rediss://h/0/nightly?db=1", ("redis", "nightly")),
        ("redis+cluster://me:s3cret@h:1,h:2/0/nightly", ("redis", "nightly")),
        ("rediss+sentinel://h/master", ("redis", "jobs")),
        ("sqs://jobs.fifo", ("aws_sqs", "jobs.fifo")),
        ("https://sqs.eu-west-1.amazonaws.com/1/jobs", ("aws_sqs", "jobs")),
    ],
)
def test_a_span_names_its_queue(queue: str, expected: tuple[str | None, str | None]) -> None:
    """A person could not tell two fleets apart, or would read a password."""
    found = _messaging(queue)
    assert (found.get("messaging.system"), found.get("messaging.destination.name")) == expected
    assert "s3cret" not in str(found)


def test_another_job_of_the_same_name_is_another_trace(floor: Floor) -> None:
    """A job that was deleted and submitted again would be mixed up with the one before."""
    assert ids_of("a", 1.0) != ids_of("a", 2.0) != ids_of("b", 2.0)
    assert ids_of("a", floor.clock()) == ids_of("a", json.loads(json.dumps(floor.clock())))


def test_failures_are_seen_in_the_trace(
    floor: Floor, trace: Callable[..., None], exporters: list[InMemorySpanExporter]
) -> None:
    """Nobody would find the slice at fault among hundreds."""
    trace()
    floor.kernel = raising(ValueError("no"), 2)
    floor.submit(max_failures=1)
    floor.work()
    slice_, job = spans_of(exporters)
    assert slice_.status.status_code is job.status.status_code is StatusCode.ERROR
    assert "ValueError: no" in job.status.description


def test_a_slice_that_lost_its_job_is_a_span(
    floor: Floor, trace: Callable[..., None], exporters: list[InMemorySpanExporter]
) -> None:
    """The time that a worker spent on it would be missing."""
    trace()
    floor.submit()
    floor.watched = lambda at: floor.change(Record.cancelled) if at == 3 else None
    floor.work()
    (span,) = spans_of(exporters)
    assert span.attributes["outlast.outcome"] == "lease_lost"
    assert span.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("ratio", [0, 1])
def test_a_job_is_sampled_whole_or_not_at_all(
    floor: Floor,
    trace: Callable[..., None],
    exporters: list[InMemorySpanExporter],
    monkeypatch: pytest.MonkeyPatch,
    ratio: int,
) -> None:
    """A trace would have holes, or a person who asked for fewer spans get, and pay for, all."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", str(ratio))
    floor.submit()
    trace()
    floor.work(seconds=4.0)
    trace()
    floor.work()
    assert len(spans_of(exporters)) == 3 * ratio


def test_a_span_says_which_function_it_is_of(
    floor: Floor, trace: Callable[..., None], exporters: list[InMemorySpanExporter]
) -> None:
    """Spans of several stacks could not be told apart."""
    trace(AWS_LAMBDA_FUNCTION_NAME="f", AWS_REGION="eu-west-1")
    floor.submit()
    floor.work()
    attributes = spans_of(exporters)[0].resource.attributes
    assert (attributes["service.name"], attributes["faas.name"]) == ("outlast", "f")
    assert (attributes["cloud.region"], attributes["cloud.platform"]) == ("eu-west-1", "aws_lambda")


def test_an_exporter_that_is_not_there_is_named() -> None:
    """Spans would go nowhere, without a word."""
    with pytest.raises(InvalidSettings, match="no exporter 'jaeger'"):
        make_processor({"OTEL_TRACES_EXPORTER": "jaeger"})


SINKS = ("emf", "json_lines", "prometheus", "spans")
OFF = ("prometheus_client", "opentelemetry", *(f"outlast.worker.telemetry.{n}" for n in SINKS))


def test_what_is_off_is_not_imported(tmp_path: Path) -> None:
    """Every cold start would be longer, for nothing."""
    program = (
        "import sys; from outlast.worker.cli import main; url = sys.argv[1]; "
        "import os; os.environ |= {'OUTLAST_STORE': url, 'OUTLAST_QUEUE': url}; "
        "main(['submit', 'nth-prime', 'position=10', '--job-id', 'a']); "
        "main(['worker', '--max-slices', '1']); main(['result', 'a']); "
        "import outlast.worker.lambda_handler, outlast.worker.runpod_handler; print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{tmp_path / 'o.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *_, result, modules = done.stdout.splitlines()
    assert result == "position=10 prime=29"
    assert [name for name in modules.split() if name.startswith(OFF)] == []


@pytest.mark.parametrize(
    ("package", "settings", "extra"),
    [("prometheus_client", {}, "metrics"), ("opentelemetry", {"traces": "otel"}, "otel")],
)
def test_a_missing_extra_comes_with_the_command(
    monkeypatch: pytest.MonkeyPatch, package: str, settings: dict[str, Any], extra: str
) -> None:
    """A person would get a traceback, or no metrics and no word."""
    for name in [n for n in sys.modules if n.startswith((package, *OFF))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    port = 0 if extra == "metrics" else None
    with (
        pytest.raises(InvalidSettings, match=re.escape(how_to_install(extra)) + "$"),
        switched_on(Settings(**settings), metrics_port=port),
    ):
        pass
