"""The parts of a divided job on its page: a strip, a table, and one part's slices on demand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.head import Head
from outlast.checkpoint.record_parts import Lease
from outlast.checkpoint.status import Status
from outlast.worker.dashboard.strip import HEIGHT, MOST_CELLS, WIDTH, cells_of, rows_of
from outlast.worker.jobs.parts import Parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from outlast.worker.jobs.client import Client
    from tests.cli.process import Outlast

SUBMIT = ("submit", "flock", "steps=400", "--parallel", "2", "--job-id", "big")


def head(number: int, status: Status = Status.QUEUED, *, until: float = 0.0) -> Head:
    """Return what is stored of a part, with a lease until then."""
    lease = Lease(
        worker="w:7", platform="lambda/arm64/1769", token="t", claimed_at=1.0,
        expires_at=until, at_risk_seconds=1.0,
    )  # fmt: skip
    node = {"birth": "0" * 16, "number": number}
    return Head(
        job_id="big", kernel="flock", created_at=1.0, updated_at=1.0, status=status,
        lease=lease if until else None, node=node,
    )  # fmt: skip


def parts_with(count: int) -> Parts:
    """Return so many parts: 4 and 5 done, 6 failed, 7 running, 8 with a worker that is dead."""
    heads = {
        6: head(6, Status.FAILED),
        7: head(7, Status.RUNNING, until=100.0),
        8: head(8, Status.RUNNING, until=40.0),
    }
    return Parts(count, 2, 1, 1, heads=heads, ranges=[(4, 6)], at=50.0)


def test_each_part_is_a_cell_that_says_where_it_runs() -> None:
    """A person could not see which part is stuck, and on whose machine."""
    cells = cells_of(parts_with(10))
    looks = [stack.look for cell in cells for stack in cell.stacks]
    known = ["done"] * 2 + ["failed", "running"]
    assert looks == ["waiting"] * 4 + known + ["waiting"] * 2
    assert cells[7].hint == "part 7: running on lambda/arm64/1769, w:7"
    assert cells[8].hint == "part 8: waiting"
    assert [row.number for row in rows_of(parts_with(10))] == [6, 7]


def test_ten_thousand_parts_fit_into_one_strip() -> None:
    """The page of a large job would be megabytes, sent anew each second."""
    cells = cells_of(parts_with(10_000))
    assert len(cells) <= MOST_CELLS
    assert cells[0].hint == "parts 0 to 41: 1 failed, 1 running, 38 waiting, 2 done"
    assert [stack.look for stack in cells[0].stacks] == ["failed", "running", "waiting", "done"]
    assert sum(stack.height for stack in cells[0].stacks) == pytest.approx(HEIGHT, abs=0.1)
    assert cells[-1].x + cells[-1].width <= WIDTH


@pytest.fixture
def big(outlast: Outlast) -> None:
    """A job of which 20 parts are done."""
    outlast(*SUBMIT)
    assert outlast("worker", "--max-slices", "21").code == 0


@pytest.mark.usefixtures("big")
def test_the_page_shows_the_strip_and_the_progress(browser_of: Callable[..., TestClient]) -> None:
    """A job that is half done would stand at 0 %."""
    page = browser_of().get("/jobs/big").text
    assert re.search(r'aria-label="20 of \d+ parts done, 0 running, \d+ waiting, 0 failed"', page)
    assert page.count('<rect class="done"') == 20 + 1, "and the legend"
    assert re.search(r'<progress max="1" value="0\.[1-9]', page)
    assert re.search(r'<progress max="1" value="0\.[1-9]', browser_of().get("/").text)


@pytest.mark.usefixtures("big")
def test_one_part_has_a_page(browser_of: Callable[..., TestClient]) -> None:
    """A person could not find out why one part does not end."""
    browser = browser_of()
    page = browser.get("/jobs/big/parts?part=3").text
    assert "<h1>Part 3</h1>" in page
    assert "Each part has a course of its own" in browser.get("/jobs/big").text
    assert "<bdi>succeeded</bdi>" in page
    assert "No worker has taken it yet." in browser.get("/jobs/big/parts?part=40").text
    assert browser.get("/jobs/big/parts?part=4000").status_code == 404
    assert browser.get("/jobs/nobody/parts?part=4").status_code == 404
    for wrong in ("", "-1", "x", "1" * 99, "\u0664"):
        assert browser.get("/jobs/big/parts", params={"part": wrong}).status_code == 404


@pytest.mark.usefixtures("big")
def test_a_page_says_of_a_divided_job_what_is_true_of_its_parts(
    browser_of: Callable[..., TestClient], outlast: Outlast, client: Client
) -> None:
    """A person would miss its checkpoints, or lose by a cancel what they want to fork."""
    browser = browser_of()
    page = browser.get("/jobs/big").text
    assert "Each part has checkpoints of its own." in page
    assert "<dt>Last write of a part</dt><dd><time" in page
    assert "what its parts have come to is removed" in browser.get("/jobs/big/cancel").text
    fork = browser.get("/jobs/big/fork").text
    assert "has the parts of this one that are done" in fork
    assert "generation" not in fork
    client.jobs.change("big", lambda job: job.failed("part 30: no"))
    assert "at work" not in browser.get("/jobs/big").text
    outlast("retry", "big")
    outlast("worker", "--max-idle-seconds", "0.1")
    assert "Each part has" not in browser.get("/jobs/big").text


def test_a_job_without_parts_has_no_strip(
    browser_of: Callable[..., TestClient], outlast: Outlast
) -> None:
    """Each page would have an empty box."""
    outlast("submit", "tally", "steps=1", "--job-id", "a")
    browser = browser_of()
    page = browser.get("/jobs/a").text
    assert '<div data-live="strip"></div>' in page
    assert "one-part" not in page
    assert browser.get("/jobs/a/parts?part=0").status_code == 404
