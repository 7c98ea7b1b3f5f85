"""Many parameters, one call: in order, as they end, again, and with what goes wrong."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from outlast import AsyncClient, Client, JobFailed, JobNotFinished
from outlast.checkpoint.errors import UnknownJob
from outlast.checkpoint.job_heads import HEADS_AT_ONCE
from outlast.kernel import InvalidParams
from outlast.worker.jobs.waiting import LOOKS_A_SECOND, looks
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from tests.cli.process import until
from tests.kernels import Counting

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.checkpoint.record import Record


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.worker.jobs.new_job.load", lambda _: Counting())


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where all is kept."""
    return f"sqlite:///{tmp_path}/outlast.db"


@pytest.fixture
def client(url: str) -> Client:
    """A client of a new SQLite file."""
    return Client(url, url)


@pytest.fixture
def napped(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it was slept."""
    slept: list[float] = []
    monkeypatch.setattr("outlast.worker.jobs.waiting.time.sleep", slept.append)
    return slept


def steps(*numbers: int) -> list[dict[str, int]]:
    """Parameters."""
    return [{"steps": number} for number in numbers]


def finish(client: Client, *numbers: int) -> None:
    """Let the jobs of so many steps succeed, as workers would."""
    for head in list(client.records()):
        if head.params["steps"] in numbers and not head.status.is_final:
            total = {"total": head.params["steps"]}
            client.jobs.change(head.job_id, lambda record, t=total: record.succeeded(t))


def test_results_come_in_the_order_of_the_parameters(client: Client) -> None:
    """A plot would show each value at another's place."""
    asked = steps(3, 1, 2, 1)
    results = client.map("counting", asked)
    finish(client, 1, 2, 3)
    assert list(results) == [(params, {"total": params["steps"]}) for params in asked]


def test_each_is_had_as_soon_as_all_before_it_are_over(client: Client, napped: list[float]) -> None:
    """A person would see nothing before the last of a thousand jobs has ended."""
    results = client.map("counting", steps(1, 2, 3))
    finish(client, 1, 3)
    assert next(results)[1] == {"total": 1}
    assert napped == []
    finish(client, 2)
    assert [result["total"] for _, result in results] == [2, 3]


def test_results_come_as_they_are_there(client: Client) -> None:
    """One slow job would keep all the others' results from a person."""
    results = client.map("counting", steps(1, 2, 3, 3), as_completed=True)
    finish(client, 3)
    assert [next(results)[1]["total"] for _ in range(2)] == [3, 3]
    finish(client, 1)
    assert next(results) == ({"steps": 1}, {"total": 1})


def test_a_cell_that_is_run_again_pays_for_nothing_twice(client: Client) -> None:
    """Each run of a notebook would buy all results anew."""
    finish_at = client.map("counting", steps(1, 2), name="sweep")
    finish(client, 1, 2)
    first = list(finish_at)
    before = {record.job_id: record.revision.writes for record in client.records()}
    again = client.map("counting", [{"steps": 2}, {"steps": 3}, {"steps": 1}], name="sweep")
    finish(client, 3)
    assert {params["steps"]: result["total"] for params, result in again} == {2: 2, 3: 3, 1: 1}
    after = {record.job_id: record.revision.writes for record in client.records()}
    assert len(after) == 3
    assert all(after[job_id] == writes for job_id, writes in before.items())
    assert len(first) == 2


def test_a_call_that_the_queue_cut_off_wakes_every_job_when_it_is_made_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored and not sent would sleep until a sweep, and the caller wait for it."""

    def away(*_: object, **__: object) -> None:
        raise QueueUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(client.queue, "send", away)
        with pytest.raises(QueueUnavailable):
            client.map("counting", steps(1, 2, 3), name="sweep")
    client.map("counting", steps(1, 2, 3), name="sweep")
    woken = set()
    while delivery := client.queue.receive(visibility_seconds=60, wait_seconds=0):
        woken.add(Message.parse(delivery.body).job_id)
    assert woken == set(client.jobs.ids())
    assert len(woken) == 3


def test_the_same_parameters_under_one_name_are_one_job(client: Client) -> None:
    """A value that stands twice in a list would be computed twice."""
    results = client.map("counting", steps(5, 6, 5), name="sweep")
    finish(client, 5, 6)
    assert [result["total"] for _, result in results] == [5, 6, 5]
    assert len(list(client.records())) == 2
    ids = [job_id for _, job_id in client.submit_all("counting", steps(5, 6, 5), name="sweep")]
    assert ids[0] == ids[2] != ids[1]


def test_without_a_name_all_jobs_are_new(client: Client) -> None:
    """A measurement that is to be made ten times would be made once."""
    client.map("counting", steps(5, 5))
    assert len(list(client.records())) == 2


def test_a_failed_job_raises_in_its_turn_or_is_given(client: Client) -> None:
    """A failure would be taken for a result, or hide those that are there."""
    results = client.map("counting", steps(1, 2, 3), name="sweep")
    finish(client, 1, 3)
    (bad,) = [record.job_id for record in client.records() if record.params["steps"] == 2]
    client.jobs.change(bad, lambda record: record.failed("no"))
    assert next(results)[1] == {"total": 1}
    with pytest.raises(JobFailed, match=f"{bad} failed: no"):
        next(results)
    outcomes = list(client.map("counting", steps(1, 2, 3), name="sweep", return_exceptions=True))
    assert [type(result) for _, result in outcomes] == [dict, JobFailed, dict]


def test_one_bad_parameter_stores_nothing(client: Client) -> None:
    """Half of the jobs would be paid for before the slip is found."""
    with pytest.raises(InvalidParams):
        client.map("counting", [*steps(1, 2), {"stops": 3}])
    assert list(client.records()) == []
    assert list(client.map("counting", [])) == []


def test_the_time_is_kept_and_a_deleted_job_is_told(client: Client) -> None:
    """A program would hang for ever."""
    results = client.map("counting", steps(1, 2), timeout_seconds=0.0)
    with pytest.raises(JobNotFinished, match="gave up after 0 s: 2 jobs go on"):
        next(results)
    results = client.map("counting", steps(1), name="gone")
    (job_id,) = [record.job_id for record in client.records() if "gone" in record.job_id]
    client.delete(job_id, force=True)
    with pytest.raises(UnknownJob):
        next(results)


def test_a_thousand_jobs_are_looked_at_a_page_at_a_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that bills each request would cost more than the work."""
    jobs = client.jobs
    for number in range(300):
        client.create("counting", {"steps": 1}, job_id=f"j{number:03}")
    counts: Counter[str] = Counter()
    peek = jobs._register.peek

    def counted(keys: Any, size: int) -> Any:
        counts["requests"] += 1
        counts["heads"] += len(keys)
        return peek(keys, size)

    monkeypatch.setattr(jobs._register, "peek", counted)
    pairs = [({}, f"j{number:03}") for number in range(300)]
    assert next(looks(jobs, pairs)) == ([], pytest.approx(HEADS_AT_ONCE / LOOKS_A_SECOND))
    assert counts == {"requests": 1, "heads": HEADS_AT_ONCE}
    assert next(looks(jobs, pairs, in_order=False)) == ([], pytest.approx(300 / LOOKS_A_SECOND))
    assert counts == {"requests": 4, "heads": HEADS_AT_ONCE + 300}


def test_an_event_loop_is_not_held_up_and_no_thread_waits(url: str) -> None:
    """A server that waits for jobs would answer nobody else, or run out of threads."""

    async def main() -> None:
        client = AsyncClient(url, url)
        job_ids = [await client.submit("counting", steps=n) for n in range(1, 40)]
        looked = {job_id: asyncio.Event() for job_id in job_ids}
        loop = asyncio.get_running_loop()

        def watch(record: Record) -> None:
            loop.call_soon_threadsafe(looked[record.job_id].set)

        waits = [asyncio.create_task(client.wait(job_id, watch=watch)) for job_id in job_ids]
        await asyncio.gather(*(event.wait() for event in looked.values()))
        assert not any(wait.done() for wait in waits)
        assert threading.active_count() < 40
        await asyncio.to_thread(finish, client.client, *range(1, 40))
        assert [r["total"] for r in await asyncio.gather(*waits)] == list(range(1, 40))

    asyncio.run(main())


def test_a_wait_that_is_cancelled_leaves_no_thread(url: str) -> None:
    """A server that gives up a request could not end before the job does."""

    async def main() -> None:
        client, looked = AsyncClient(url, url), asyncio.Event()
        loop = asyncio.get_running_loop()
        job_id = await client.submit("counting", steps=1)
        wait = asyncio.create_task(
            client.wait(job_id, watch=lambda _: loop.call_soon_threadsafe(looked.set))
        )
        await looked.wait()
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait

    asyncio.run(main())  # It joins the threads of its executor.


def test_the_asynchronous_client_does_what_the_other_does(url: str) -> None:
    """A program that awaits would need code of its own for what `Client` can do."""

    async def main() -> None:
        client = AsyncClient(url, url)
        work = client.client
        results = client.map("counting", steps(2, 1), name="sweep", as_completed=False)
        first = asyncio.ensure_future(anext(results))
        await asyncio.to_thread(until, lambda: len(list(work.jobs.ids())) == 2)
        finish(work, 1, 2)
        assert (await first)[1] == {"total": 2}
        assert [params async for params, _ in results] == steps(1)
        job_id = await client.submit("counting", steps=7, job_id="mine")
        assert (await client.status(job_id)).params == {"steps": 7}
        with pytest.raises(JobNotFinished):
            await client.result(job_id)
        with pytest.raises(JobNotFinished):
            await client.wait(job_id, timeout_seconds=0)
        assert (await client.pause(job_id)).status == "paused"
        assert (await client.resume(job_id)).status == "queued"
        assert await client.fork(job_id, new_id="other") == "other"
        assert (await client.cancel("other")).status == "cancelled"
        await client.delete("other")
        work.jobs.change(job_id, lambda record: record.failed("no"))
        with pytest.raises(JobFailed):
            await client.wait(job_id)
        assert (await client.retry(job_id)).status == "queued"
        assert await client.sweep(after_seconds=1e6) == []
        assert len([record async for record in client.records()]) == 3
        finish(work, 7)
        assert await client.result(job_id) == {"total": 7}

    asyncio.run(main())


def test_both_clients_have_the_same_methods() -> None:
    """A method that is new in one would be missing in the other."""
    inner = {"blobs", "create", "queue"}

    def methods(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")} - inner

    assert methods(AsyncClient) == methods(Client)
