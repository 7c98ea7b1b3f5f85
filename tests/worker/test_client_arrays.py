"""Arrays in parameters and results: sent by a client, copied, given back, gone with their job."""

from __future__ import annotations

import asyncio
import logging
import urllib.request
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from outlast import AsyncClient, Client, InvalidParams, JobExists, StoreUnavailable
from outlast.checkpoint.blobs import open_blobs
from outlast.checkpoint.blobs.contract import DamagedChunk
from outlast.checkpoint.blobs.orphans import orphans, orphans_of
from outlast.checkpoint.errors import NoBlobStore, UnknownJob
from outlast.checkpoint.packed import Packed
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Dropped
from outlast.checkpoint.status import Status
from outlast.worker.jobs.prune import prune
from outlast.worker.jobs.selection import Selection
from outlast.worker.loops.direct_calls import Kick, Submit, advance, answer
from outlast.worker.loops.one_job import run_to_end
from outlast.worker.queues.memory import MemoryQueue
from outlast.worker.settings import Settings
from outlast.worker.slices.timing import Timing
from outlast.worker.slices.worker_process import make_process
from tests.blobs import MemoryBlobs, settle
from tests.checkpoint.blobs.conftest import put
from tests.checkpoint.conftest import BUCKET, create_bucket
from tests.field import Field, expected
from tests.records import checkpoint, job, lease

if TYPE_CHECKING:
    from pathlib import Path

    from outlast.worker.slices.worker_process import WorkerProcess

WAIT = 30.0
SEED = np.linspace(0, 1, 200_000, dtype="f4")  # of a chunk of its own


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.worker.jobs.new_job.load", lambda _: Field())
    monkeypatch.setattr("outlast.worker.loops.direct_calls.load", lambda _: Field())


@pytest.fixture
def file(tmp_path: Path) -> Client:
    """A client of a new SQLite file, with a folder beside it."""
    url = f"sqlite:///{tmp_path}/outlast.db"
    return Client(url, url)


