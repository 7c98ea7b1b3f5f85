"""The page of the workers: on every store and queue, with faults, and with very many of them."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.fleet import Place
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Lease
from outlast.checkpoint.status import Status
from outlast.worker.dashboard import workers
from outlast.worker.dashboard.hour import Span, hour_of
from outlast.worker.dashboard.workers import Workers
from outlast.worker.dashboard.workers_page import MOST_ROWS
from outlast.worker.jobs.client import Client
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.message import Message
from tests.checkpoint.conftest import create_bucket
from tests.cli.dashboard.scene import LAMBDA, LAPTOP, Run, crew, record_of
from tests.cli.dashboard.test_pages import EVIL, hostile
from tests.worker.queues import backends

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from tests.cli.process import Outlast

PLACES = ["sqlite", "valkey", "aws"]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each look ask the store."""
    monkeypatch.setattr(workers, "FRESH_SECONDS", 0.0)


@pytest.fixture
def client_at(request: pytest.FixtureRequest, client: Client) -> Callable[[str], Client]:
    """Return a client of a place: a file, a server of Valkey, or S3 and SQS."""

    def at(place: str) -> Client:
        if place == "sqlite":
            return client
        if place == "valkey":
            url = request.getfixturevalue("valkey_server").url
            backends.redis_like(Client(url, url).queue._server.client)
            return Client(url, url)
        monkeypatch = request.getfixturevalue("monkeypatch")
        url = request.getfixturevalue("ministack").url
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        create_bucket("workers")
        backends.sqs(url, "")
        return Client("s3://workers/jobs", "sqs://jobs")

    return at


def fill(client: Client) -> None:
    """Store what `crew` has, with a message for each job that waits."""
    for record in crew(time.time()):
        client.jobs.submit(record)
        if record.status is Status.QUEUED:
            client.queue.send(Message(job_id=record.job_id))
    client.jobs.submit(
        record_of("done", {}, [Run(LAMBDA, "w", 60, 1.0, "succeeded")], begun=time.time() - 90)
    )
    client.jobs.change("done", lambda job: job.model_copy(update={"status": Status.SUCCEEDED}))


def shown(page: str) -> list[str]:
    """Return what the workers of the page work on, in its order."""
    return re.findall(r'class="is-work"[^>]*><a href="/jobs/([^"]+)"', page)


@pytest.mark.parametrize("place", PLACES)
def test_every_store_and_queue_tells_the_same(
    place: str, client_at: Callable[[str], Client]
) -> None:
    """An operator on another store than the developer's would see an empty page, or a wrong one."""
    client = client_at(place)
    fill(client)
    scene = Workers(client).look()
    assert len(scene.works) == 11
    assert [work.job_id for work in scene.works if not work.is_alive] == ["survey-04"]
    assert scene.statuses == {"running": 11, "queued": 29}
    assert scene.ended == {"succeeded": 1}
    assert scene.backlog is not None
    assert scene.backlog[:3] == (29, 0, 0)
    assert scene.unread == 0
    assert scene.waits_since is not None
    assert 40 < scene.hour.slices < 46
    # Of the 44 slices of about a tenth each, and the one that is done.
    assert 5 < scene.hour.share < 7
    assert scene.hour.consumption.platforms[LAMBDA].seconds > 4_000


