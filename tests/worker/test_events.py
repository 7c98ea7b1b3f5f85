"""The events: each has the fields that it promises."""

from __future__ import annotations

import inspect
import logging
import logging.config
import os
import re
import signal
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Lease
from outlast.kernel import MachineFault
from outlast.worker.jobs.client import Client
from outlast.worker.jobs.sweep import sweep
from outlast.worker.loops.consumer import Consumer
from outlast.worker.loops.invocations import Handler
from outlast.worker.loops.preemption import Notice, stop_on_notice
from outlast.worker.notify.errors import Gone
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.slices.deadline import Deadline
from outlast.worker.slices.deliver import deliver
from outlast.worker.slices.figures import _refuse
from outlast.worker.slices.health import BrokenWorker
from outlast.worker.telemetry.events import EVENTS, SLICE_STARTED, tell
from outlast.worker.telemetry.spans import SpanHandler
from tests.cli.process import until
from tests.kernels import Counting, raising, stubborn, unprepared
from tests.records import changed
from tests.worker.floor import JOB, STEPS, Floor, failing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STANDARD = set(vars(logging.makeLogRecord({}))) | {"event", "message", "asctime"}


def _one_slice(floor: Floor) -> None:
    floor.submit()
    floor.work(seconds=4.0)


def _to_the_end(floor: Floor) -> None:
    floor.submit()
    floor.work()


def _killed(floor: Floor) -> None:
    floor.submit()
    now = floor.clock()
    lease = Lease(worker="x", token="t", claimed_at=now, expires_at=now + 5, at_risk_seconds=3.0)
    floor.change(lambda record: record.claimed(lease))
    floor.clock.sleep(60)
    floor.work()


def _given_up(floor: Floor) -> None:
    floor.submit(max_failures=1)
    floor.kernel = raising(ValueError("no"), 2)
    floor.work()


def _cancelled(floor: Floor) -> None:
    floor.submit()
    floor.watched = lambda at: floor.change(Record.cancelled) if at == 3 else None
    floor.work()


def _damaged(floor: Floor) -> None:
    floor.submit()
    floor.work(seconds=4.0)
    record = floor.record
    bad = record.checkpoints[0].model_copy(update={"digest": "0" * 32})
    floor.change(lambda r: r.model_copy(update={"checkpoints": (bad, *r.checkpoints[1:])}))
    floor.work()


def _set_back(floor: Floor) -> None:
    floor.submit(send=False)
    floor.queue.send(Message(job_id=JOB, slice=7))
    floor.work()


def _unprepared(floor: Floor) -> None:
    floor.kernel = unprepared(floor.step)
    _to_the_end(floor)


def _preparing(floor: Floor) -> None:
    floor.kernel = Counting(floor.step, prepare=lambda _: floor.busy(3))
    _to_the_end(floor)


def _busy(floor: Floor) -> None:
    floor.at(2, lambda: floor.busy(90))
    _to_the_end(floor)


def _mismeasured(floor: Floor) -> None:
    _refuse.cache_clear()
    floor.kernel = Counting(floor.step, metrics=lambda *_: {"Loss": 0.5})
    _to_the_end(floor)


def _stubborn(floor: Floor) -> None:
    floor.kernel = stubborn()
    floor.submit()
    floor.work(seconds=0.0)


def _asleep(floor: Floor) -> None:
    floor.submit(send=False)
    floor.clock.sleep(600)
    assert sweep(floor.jobs, floor.queue, after_seconds=60) == [JOB]


def _notified(floor: Floor) -> None:
    _finished(floor, lambda *_: None)


def _target_gone(floor: Floor) -> None:
    def gone(*_: object) -> None:
        raise Gone("it answered 410")

    _finished(floor, gone)


def _finished(floor: Floor, notify: Callable[..., None]) -> None:
    floor.submit()
    floor.change(lambda record: changed(record, targets=("https://host/",)).cancelled())
    deliver(replace(floor.process(), notify=notify), floor.receive())


def _unreadable(floor: Floor) -> None:
    floor.register.put("jobs/bad", b"not a record", expected=None)
    sweep(floor.jobs, floor.queue, after_seconds=60)


def _deleted(floor: Floor) -> None:
    floor.submit()
    floor.jobs.discard(JOB)
    floor.work()


def _foreign(floor: Floor) -> None:
    floor.queue.send(Message(job_id="never-was", slice=1))
    _consumer(floor).run(max_idle_seconds=0.5)