@pytest.fixture(params=["file", "bucket"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client of each pair of a store and a place of arrays that is there by default."""
    file: Client = request.getfixturevalue("file")
    if request.param == "file":
        return file
    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("seaweedfs").url)
    create_bucket(BUCKET)
    return Client(f"s3://{BUCKET}/{uuid.uuid4()}", file.settings.queue)


def process_of(client: Client, **changes: Any) -> WorkerProcess:
    """Return a worker for the client's jobs, without their queue."""
    process = make_process(client.settings, client.jobs, MemoryQueue(max_receives=None))
    return replace(process, **{"kernels": lambda _: Field(), "notify": lambda *_: None} | changes)


def work(client: Client, job_id: str, **changes: Any) -> Record:
    """Run a job to its end, or until it fails; return it."""
    return run_to_end(process_of(client, **changes), job_id, slice_seconds=None)


def failed(client: Client, **params: Any) -> Record:
    """Return a job that has failed in its fifth step, with two checkpoints."""

    def step(number: int) -> None:
        settle()
        if number == 4:
            raise RuntimeError("told to")

    limited = Client(settings=client.settings.model_copy(update={"max_failures": 1}))
    job_id = limited.submit("field", job_id="failed", steps=8, seed=SEED, **params)
    kernel = Field(step)
    timing = Timing(checkpoint_seconds=1e-9)
    record = work(limited, job_id, kernels=lambda _: kernel, timing=timing)
    assert (record.status, len(record.checkpoints)) == (Status.FAILED, 2)
    assert all(kept.chunks for kept in record.checkpoints)
    return record


def names(client: Client) -> set[str]:
    """The names of all chunks that are there."""
    assert client.blobs is not None
    return {found.name for found in client.blobs.names()}


def assert_is_expected(result: Any, **params: Any) -> None:
    """Assert that a result has the very bytes of an uncut run."""
    right = expected(**params)
    assert result["digest"] == right.digest
    assert result["trail"] == right.trail
    assert result["field"].keys() == right.field.keys()
    for name, array in right.field.items():
        assert result["field"][name].dtype == array.dtype
        assert np.array_equal(result["field"][name], array)


def test_arrays_go_to_the_kernel_and_come_back(client: Client) -> None:
    """A person could neither give a kernel their data nor get what it has made of them."""
    job_id = client.submit("field", steps=4, seed=SEED)
    work(client, job_id)
    for result in (client.result(job_id), client.wait(job_id)):
        assert_is_expected(result, steps=4, seed=SEED)
        result["field"]["a0"][:] = 0  # it is theirs


def test_a_map_gives_arrays(file: Client) -> None:
    """A batch would have references in place of its results, with or without an event loop."""
    asked = [{"steps": 4, "seed": SEED + number} for number in range(2)]
    for _, job_id in file.submit_all("field", asked, name="batch"):
        work(file, job_id)
    for params, result in file.map("field", asked, name="batch", timeout_seconds=0):
        assert_is_expected(result, **params)
    client = AsyncClient(settings=file.settings)

    async def main() -> int:
        pairs = client.map("field", asked, name="batch", timeout_seconds=0)
        found = [pair async for pair in pairs]
        for (params, result), job_id in zip(found, file.jobs.ids(), strict=True):
            assert_is_expected(result, **params)
            assert (await client.wait(job_id))["field"].keys() == result["field"].keys()
        return len(found)

    assert asyncio.run(main()) == 2


def test_a_job_without_arrays_asks_no_place_for_them(
    file: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each submission would load boto3, or need one more server to answer."""

    def away(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("outlast.worker.jobs.client.open_place", away)
    file.submit("field", job_id="mine", steps=4)
    file.submit_all("field", [{"steps": 4}])
    assert file.status("mine").params_chunks == ()
    file.jobs.change("mine", lambda record: record.succeeded({"digest": "x"}))
    assert file.wait("mine") == file.result("mine") == {"digest": "x"}


def test_the_same_arrays_are_the_same_job_and_are_sent_once(client: Client) -> None:
    """A submission that is repeated would send gigabytes again, or leave them for ever."""
    client.submit("field", job_id="mine", steps=4, seed=SEED)
    before = names(client)
    client.submit("field", job_id="mine", steps=4, seed=SEED.copy())
    with pytest.raises(JobExists, match=r"^job mine exists with other numbers in its arrays"):
        client.submit("field", job_id="mine", steps=4, seed=SEED + 1)
    with pytest.raises(JobExists, match=r'seed=\{"array": "<f4", "shape": \[200000\]\}'):
        client.submit("field", job_id="mine", steps=4, seed=SEED[:-1])
    assert names(client) == before == set(client.status("mine").chunks)


def test_a_job_that_is_there_is_not_sent_again(file: Client) -> None:
    """A submission that is repeated after an outage would take as long as the first one."""
    place = MemoryBlobs(file.jobs.clock)
    file.blobs = place
    for _ in range(2):
        file.submit("field", job_id="mine", steps=4, seed=SEED)
        file.submit_all("field", [{"steps": 4, "seed": SEED}], name="batch")
    assert place.sent == [SEED.nbytes] * 2


def test_a_name_makes_one_job_of_equal_arrays(file: Client) -> None:
    """A batch of images of one size would be one job, and all get the first one's result."""
    asked = [{"steps": 4, "seed": seed} for seed in (SEED, SEED + 1, SEED.copy())]
    first, second, third = (job_id for _, job_id in file.submit_all("field", asked, name="batch"))
    assert first == third != second
    assert names(file) == {name for record in file.records() for name in record.chunks}


def test_who_loses_the_race_for_an_id_leaves_nothing(
    file: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two submissions at once would leave the arrays of one for ever."""
    file.submit("field", job_id="mine", steps=4, seed=SEED)
    before = names(file)
    looks = iter([UnknownJob("not yet")])
    same = file.jobs.same

    def late(record: Record) -> Any:
        for error in looks:
            raise error
        return same(record)

    monkeypatch.setattr(file.jobs, "same", late)
    assert file.submit("field", job_id="mine", steps=4, seed=SEED) == "mine"
    looks = iter([UnknownJob("not yet")])
    with pytest.raises(JobExists):
        file.submit("field", job_id="mine", steps=4, seed=SEED + 1)
    assert names(file) == before


def test_without_an_answer_the_arrays_stay(file: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that was stored, though its answer was lost, would have lost its parameters."""
    submit = file.jobs.submit

    def unanswered(record: Record) -> None:
        submit(record)
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(file.jobs, "submit", unanswered)
    with pytest.raises(StoreUnavailable):
        file.submit("field", job_id="mine", steps=4, seed=SEED)
    assert names(file) == set(file.status("mine").chunks) != set()


def test_what_cannot_be_sent_whole_is_taken_back(file: Client) -> None:
    """A full disk would stay full of what no job has, or a job be stored without its arrays."""
    place = MemoryBlobs(file.jobs.clock)
    file.blobs = place
    puts = iter([None, StoreUnavailable("full")])

    def fails(operation: str) -> None:
        if operation == "put" and (error := next(puts)):
            raise error

    place.before = fails
    two = np.zeros(5_000_000, dtype="f4")  # 20 MB: two chunks
    with pytest.raises(StoreUnavailable, match="full"):
        file.submit("field", steps=4, seed=two)
    assert place.chunks == {}
    assert list(file.records()) == []


def test_without_a_place_the_way_out_is_named(file: Client) -> None:
    """A user of Redis would see a traceback, or a job that no worker can begin."""
    changes = {"blobs": None}
    client = Client(settings=Settings(**file.settings.model_dump(exclude_unset=True) | changes))
    with pytest.raises(
        NoBlobStore, match="set OUTLAST_BLOBS to s3://bucket/prefix, or to a folder"
    ):
        client.submit("field", job_id="mine", steps=4, seed=SEED)
    assert list(client.records()) == []
    job_id = file.submit("field", steps=4)
    work(file, job_id)
    with pytest.raises(NoBlobStore, match=f"job {job_id} has arrays"):
        client.result(job_id)


def test_a_damaged_result_is_one_line(file: Client) -> None:
    """A person would take rotten numbers for the result, or not know which job has lost it."""
    job_id = file.submit("field", steps=4, numbers=100_000)
    record = work(file, job_id)
    assert file.blobs is not None
    file.blobs.delete([record.result_chunks[0].name])
    with pytest.raises(DamagedChunk, match=rf"^job {job_id}: the arrays of its result .* missing$"):
        file.result(job_id)


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_fork_has_arrays_of_its_own(client: Client, tmp_path: Path, is_elsewhere: bool) -> None:
    """A copy for an examination would go with the job that it was taken from."""
    record = failed(client)
    store = f"sqlite:///{tmp_path}/elsewhere.db" if is_elsewhere else None
    client.fork(record.job_id, new_id="copy", store=store)
    other = Client(store, store) if store else client
    fork = other.status("copy")
    assert fork.question == record.question
    assert fork.checkpoints[0].is_intact
    assert fork.checkpoints[0].state == record.checkpoints[0].state
    client.delete(record.job_id)
    assert set(fork.chunks) == names(other)
    assert all(name.startswith("copy/") for name in fork.chunks)
    work(other, "copy")
    assert other.status("copy").usage.steps < 8
    assert_is_expected(other.result("copy"), steps=8, seed=SEED)


def test_a_fork_that_fails_leaves_nothing(client: Client, tmp_path: Path) -> None:
    """Each attempt to copy a damaged job would fill the bucket with another half of it."""
    record = failed(client)
    before = names(client)
    with pytest.raises(JobExists):
        client.fork(record.job_id, new_id=record.job_id)
    assert names(client) == before
    assert client.blobs is not None
    lost = record.checkpoints[0].chunks[-1].name
    client.blobs.delete([lost])
    with pytest.raises(DamagedChunk):
        client.fork(record.job_id, new_id="copy")
    store = f"sqlite:///{tmp_path}/elsewhere.db"
    with pytest.raises(DamagedChunk):
        client.fork(record.job_id, new_id="copy", store=store)
    assert names(client) == before - {lost}
    assert [*open_blobs(f"{tmp_path}/elsewhere.db.blobs").names()] == []
    with pytest.raises(UnknownJob):
        client.status("copy")


@pytest.mark.parametrize("how", ["delete", "force", "unreadable", "prune"])
def test_a_deleted_job_leaves_nothing(client: Client, how: str) -> None:
    """A bucket would fill with the arrays of jobs that nobody can name any more."""
    record = failed(client)
    client.submit("field", job_id="other", steps=4, seed=SEED)
    assert client.blobs is not None
    copied = next(iter(record.chunks.values()))
    client.blobs.copy(copied, f"{record.job_id}/killed/1", client.blobs)
    match how:
        case "delete":
            client.delete(record.job_id)
        case "force":
            client.jobs.change(record.job_id, Record.retried)
            client.delete(record.job_id, force=True)
        case "unreadable":
            stored = client.jobs.load(record.job_id)
            client.jobs._register.put(f"jobs/{record.job_id}", b"theirs", expected=stored.version)
            client.delete(record.job_id, force=True)
        case "prune":
            assert prune(client.jobs, client.blobs, record.job_id, Selection())
    assert names(client) == set(client.status("other").chunks)


def test_a_place_that_fails_after_the_job_is_gone_is_told(
    file: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A person would try again, be told that the job is gone, and believe that all is."""
    place = MemoryBlobs(file.jobs.clock)
    file.blobs = place
    file.submit("field", job_id="mine", steps=4, seed=SEED)
    file.cancel("mine")

    def away(operation: str) -> None:
        if operation == "delete":
            raise StoreUnavailable("the bucket is away")

    place.before = away
    with caplog.at_level(logging.WARNING):
        file.delete("mine")
    assert "its arrays are not: outlast prune removes them later; the bucket is away" in caplog.text
    place.before = lambda _: None
    assert [*orphans(place, file.jobs, grace_seconds=0)] == [*place.chunks]
    file.submit("field", job_id="kept", steps=4, seed=SEED)
    file.cancel("kept")

    def silent(operation: str) -> None:
        if operation == "names":
            raise StoreUnavailable("the bucket is away")

    place.before = silent
    with pytest.raises(StoreUnavailable):
        file.delete("kept")
    assert file.status("kept").status is Status.CANCELLED


def test_orphans_are_what_no_job_needs(file: Client) -> None:
    """A prune would take the arrays of a job that goes on, or leave what killed workers left."""
    place = MemoryBlobs(file.jobs.clock)
    file.blobs = place
    file.submit("field", job_id="mine", steps=4, seed=SEED)
    needed = set(place.chunks)
    for name in ("mine/dead/1", "never/params-1/1", "bad/claim/1", "-odd/claim/1"):
        put(place, b"x", name)
    file.jobs._register.put("jobs/bad", b"damaged", expected=None)
    found = set(orphans(place, file.jobs, grace_seconds=0))
    assert found == {"mine/dead/1", "never/params-1/1"}
    assert needed.isdisjoint(found)
    assert set(orphans(place, file.jobs, grace_seconds=3600)) == set()
    now = file.jobs.clock
    file.jobs.clock = lambda: now() + 3601
    assert set(orphans(place, file.jobs, grace_seconds=3600)) == found


def test_what_a_claim_has_sent_is_no_orphan_while_it_holds_the_lease() -> None:
    """A prune would take the arrays of a save that is under way, and the checkpoint with them."""
    record = job(lease=lease(token="mine"))
    theirs, lost = "a/mine/1", "a/mine2/1"
    assert orphans_of(record, [theirs, lost], 10_000.0, WAIT) == [lost]
    assert orphans_of(record.lost(10_000.0), [theirs, lost], 10_000.0, WAIT) == [theirs, lost]


def test_what_was_dropped_waits_until_it_is_ripe() -> None:
    """A store that loses its newest writes would go back to a checkpoint without its arrays."""
    record = job(dropped=(Dropped("a/c/1", 100.0, 3),), saves=3)
    late = 100.0 + WAIT
    assert orphans_of(record, ["a/c/1"], late, WAIT) == []
    assert orphans_of(record.failed("x"), ["a/c/1"], late - 1, WAIT) == []
    assert orphans_of(record.failed("x"), ["a/c/1"], late, WAIT) == ["a/c/1"]
    saved = record.saved(checkpoint())
    assert orphans_of(saved, ["a/c/1"], late, WAIT) == ["a/c/1"]


def test_a_damaged_state_keeps_all_chunks_of_its_job() -> None:
    """The list of what it needs is damaged, too: a restored backup would find no arrays."""
    record = job(checkpoints=(checkpoint().with_state(Packed.of(b"rotten")),))
    assert orphans_of(record, ["a/c/1"], 1e9, WAIT) == []


def test_an_answer_links_the_arrays_of_its_result(client: Client) -> None:
    """A caller of a function has no client, and would get a result without its numbers."""
    job_id = client.submit("field", steps=4, numbers=5_000_000, arrays=1)
    work(client, job_id)
    told = answer(client, job_id)
    assert told["result"]["field"] == {"a0": {"array": "<f4", "shape": [5_000_000]}}
    assert told["result"]["trail"] == {"blob": 32}
    result = client.result(job_id)
    links = told["arrays"]
    assert links.keys() == {"field.a0", "trail"}
    array = np.frombuffer(read(links["field.a0"]["parts"]), links["field.a0"]["dtype"])
    assert len(links["field.a0"]["parts"]) == 2
    assert np.array_equal(array.reshape(links["field.a0"]["shape"]), result["field"]["a0"])
    assert read(links["trail"]["parts"]) == result["trail"]


def read(parts: list[dict[str, Any]]) -> bytes:
    """Return what is at the links of an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    data = b""
    for part in parts:
        with opener.open(part["url"], timeout=10) as body:
            body.read(part["offset"])
            data += body.read(part["bytes"])
    return data


@pytest.mark.parametrize(
    "seed", [[1.0, 2.0], {"$array": "<f4", "shape": [2], "at": 0}, "@file.npy"]
)
def test_a_call_has_no_arrays(file: Client, seed: Any) -> None:
    """A caller would not know how to give them, or forge a reference into another job's."""
    request = Submit(kernel="field", params={"steps": 4, "seed": seed})
    with pytest.raises(InvalidParams, match=r"no request has arrays: submit such a job with the"):
        advance(file, process_of(file), request, seconds=5.0, request_id="r")
    assert list(file.records()) == []
    job_id = file.submit("field", steps=4, seed=SEED)
    told = advance(file, process_of(file), Kick(job_id=job_id), seconds=60.0, request_id="r")
    assert told["status"] == "succeeded"
