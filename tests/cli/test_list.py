"""`outlast list`: filters, pages, and what it costs."""

from __future__ import annotations

import json
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.job_heads import HEADS_AT_ONCE
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.record import Record
from outlast.checkpoint.status import Status
from tests.fakes import MemoryRegister

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Ended, Outlast

MANY = 10_000


def ids(ended: Ended) -> list[str]:
    """The jobs that were listed."""
    assert ended.code == 0, ended.err
    return [job["job_id"] for job in json.loads(ended.out)]


class CountingRegister(MemoryRegister):
    """A store that counts how many jobs it was asked for, and the bytes of their starts."""

    def __init__(self) -> None:
        super().__init__()
        self.peeked = 0
        self.peeked_bytes = 0
        self.whole = 0

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Count, then read."""
        starts = [self.values[key].value[:limit_bytes] for key in keys]
        self.peeked += len(starts)
        self.peeked_bytes += sum(map(len, starts))
        return [*starts]

    def read(self, key: str) -> Any:
        """Count, then read."""
        self.whole += key.startswith("jobs/")
        return super().read(key)


@pytest.fixture
def three(client: Client) -> Client:
    """Jobs a and c are queued, b has failed; a and b have a tag in common."""
    client.create("tally", {"steps": 1}, job_id="a", tags=["x", "y"])
    client.create("tally", {"steps": 1}, job_id="b", tags=["x"])
    client.create("nth-prime", {"position": 1}, job_id="c")
    client.jobs.change("b", lambda record: record.failed("it broke"))
    return client


@pytest.mark.parametrize(
    ("words", "job_ids"),
    [
        (("--status", "failed"), "b"),
        (("--status", "failed", "--status", "queued"), "abc"),
        (("--kernel", "nth-prime"), "c"),
        (("--kernel", "no-such"), ""),
        (("--tag", "x"), "ab"),
        (("--tag", "x", "--tag", "y"), "a"),
        (("--older-than", "1h"), ""),
        (("--newer-than", "1h"), "abc"),
        (("--tag", "x", "--status", "failed"), "b"),
        (("--after", "a"), "bc"),
    ],
)
@pytest.mark.usefixtures("three")
def test_filters(words: tuple[str, ...], job_ids: str, outlast: Outlast) -> None:
    """A person would search thousands of jobs by eye."""
    assert ids(outlast("list", "--json", *words)) == list(job_ids)


@pytest.mark.usefixtures("three")
def test_each_page_names_the_command_for_the_next(outlast: Outlast) -> None:
    """A person would see some jobs and not know of the others."""
    words, pages = ["outlast", "list", "--tag", "x", "--newer-than", "90m", "--limit", "1"], []
    while words:
        ended = outlast(*words[1:], "--json")
        pages.append(ids(ended))
        words = shlex.split(ended.err.partition("more jobs follow: ")[2])
        if words:
            assert ended.err == (
                "outlast: more jobs follow: outlast list --tag x --newer-than 90m --limit 1 "
                f"--after {pages[-1][-1]}\n"
            )
    assert pages == [["a"], ["b"]]


def test_the_last_page_names_no_other(outlast: Outlast, three: Client) -> None:
    """A person or a script would go on for ever."""
    assert outlast("list", "--limit", "3").err == ""
    assert outlast("list", "--limit", "0").err == ""
    assert three.jobs.load("a")


def test_an_empty_list_names_the_store(outlast: Outlast, three: Client) -> None:
    """A person who looks into the wrong store would believe that their jobs are lost."""
    store = three.settings.store
    assert outlast("list", "--tag", "z").err == f"outlast: there is no matching job in {store}\n"
    assert outlast("list", "--after", "c").err == f"outlast: there is no matching job in {store}\n"


def test_a_list_of_nothing_that_can_be_read_is_not_empty(outlast: Outlast, client: Client) -> None:
    """A person would read that the job, of which a line before says that it is damaged, is gone."""
    client.jobs._register.put("jobs/a", b"damaged", expected=None)
    ended = outlast("list")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert ended.err.startswith("outlast: job a: not a record of Outlast")


def test_an_empty_list_keeps_the_password(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password would stand in a log."""
    monkeypatch.setenv("OUTLAST_STORE", "redis://me:secret@localhost:1/0")
    monkeypatch.setattr(JobStore, "ids", lambda *_, **__: iter(()))
    assert outlast("list").err == "outlast: there is no job in redis://***@localhost:1/0\n"


def test_a_page_of_ten_thousand_reads_a_page(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at a large store would take minutes, or all of the memory."""
    register = CountingRegister()
    jobs = JobStore(register)
    template = Record(job_id="j", kernel="k", params={}, created_at=1, updated_at=1)
    for number in range(MANY):
        status = Status.FAILED if number % 1000 == 999 else Status.QUEUED
        jobs.submit(template.model_copy(update={"job_id": f"j{number:05}", "status": status}))
    register.whole = register.peeked = 0
    monkeypatch.setattr("outlast.worker.jobs.stored_jobs.open_register", lambda *_, **__: register)

    page = outlast("list", "--json")
    assert ids(page) == [f"j{number:05}" for number in range(100)]
    assert page.err == "outlast: more jobs follow: outlast list --after j00099\n"
    assert (register.peeked, register.whole) == (HEADS_AT_ONCE, 0)

    register.peeked = 0
    failed = ids(outlast("list", "--json", "--status", "failed", "--after", "j05000"))
    assert failed == [f"j0{number}999" for number in range(5, 10)]
    assert (register.peeked, register.whole) == (MANY - 5001, 0)
    assert len(ids(outlast("list", "--json", "--limit", "0"))) == MANY


@pytest.mark.parametrize(
    ("words", "looks", "job_bytes"),
    [
        (("sweep",), 2, 2_048),  # once more before the job leaves the index of those that are open
        (("cost", "--all"), 1, 2_048),
        (("prune", "--older-than", "1s", "--dry-run"), 1, 2_048),
        (("list", "--status", "failed"), 1, 8_192),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_shows_no_parameters_reads_none(
    words: tuple[str, ...],
    looks: int,
    job_bytes: int,
    outlast: Outlast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its cost would follow from what the jobs were given and have computed."""
    jobs = JobStore(register := CountingRegister())
    long = Record(job_id="j", kernel="k", params={"s": "x" * 20_000}, created_at=1, updated_at=1)
    for number in range(20):
        jobs.submit(long.model_copy(update={"job_id": f"j{number:02}"}).succeeded("y" * 20_000))
    register.whole = 0
    for home in ("client", "stored_jobs"):
        target = f"outlast.worker.jobs.{home}.open_register"
        monkeypatch.setattr(target, lambda *_, **__: register)
    assert outlast(*words).code == 0
    assert register.peeked == looks * 20
    assert register.peeked_bytes <= looks * 20 * job_bytes
    assert register.whole == 0


def test_a_page_costs_little_time(client: Client, outlast: Outlast) -> None:
    """A look at a store would not answer at once."""
    for number in range(300):
        client.create("tally", {"steps": 1}, job_id=f"j{number}")
    begun = time.process_time()
    outlast("list")
    assert time.process_time() - begun < 0.25
