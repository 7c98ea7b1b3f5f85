"""The Python client: what it accepts, what it refuses, and how it waits."""

from __future__ import annotations

import logging
import math
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from outlast import Client, JobFailed, JobNotFinished
from outlast.checkpoint.errors import InvalidJobId, JobExists, StoreUnavailable, UnknownJob
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Limits
from outlast.checkpoint.status import Status
from outlast.kernel import InvalidParams, UnknownKernel
from outlast.kernel.contract import Model
from outlast.worker.jobs.new_job import new_job
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from outlast.worker.settings import Settings
from tests import kernels
from tests.kernels import Counting
from tests.records import changed

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.worker.slices.worker_process import AnyKernel


class Odd(Model):
    """Parameters that JSON has no word for, or not for all of their values."""

    day: date = date(2030, 1, 2)
    pair: tuple[int, ...] = (1, 2)
    share: float = 0.5
    tree: Any = None


class OddKernel(Counting):
    """A kernel with such parameters."""

    name = "odd"
    Params = Odd  # type: ignore[assignment]


INSTALLED: dict[str, AnyKernel] = {"counting": Counting(), "odd": OddKernel()}


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> AnyKernel:
        try:
            return INSTALLED[name]
        except KeyError:
            raise UnknownKernel(name) from None

    monkeypatch.setattr("outlast.worker.jobs.new_job.load", load)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """A client of a new SQLite file."""
    url = f"sqlite:///{tmp_path}/outlast.db"
    return Client(url, url, settings=Settings(max_stalls=7))


def sent(client: Client) -> list[str]:
    """The messages on the queue; they are taken out."""
    bodies = []
    while delivery := client.queue.receive(visibility_seconds=60, wait_seconds=0):
        bodies.append(delivery.body)
        client.queue.ack(delivery)
    return bodies


def test_a_submitted_job_is_stored_and_woken(client: Client) -> None:
    """The job would never run, or run with other limits than the settings'."""
    job_id = client.submit("counting", steps=3)
    record = client.status(job_id)
    assert (record.kernel, record.params, record.status) == (
        "counting",
        {"steps": 3},
        Status.QUEUED,
    )
    assert record.limits == Limits(max_stalls=7)
    assert sent(client) == [Message(job_id=job_id, slice=1).body()]


def test_an_id_of_its_own_is_made_up(client: Client) -> None:
    """Two submissions without an id would be one job."""
    assert client.submit("counting", steps=3) != client.submit("counting", steps=3)


def test_the_same_id_is_the_same_job_and_is_woken_until_its_message_was_sent(
    client: Client,
) -> None:
    """A submission that died between store and queue could not be repeated."""
    for _ in range(2):
        assert client.submit("counting", job_id="mine", steps=3) == "mine"
    assert len(sent(client)) == 2
    client.jobs.change("mine", lambda r: changed(r, slices_begun=1))  # by a direct call
    client.submit("counting", job_id="mine", steps=3)
    assert len(sent(client)) == 1
    client.jobs.change("mine", Record.marked_announced)
    client.submit("counting", job_id="mine", steps=3)
    assert sent(client) == []