def _store_away(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    floor.submit()
    process = floor.process()
    load, left = process.jobs.load, [1]

    def failing(job_id: str, *read: Any) -> Any:
        if left.pop() if left else 0:
            raise StoreUnavailable("connection refused")
        return load(job_id, *read)

    monkeypatch.setattr(process.jobs, "load", failing)
    Consumer(process, slice_seconds=None).run(max_idle_seconds=2.0)


def _queue_away(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    def hide(*_: Any) -> None:
        raise QueueUnavailable("connection refused")

    monkeypatch.setattr(floor.queue, "hide", hide)
    floor.submit()
    floor.work()


def _store_back(floor: Floor) -> None:
    begun, left = floor.clock(), [1]

    def failing(operation: str) -> None:
        if operation == "put" and left and floor.clock() > begun + 2.0:
            raise StoreUnavailable(f"connection refused {left.pop()}")

    floor.submit()
    with floor.hooked("before", failing):
        floor.work()


def _queue_back(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    hide, left = floor.queue.hide, [1]

    def failing(*what: Any) -> None:
        if left:
            raise QueueUnavailable(f"connection refused {left.pop()}")
        hide(*what)

    monkeypatch.setattr(floor.queue, "hide", failing)
    floor.submit()
    floor.work()


def _broken(floor: Floor) -> None:
    floor.kernel = raising(MachineFault("the GPU is gone"), 0)
    floor.submit()
    with pytest.raises(BrokenWorker):
        _consumer(floor).run()


def _idle(floor: Floor) -> None:
    _consumer(floor).run(max_idle_seconds=0.5)


def _consumer(floor: Floor) -> Consumer:
    return Consumer(floor.process(), slice_seconds=None)


def _submitted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'o.db'}"
    Client(url, url).submit("nth-prime", position=1)


def _command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from outlast.worker.cli import main

    url = f"sqlite:///{tmp_path / 'o.db'}"
    monkeypatch.setenv("OUTLAST_STORE", url)
    monkeypatch.setenv("OUTLAST_QUEUE", url)
    assert main(["worker", "--max-idle-seconds", "0.01"]) == 0


def _store_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def hang(_: JobStore) -> None:
        signal.raise_signal(signal.SIGTERM)
        assert ended.wait(20.0)

    monkeypatch.setattr(os, "_exit", lambda _: ended.set())
    monkeypatch.setattr(JobStore, "reach", hang)
    monkeypatch.setenv("OUTLAST_STOP_SECONDS", "0.01")
    _command(tmp_path, monkeypatch)


def _collector_hangs() -> None:
    answer = threading.Event()
    handler = SpanHandler(Mock(shutdown=answer.wait), queue="sqs://jobs", environment={})
    handler.stop(0.01)
    answer.set()


def _on_lambda(floor: Floor, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'o.db'}"
    handler = Handler(Client(url, url), floor.process())
    body = Message(job_id=JOB).body()
    record = {"eventSource": "aws:sqs", "messageId": "m", "body": body, "receiptHandle": "r"}
    context = SimpleNamespace(aws_request_id="r", get_remaining_time_in_millis=lambda: 10_000)
    with floor.hooked("before", failing("read", ZeroDivisionError())):
        answer = handler.handle({"Records": [record]}, context)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m"}]}


def _taken_away() -> None:
    def unreachable() -> None:
        raise OSError("no route")

    def here() -> Notice:
        return Notice("stop file", "there is a file")

    with Deadline() as stop, stop_on_notice([unreachable, here], stop):
        until(lambda: stop.reason is not None)


SCENES: dict[str, Callable[..., None]] = {
    "checkpoint_quarantined": _damaged,
    "checkpoint_saved": _one_slice,
    "job_failed": _given_up,
    "job_submitted": _submitted,
    "job_succeeded": _to_the_end,
    "job_woken": _asleep,
    "kernel_failed": _given_up,
    "kernel_not_closed": _stubborn,
    "metric_refused": _mismeasured,
    "kernel_not_prepared": _unprepared,
    "kernel_preparing": _preparing,
    "lease_lost": _cancelled,
    "machine_leaves": _taken_away,
    "message_dropped": _deleted,
    "message_failed": _on_lambda,
    "message_left": _foreign,
    "notices_unknown": _taken_away,
    "notice_failed": _target_gone,
    "notice_given": _notified,
    "notice_given_up": _target_gone,
    "queue_answers": _queue_back,
    "queue_unavailable": _queue_away,
    "record_unreadable": _unreadable,
    "safe_point_overdue": _busy,
    "slice_ended": _one_slice,
    "slice_lost": _killed,
    "slice_running": _busy,
    "slice_started": _one_slice,
    "store_answers": _store_back,
    "store_unavailable": _store_away,
    "worker_fault": _broken,
    "traces_unsent": _collector_hangs,
    "worker_cut_off": _store_hangs,
    "worker_idle": _idle,
    "worker_started": _command,
    "worker_stopped": _command,
    "writes_lost": _set_back,
}


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[logging.LogRecord]:
    """All records below "outlast", from DEBUG on, whatever a command does to the handlers."""
    for name in [name for name in os.environ if name.startswith("OUTLAST_")]:
        monkeypatch.delenv(name)
    log = logging.getLogger("outlast")
    for name in ("handlers", "propagate"):
        monkeypatch.setattr(log, name, getattr(log, name))
    records: list[logging.LogRecord] = []
    monkeypatch.setattr(logging.Logger, "handle", lambda _, record: records.append(record))
    return records


def test_every_event_has_a_scene() -> None:
    """An event that nothing emits would stand in the operator's table for ever."""
    assert set(SCENES) == set(EVENTS)


@pytest.mark.parametrize("name", SCENES)
def test_an_event_is_emitted_with_its_fields(
    name: str, logged: list[logging.LogRecord], request: pytest.FixtureRequest
) -> None:
    """A dashboard or an alarm that was built on the table would stay empty."""
    scene = SCENES[name]
    fixtures = inspect.signature(scene).parameters
    log = logging.getLogger("outlast")
    before = log.level
    log.setLevel(logging.DEBUG)
    try:
        scene(**{name: request.getfixturevalue(name) for name in fixtures})
    finally:
        log.setLevel(before)
    records = [record for record in logged if getattr(record, "event", None) == name]
    assert records, [record.getMessage() for record in logged]
    for record in records:
        assert set(vars(record)) - STANDARD == set(EVENTS[name].fields)
        assert record.levelno == EVENTS[name].level
        assert not re.search(r"%\(|None", record.getMessage())


def test_the_figures_of_a_slice_are_right(floor: Floor, logged: list[logging.LogRecord]) -> None:
    """Metrics and bills made of the events would be wrong."""
    logging.getLogger("outlast").setLevel(logging.INFO)
    floor.submit()
    floor.work(seconds=6.0)
    floor.work()
    first, last = (r for r in logged if getattr(r, "event", None) == "slice_ended")
    assert (first.slice, first.outcome, first.ending) == (1, "deadline", "deadline")
    assert (last.slice, last.outcome, last.progress) == (2, "succeeded", 1.0)
    assert first.compute_seconds + last.compute_seconds == floor.record.usage.compute_seconds
    assert first.checkpoints + last.checkpoints == floor.record.usage.saves
    assert first.seconds + last.seconds == pytest.approx(STEPS * 0.5, abs=0.1)


@pytest.mark.parametrize("age", [0, 1], ids=["the newest", "the one before"])
def test_an_event_of_damage_is_exact(
    floor: Floor, logged: list[logging.LogRecord], age: int
) -> None:
    """An operator would look for work done again where an older checkpoint was damaged only."""
    floor.submit()
    floor.work(seconds=6.0)
    kept = list(floor.record.checkpoints)
    damaged, intact = kept[age], kept[1 - age]
    kept[age] = damaged.model_copy(update={"digest": "0" * 32})
    floor.change(lambda record: record.model_copy(update={"checkpoints": tuple(kept)}))
    logged.clear()
    logging.getLogger("outlast").setLevel(logging.DEBUG)
    floor.work(seconds=6.0)
    events = {getattr(record, "event", None): record for record in logged}
    assert events["checkpoint_quarantined"].getMessage() == (
        f"job {JOB}: checkpoint {damaged.sequence} is damaged and kept for inspection; the job "
        "goes on from the newest that is intact"
    )
    assert vars(events["slice_started"])["progress"] == intact.progress


def test_an_event_below_the_level_costs_no_record(logged: list[logging.LogRecord]) -> None:
    """Each slice would pay for lines that nobody reads."""
    log = logging.getLogger("outlast.test")
    log.setLevel(logging.WARNING)
    tell(log, SLICE_STARTED)  # its fields are not even looked at
    assert logged == []


def test_a_kernel_that_sets_up_logging_does_not_silence_the_worker(
    logged: list[logging.LogRecord], floor: Floor
) -> None:
    """Importing one library would end the log, and the metrics that are made from it."""

    def kernels(_: str) -> Any:
        logging.config.dictConfig({"version": 1})
        return floor.kernel

    logging.getLogger("outlast").setLevel(logging.INFO)
    floor.submit()
    floor.work(replace(floor.process(), kernels=kernels), seconds=4.0)
    assert "slice_ended" in {getattr(record, "event", None) for record in logged}