def test_a_refresh_on_s3_asks_for_little(
    client_at: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each viewer of a page would cost more than the workers."""
    client = client_at("aws")
    fill(client)
    requests: Counter[str] = Counter()
    call = BaseClient._make_api_call

    def counted(boto: BaseClient, operation: str, arguments: dict[str, Any]) -> object:
        requests[operation] += 1
        return call(boto, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    monkeypatch.setattr(workers, "CLOCK_TOLERANCE_SECONDS", -3.0)  # as if 13 seconds passed
    looks = Workers(client)
    looks.look()
    queue = {"GetQueueAttributes": 2}
    # The open jobs and the one that is done; the index of the first, and the list of all.
    assert requests == queue | {"ListObjectsV2": 2, "GetObject": 41}
    requests.clear()
    assert len(looks.look().works) == 11
    assert requests == queue | {"ListObjectsV2": 2, "GetObject": workers.CHECKED_AT_ONCE}


def test_the_parts_of_a_job_have_workers_of_their_own(
    outlast: Outlast, client: Client, browser_of: Callable[..., TestClient]
) -> None:
    """The job on which most workers are would seem to have none."""
    outlast("submit", "flock", "steps=400", "--parallel", "2", "--job-id", "big")
    assert outlast("worker", "--max-slices", "21").code == 0
    browser, fleet = browser_of(), client.jobs.load("big").record.fleet
    page = browser.get("/workers").text
    assert shown(page) == []
    assert "<dt>Slices ended</dt>" in page
    # Of a job that was there at the last look, and was not written since.
    now = client.jobs.clock()
    lease = Lease(
        worker="w:1", platform=LAMBDA, token="t", claimed_at=now, expires_at=now + 60,
        at_risk_seconds=1,
    )  # fmt: skip
    part = Record(
        job_id="big", kernel="flock", params={}, created_at=now, updated_at=now,
        node=fleet.node(Place(0, 30)),
    )  # fmt: skip
    client.jobs.create(part.claimed(lease))
    page = browser.get("/workers").text
    assert shown(page) == ["big/parts?part=30"]
    slices = re.search(r'<dt>Slices ended</dt><dd class="large">(\d+)', page)
    assert slices
    assert int(slices[1]) >= 20


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("", "survey-04"),
        ("?text=RUNPOD", "anneal-07"),
        ("?text=survey-1", "survey-10"),
        ("?text=compose&sort=nonsense", "survey-09"),
        ("?text=nobody", None),
    ],
)
def test_an_address_names_the_workers_it_shows(
    client: Client, browser_of: Callable[..., TestClient], query: str, first: str | None
) -> None:
    """Nobody could send a colleague what they see, or find one worker among hundreds."""
    fill(client)
    page = browser_of().get(f"/workers{query}").text
    rows = shown(page)
    assert next(iter(rows), None) == first
    assert ("No worker fits." in page) == (first is None)
    assert re.search(r"Workers at work</dt><dd[^>]*>10<", page), "those of all, whatever is shown"


def test_the_one_who_has_not_saved_for_longest_is_found(
    client: Client, browser_of: Callable[..., TestClient]
) -> None:
    """A worker that hangs would be one of hundreds."""
    now = time.time()
    for job_id, ago in (("a", 10.0), ("b", 500.0), ("c", 100.0)):
        job = record_of(
            job_id, {}, [Run(LAMBDA, job_id, 60, 0.5)], begun=now - 600, status=Status.RUNNING
        )
        newest = job.checkpoints[0].model_copy(update={"saved_at": now - ago})
        lease = job.lease.model_copy(update={"expires_at": now + 60})
        client.jobs.submit(job.model_copy(update={"checkpoints": (newest,), "lease": lease}))
    page = browser_of().get("/workers?sort=saved").text
    assert shown(page) == ["b", "c", "a"]
    assert '<option value="saved" selected>' in page


def test_what_is_at_fault_is_told_and_the_rest_stays(
    client: Client, browser_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page would be gone just when somebody wants to know who still works."""
    fill(client)
    browser = browser_of()
    assert len(shown(browser.get("/workers").text)) == 11

    def no_queue() -> None:
        raise QueueUnavailable("queue redis at db:6379 does not answer")

    def no_store(*_: object, **__: object) -> None:
        raise StoreUnavailable("redis at db:6379 does not answer")

    monkeypatch.setattr(client.queue, "backlog", no_queue)
    page = browser.get("/workers").text
    assert "The queue does not answer." in page
    assert "The store does not answer." not in page
    monkeypatch.setattr(client.jobs._register, "keys", no_store)
    answer = browser.get("/workers")
    assert answer.status_code == 200
    assert "The store does not answer." in answer.text
    assert "outlast doctor" in answer.text
    assert len(shown(answer.text)) == 11
    monkeypatch.undo()
    assert "does not answer" not in browser_of().get("/workers").text


def test_an_empty_page_says_what_to_do(
    client: Client, browser_of: Callable[..., TestClient]
) -> None:
    """A newcomer would not know whether it is broken."""
    browser = browser_of()
    assert "there is nothing to do" in browser.get("/workers").text
    client.submit("nth-prime", position=5)
    assert "Messages wait, and no worker has a job." in browser.get("/workers").text


def test_a_machine_without_a_price_is_not_free(
    client: Client, browser_of: Callable[..., TestClient]
) -> None:
    """A cluster of one's own would seem to cost nothing."""
    jobs, browser = client.jobs, browser_of()
    for platform, cost in ((LAPTOP, "no price"), (LAMBDA, r"over \$0\.\d+")):
        jobs.submit(
            record_of(platform[:5], {}, [Run(platform, "w", 60, 1.0)], begun=time.time() - 90)
        )
        page = browser.get("/workers").text
        assert re.search(rf"<dt>Cost</dt><dd[^>]*>{cost}</dd>", page)
        assert re.search(r"<bdi>local</bdi>.*<td[^>]*>no price</td>", page)


def test_what_ends_is_counted_and_what_is_deleted_is_forgotten(client: Client) -> None:
    """A worker that is long gone would stay on the page."""
    fill(client)
    looks = Workers(client)
    looks.look()
    client.cancel("survey-00")
    client.cancel("survey-01")
    client.delete("survey-01", force=True)
    client.jobs.submit(record_of("new", {}, [], begun=time.time()))
    scene = looks.look()
    assert scene.statuses == {"running": 9, "queued": 30}
    assert scene.ended == {"succeeded": 1, "cancelled": 1}
    assert not {"survey-00", "survey-01"} & {work.job_id for work in scene.works}


def test_many_jobs_are_read_piece_by_piece(
    client: Client, browser_of: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look at a large store would take minutes, and the page be as long."""
    now = time.time()
    monkeypatch.setattr(workers, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(workers, "JOBS_AT_ONCE", 100)
    lease = Lease(
        worker="w", platform="p", token="t", claimed_at=now, expires_at=now + 90,
        at_risk_seconds=1,
    )  # fmt: skip
    job = Record(job_id="a", kernel="k", params={}, created_at=now, updated_at=now).claimed(lease)
    for number in range(MOST_ROWS + 50):
        client.jobs.submit(job.model_copy(update={"job_id": f"job-{number:03}"}))
    browser = browser_of()
    left = []
    for _ in range(4):
        page = browser.get("/workers").text
        left += re.findall(r"are being read(?:: (\d+) are to come)?\.", page)
    assert left == ["", "150", "50"]
    assert len(shown(page)) == MOST_ROWS
    assert "50 more are not shown" in page


def test_foreign_texts_are_escaped(client: Client, browser_of: Callable[..., TestClient]) -> None:
    """A worker's name would run as a script with the rights of who looks."""
    client.jobs.submit(hostile())
    page = browser_of().get("/workers").text
    assert EVIL not in page
    assert shown(page) == ["evil"]


def test_only_what_lies_within_the_hour_counts() -> None:
    """A slice of a day would be the work, and the cost, of one hour."""
    now = 100_000.0
    spans = [
        Span("a", now - 7_200, now, 10, 7_200, 0.5, 40),
        Span("a", now - 9_000, now - 3_600, 7, 5_400, 0.25, 21),
        Span("b", now - 10, now - 10, 1, 0, 0.125, 3),
    ]
    hour = hour_of(spans, now)
    assert hour.slices == 6
    assert hour.share == pytest.approx(0.375)
    assert hour.consumption.writes == 23
    assert {n: (u.slices, u.seconds) for n, u in hour.consumption.platforms.items()} == {
        "a": (5, 3_600.0),
        "b": (1, 0.0),
    }