def test_a_queue_that_is_away_leaves_a_stored_job_that_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A made-up id would be unknown to the person, and the job could not be woken."""

    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("away")

    monkeypatch.setattr(client.queue, "send", away)
    with pytest.raises(QueueUnavailable, match=r"job counting-[0-9a-f]+ is stored"):
        client.submit("counting", steps=3)
    assert len(list(client.records())) == 1


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({}, "counting: parameter 'steps' is missing; its parameters: steps"),
        ({"steps": 1, "stops": 2}, "counting: there is no parameter 'stops'"),
        ({"steps": "three"}, "counting: steps='three': Input should be a valid integer"),
        ({"steps": 1.5}, "steps='1.5'"),
        ({"steps": True}, "steps='True'"),
    ],
)
def test_bad_parameters_are_named_and_nothing_is_stored(
    client: Client, params: dict[str, Any], complaint: str
) -> None:
    """The slip would show on a worker, hours later, or never."""
    with pytest.raises(InvalidParams) as caught:
        client.submit("counting", **params)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(client.records()) == []


@pytest.mark.parametrize("share", [math.nan, math.inf])
def test_parameters_that_cannot_be_stored_are_refused(client: Client, share: float) -> None:
    """They would reach the kernel as something else."""
    with pytest.raises(InvalidParams, match="do not survive being stored"):
        client.submit("odd", share=share)
    assert list(client.records()) == []


@pytest.mark.parametrize("depth", range(190, 205))
def test_a_job_that_was_accepted_can_be_read(client: Client, depth: int) -> None:
    """A job would be accepted, and its record unreadable for ever."""
    tree: list[Any] = []
    for _ in range(depth):
        tree = [tree]
    try:
        job_id = client.submit("odd", tree=tree)
    except InvalidParams:
        assert list(client.records()) == []
    else:
        assert client.status(job_id).params["tree"] == tree


def test_parameters_are_stored_as_json(client: Client) -> None:
    """A kernel could not have a date among its parameters."""
    job_id = client.submit("odd", pair=(3, 4))
    record = client.status(job_id)
    assert record.params == {"day": "2030-01-02", "pair": [3, 4], "share": 0.5, "tree": None}
    assert Odd.model_validate_json(record.params_json) == Odd(pair=(3, 4))
    assert client.submit("odd", job_id=job_id, pair=(3, 4)) == job_id


def test_an_unknown_kernel_and_a_bad_id_store_nothing(client: Client) -> None:
    """A job that no worker can run, or nobody can name, would lie there for ever."""
    with pytest.raises(UnknownKernel):
        client.submit("nope")
    with pytest.raises(InvalidJobId):
        client.submit("counting", job_id="../x", steps=1)
    assert list(client.records()) == []


def test_an_id_of_another_job_is_refused(client: Client) -> None:
    """A person would get the result of another question."""
    client.submit("counting", job_id="mine", steps=3)
    with pytest.raises(JobExists):
        client.submit("counting", job_id="mine", steps=4)


def test_a_result_is_given_once_it_is_there(client: Client) -> None:
    """Nothing would be taken for a result, or a failure for a wait."""
    job_id = client.submit("counting", steps=3)
    with pytest.raises(JobNotFinished, match=r"is queued, 0\.0% done"):
        client.result(job_id)
    client.jobs.change(job_id, lambda r: r.succeeded({"total": 1}))
    assert client.result(job_id) == {"total": 1}
    assert client.wait(job_id) == {"total": 1}


@pytest.mark.parametrize(
    ("move", "why"),
    [
        (Record.cancelled, "cancelled: by request$"),
        (lambda r: r.failed("E: x"), "failed: E: x; outlast retry a lets it go on$"),
        (
            lambda r: r.retried(max_compute_seconds=1).spent(steps=1, seconds=2).failed("C"),
            "failed: C$",
        ),
    ],
)
def test_a_job_without_a_result_says_why(client: Client, move: Any, why: str) -> None:
    """A program would wait for ever, or a person not know how to go on once they mended it."""
    job_id = client.submit("counting", job_id="a", steps=3)
    client.jobs.change(job_id, move)
    with pytest.raises(JobFailed, match=why):
        client.result(job_id)
    with pytest.raises(JobFailed, match=why):
        client.wait(job_id)


def test_a_wait_ends_at_its_time_or_with_the_job(client: Client) -> None:
    """A program would hang, or miss the end of its job."""
    job_id = client.submit("counting", steps=3)
    with pytest.raises(JobNotFinished):
        client.wait(job_id, timeout_seconds=0.0)
    seen: list[Status] = []

    def watch(record: Record) -> None:
        seen.append(record.status)
        if len(seen) == 2:
            client.jobs.change(job_id, lambda r: r.succeeded({"total": 1}))

    assert client.wait(job_id, watch=watch) == {"total": 1}
    assert seen == [Status.QUEUED, Status.QUEUED, Status.SUCCEEDED]


def test_a_wait_outlives_an_outage_but_not_its_time(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A program that waited for hours would die with one restart of the store."""
    job_id = client.submit("counting", steps=3)
    done = client.jobs.change(job_id, lambda r: r.succeeded({"total": 1})).record
    answers = iter([client.status(job_id).model_copy(update={"status": Status.QUEUED}), None, None])

    def heads_of(*_: object, **__: object) -> list[Record]:
        answer = next(answers, done)
        if answer is None:
            raise StoreUnavailable("away")
        return [answer]

    monkeypatch.setattr(client.jobs, "heads_of", heads_of)
    assert client.wait(job_id) == {"total": 1}
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert warnings == ["away; trying again until it answers"]
    answers = iter([done.model_copy(update={"status": Status.QUEUED}), *[None] * 1000])
    with pytest.raises(StoreUnavailable):
        client.wait(job_id, timeout_seconds=0.05)
    answers = iter([None])
    with pytest.raises(StoreUnavailable):  # An address that never worked is a mistake.
        client.wait(job_id)


def test_damage_does_not_hide_the_other_jobs(client: Client) -> None:
    """A program that goes through all jobs would end at the first bad one."""
    for job_id in "abc":
        client.submit("counting", job_id=job_id, steps=3)
    stored = client.jobs.load("b")
    client.jobs._register.put("jobs/b", b"theirs", expected=stored.version)
    errors: list[Exception] = []
    assert [r.job_id for r in client.records(on_corrupt=errors.append)] == ["a", "c"]
    assert [str(error).partition(":")[0] for error in errors] == ["job b"]


def test_a_cancelled_job_is_cancelled_and_an_unknown_one_named(client: Client) -> None:
    """A person could not stop what costs money."""
    job_id = client.submit("counting", steps=3)
    assert client.cancel(job_id).status is Status.CANCELLED
    assert client.cancel(job_id).status is Status.CANCELLED
    with pytest.raises(UnknownJob, match="'nope'"):
        client.cancel("nope")


def test_a_cancel_that_woke_nobody_can_be_made_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way out that the error names would be none: its targets would hear by a sweep only."""

    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("away")

    client.create("counting", {"steps": 3}, job_id="mine", notify=["sqs://done"])
    with monkeypatch.context() as patch:
        patch.setattr(client.queue, "send", away)
        with pytest.raises(QueueUnavailable, match="cancel it again"):
            client.cancel("mine")
    client.cancel("mine")
    assert sent(client) == [Message(job_id="mine", slice=1).body()]


def test_jobs_are_listed_in_order_and_from_a_place(client: Client) -> None:
    """A long list could not be read page by page."""
    for job_id in ("c", "a", "b"):
        client.submit("counting", job_id=job_id, steps=3)
    assert [r.job_id for r in client.records()] == ["a", "b", "c"]
    assert [r.job_id for r in client.records(after="a")] == ["b", "c"]


def test_a_sweep_wakes_by_the_settings_or_by_its_argument(client: Client) -> None:
    """A person could not wake a job whose message was lost."""
    client.create("counting", {"steps": 3}, job_id="mine")
    assert client.sweep() == []
    assert client.sweep(after_seconds=0.0) == ["mine"]
    assert sent(client) == [Message(job_id="mine", slice=1).body()]


def test_new_records_need_no_store() -> None:
    """A process that checks a request first would have to open a store for it."""
    record = new_job("counting", {"steps": 3}, job_id="a", limits=Limits(), now=5.0).record
    assert (record.created_at, record.status) == (5.0, Status.QUEUED)
    assert isinstance(kernels.Counting().Params.model_validate(record.params), Model)
