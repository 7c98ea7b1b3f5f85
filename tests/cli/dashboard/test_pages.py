"""What the pages say, to a browser without scripts."""

from __future__ import annotations

import itertools
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.last_lines import line_of
from outlast.checkpoint.record_parts import Checkpoint, Lease
from outlast.checkpoint.status import Status
from outlast.worker.dashboard.guard import Keys
from outlast.worker.dashboard.listing import JOBS_A_PAGE, Query, listing_of
from outlast.worker.dashboard.pages import Pages
from outlast.worker.dashboard.rendering import Rendering
from tests.cli.dashboard.scene import LAMBDA, Run, record_of
from tests.cli.dashboard.test_guard import csrf_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.testclient import TestClient

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client

EVIL = '"><script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">'


def hostile(job_id: str = "evil") -> Record:
    """Return a job of which every text wants to be more than a text."""
    params = {EVIL: EVIL, "rtl": "\u202egnp.exe", "big": "x" * 1_000_000, "nested": [[[EVIL]]]}
    runs = [Run(LAMBDA, EVIL, 10, 0.2, EVIL), Run(LAMBDA, EVIL, 10, 0.2)]
    record = record_of(
        job_id, params, runs, begun=time.time() - 60, status=Status.RUNNING, kernel=EVIL
    )
    return record.model_copy(update={"error": "</pre>" + EVIL, "result": {EVIL: EVIL}})


def shown(page: str) -> list[str]:
    """Return the ids in the rows of a list."""
    return re.findall(r'class="job"><a href="/jobs/([^"]+)"', page)


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 8),
        ("?status=running", 2),
        ("?status=nonsense", 8),
        ("?kernel=prime-count", 2),
        ("?tag=nightly&status=succeeded", 2),
        ("?text=MEMORYERROR", 1),
        ("?text=1000000000000000000000", 1),
        ("?text=%3Cscript%3E", 0),
        ("?after=nightly-0412", 4),
    ],
)
def test_the_list_shows_what_is_asked_for(
    browser_of: Callable[..., TestClient], query: str, expected: int
) -> None:
    """Who looks for one job would have to read them all."""
    ids = shown(browser_of().get(f"/{query}").text)
    assert len(ids) == expected
    assert ids == sorted(ids)


def test_many_jobs_come_a_page_at_a_time(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """A store of thousands would take minutes to show, or leave some out."""
    for number in range(JOBS_A_PAGE + 3):
        client.create("nth-prime", {"position": 1}, job_id=f"job-{number:03}")
    browser = browser_of()
    first = browser.get("/").text
    following = re.search(r'href="(/\?after=[^"]+)">Next page', first)
    assert following
    second = browser.get(following[1]).text
    assert len(shown(first)) == JOBS_A_PAGE
    assert [*shown(first), *shown(second)] == [f"job-{n:03}" for n in range(JOBS_A_PAGE + 3)]
    assert "Next page" not in second


def test_a_long_search_stops_and_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search for what is not there would read the whole store at every look."""
    monkeypatch.setattr("outlast.worker.dashboard.listing.SEARCH_SECONDS", -1)
    for number in range(5):
        client.create("nth-prime", {"position": 1}, job_id=f"job-{number}")
    cut = listing_of(client.jobs, Query(text="nowhere"))
    assert (cut.jobs, cut.following, cut.is_cut) == ([], "job-0", True)
    rest = listing_of(client.jobs, Query(text="nowhere", after="job-3"))
    assert (rest.following, rest.is_cut) == (None, False)


def test_a_long_search_goes_on_where_it_stopped(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page would look once more through the jobs that do not match."""
    for number in range(6):
        client.create("nth-prime", {"position": 1}, job_id=f"job-{number}")
    client.jobs.change("job-0", lambda record: record.failed("it broke"))
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: 0.3 * next(ticks))
    monkeypatch.setattr("outlast.worker.dashboard.listing.time", clock)
    cut = listing_of(client.jobs, Query(status="failed"))
    assert [record.job_id for record in cut.jobs] == ["job-0"]
    assert (cut.following, cut.is_cut) == ("job-3", True)


def test_hostile_texts_stay_texts(browser_of: Callable[..., TestClient], client: Client) -> None:
    """A kernel's error, or a parameter, could take over the page of whoever looks at it."""
    client.jobs.submit(hostile())
    done = hostile("evil-done").model_copy(update={"status": Status.SUCCEEDED, "lease": None})
    client.jobs.submit(done)
    browser = browser_of()
    for path in ("/", "/jobs/evil", "/jobs/evil-done", "/jobs/evil/fork", f"/?text={EVIL}"):
        page = browser.get(path)
        assert page.status_code == 200
        assert "<script>" not in page.text
        assert "<img" not in page.text
        assert "\u202e" not in page.text
        assert len(page.text) < 60_000
    assert "1,000,000 characters in all" in browser.get("/jobs/evil").text


def test_a_job_that_cannot_be_read_hides_no_other(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """One damaged record would take the whole page away."""
    client.create("nth-prime", {"position": 1}, job_id="good")
    client.jobs._register.write("jobs/bad", b"\x00" * 50, expected=None)
    browser = browser_of()
    page = browser.get("/").text
    assert shown(page) == ["good"]
    assert "job bad: not a record" in page
    assert browser.get("/jobs/bad").status_code == 500


@pytest.mark.parametrize(
    "path", ["/jobs/nobody", "/jobs/..%2Fsecret", "/x", "/jobs/a/b", "/static/../app.py"]
)
def test_what_is_not_there_is_not_found(browser_of: Callable[..., TestClient], path: str) -> None:
    """A mistyped address would end in a traceback."""
    answer = browser_of().get(path)
    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def _posted(browser: TestClient, job_id: str, verb: str, **fields: str) -> Any:
    form = {"csrf": csrf_in(browser.get(f"/jobs/{job_id}/fork").text), **fields}
    return browser.post(f"/jobs/{job_id}/{verb}", data=form)


@pytest.mark.usefixtures("day")
def test_the_buttons_do_what_they_say(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """A job could be watched, and not stopped."""
    browser = browser_of()
    for job_id, verb, status in (
        ("nightly-0412", "pause", Status.PAUSED),
        ("nightly-0412", "resume", Status.QUEUED),
        ("prime-1e20", "retry", Status.QUEUED),
        ("pi-of-1e19", "cancel", Status.CANCELLED),
    ):
        answer = _posted(browser, job_id, verb)
        assert (answer.status_code, client.status(job_id).status) == (303, status)
        assert 'class="notice"' in browser.get(answer.headers["location"]).text
    answer = _posted(browser, "prime-1e18", "fork", new_id="again", generation="13")
    assert answer.headers["location"] == "/jobs/again?did=fork"
    assert client.status("again").progress == client.status("prime-1e18").progress


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(
    ("job_id", "verb", "fields", "message"),
    [
        ("nightly-0411", "cancel", {}, "it cannot be cancelled"),
        ("prime-1e18", "fork", {"new_id": "nightly-0411"}, "choose another job id"),
        ("prime-1e18", "fork", {"new_id": "<b>"}, "cannot be used"),
        ("prime-1e18", "fork", {"generation": "99"}, "has no checkpoint 99"),
    ],
)
def test_an_impossible_click_shows_the_reason(
    browser_of: Callable[..., TestClient],
    job_id: str,
    verb: str,
    fields: dict[str, str],
    message: str,
) -> None:
    """A button would do nothing, and say nothing."""
    answer = _posted(browser_of(), job_id, verb, **fields)
    assert answer.status_code == 409
    assert message in answer.text


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize("generation", ["newest", "1" * 5_000])
def test_a_fork_from_what_is_no_generation_is_refused(
    browser_of: Callable[..., TestClient], client: Client, generation: str
) -> None:
    """A job would go on from another checkpoint than was asked for, or the page end in an error."""
    before = [record.job_id for record in client.records()]
    answer = _posted(browser_of(), "prime-1e18", "fork", generation=generation)
    assert (answer.status_code, "Nothing was done" in answer.text) == (403, True)
    assert [record.job_id for record in client.records()] == before


@pytest.mark.usefixtures("day")
def test_a_damaged_checkpoint_is_called_so(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """An operator would fork a job from what cannot be read."""

    def damage(record: Record) -> Record:
        newest, before = record.checkpoints
        broken = newest.model_copy(update={"digest": "0" * 32})
        return record.model_copy(update={"checkpoints": (broken, before), "quarantine": (before,)})

    client.jobs.change("prime-1e18", damage)
    page = browser_of().get("/jobs/prime-1e18").text
    for condition in ("damaged", "intact", "quarantined"):
        assert f'<span class="condition {condition}">' in page


@pytest.mark.parametrize("path", ["/", "/jobs/x"])
def test_an_outage_is_told_and_passes(
    browser_of: Callable[..., TestClient],
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    """The page would be gone with the store, just when somebody wants to know what is wrong."""
    client.create("nth-prime", {"position": 1}, job_id="x")
    register, browser, pages = (
        client.jobs._register,
        browser_of(),
        Pages(client.jobs, Rendering(Keys(None, 1))),
    )

    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("redis at db:6379 does not answer")

    look = (lambda: pages.jobs_parts(Query())) if path == "/" else (lambda: pages.job_parts("x"))
    before = look()
    with monkeypatch.context() as broken:
        for name in ("keys", "peek", "read"):
            broken.setattr(register, name, fail)
        assert "does not answer" in browser.get(path).text
        parts = look()
        assert list(parts) == ["outage"]
        assert "redis at db:6379" in parts["outage"].html
    assert look() == before
    assert before["outage"].html == ""


@pytest.mark.usefixtures("day")
def test_each_slice_is_drawn_with_its_place_and_its_ending(
    browser_of: Callable[..., TestClient],
) -> None:
    """An operator would not see on which workers a job dies, or that it does."""
    page = browser_of().get("/jobs/prime-1e18").text
    drawing = page[page.index('<svg class="plot"') : page.index('<ul class="legend"')]
    counted = {
        mark: drawing.count(f'<g class="mark {mark}"')
        for mark in ("deadline", "signal", "lost", "error", "succeeded")
    }
    assert counted == {"deadline": 9, "signal": 1, "lost": 1, "error": 1, "succeeded": 0}
    assert drawing.count('<path class="course') == 13
    assert drawing.count("<pattern ") == 3
    assert '<desc id="plot-text">73.22 % after 13 slices in 3 h' in drawing
    rows = re.findall(r'<tr><th scope="row">(\d+)</th>.*?</tr>', page[page.index("</svg>") :])
    assert rows[:13] == [str(number) for number in range(13, 0, -1)]


def test_a_fresh_job_and_one_of_many_slices_are_drawn(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """The page of a job that has just begun, or has run for weeks, would be an error."""
    now = time.time()
    platforms = [f"spot/{number}" for number in range(20)]
    runs = [Run(platforms[n % 20], "w", 900, 1 / 5000) for n in range(2000)]
    client.jobs.submit(record_of("weeks", {}, runs, begun=now - 2000 * 901))
    client.create("nth-prime", {"position": 1}, job_id="fresh")
    lease = Lease(worker="w", token="t", claimed_at=now, expires_at=now + 9, at_risk_seconds=1)
    client.jobs.change("fresh", lambda record: record.claimed(lease))
    browser = browser_of()
    assert "No worker has taken a slice" in browser.get("/jobs/fresh").text
    state = Checkpoint.of(b"", version=1, slice=1, progress=0.0, saved_at=0.0)
    client.jobs.change("fresh", lambda record: record.saved(state))
    assert "<svg" in browser.get("/jobs/fresh").text
    weeks = browser.get("/jobs/weeks").text
    assert weeks.count('class="course"') <= 48
    assert "slices 1 to " in weeks


@pytest.mark.usefixtures("day")
@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("?sort=progress", ["nightly-0410", "nightly-0411", "prime-1e18"]),
        ("?sort=progress&status=failed", ["prime-1e20"]),
        ("?sort=created&text=1e18", ["prime-1e18"]),
        ("?sort=created", ["nightly-0412", "pi-of-1e19", "wrong-question"]),
        ("?sort=nonsense", ["check-primecount", "nightly-0410", "nightly-0411"]),
    ],
)
def test_an_address_says_how_jobs_are_sorted(
    browser_of: Callable[..., TestClient], query: str, first: list[str]
) -> None:
    """Nobody would find what came last among thousands of jobs, or could send it to a colleague."""
    assert shown(browser_of().get(f"/{query}").text)[:3] == first


def test_an_address_that_chooses_nothing_says_so(browser_of: Callable[..., TestClient]) -> None:
    """Who mistypes a status would take all jobs for those that failed."""
    page = browser_of().get("/?status=faild&sort=<age>").text
    assert "status=faild is unknown, and chooses nothing." in page
    assert "sort=&lt;age&gt; is unknown, and chooses nothing." in page
    assert "is unknown" not in browser_of().get("/?status=failed&sort=").text


def test_a_sorted_page_says_what_it_leaves_out(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """Who sorts jobs would take the first fifty for all."""
    for number in range(JOBS_A_PAGE + 3):
        client.jobs.submit(record_of(f"job-{number:02}", {}, [], begun=1000.0 + number))
    page = browser_of().get("/?sort=created").text
    assert shown(page)[0] == "job-52"
    assert len(shown(page)) == JOBS_A_PAGE
    assert "3 more that fit are not shown" in page


def test_the_last_lines_of_a_kernel_are_shown(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """Who looks at a job would have to find its worker's log to see what it says."""
    job = record_of("talks", {}, [Run(LAMBDA, "w", 10, 0.2)], begun=time.time() - 60)
    client.jobs.submit(job.printed([line_of(3661.5, 1, "loss <b>0.5</b>")]))
    client.jobs.submit(record_of("silent", {}, [], begun=time.time()))
    page = browser_of().get("/jobs/talks").text
    line = '01:01:01 UTC, slice 1</span> <samp dir="auto">loss &lt;b&gt;0.5&lt;/b&gt;</samp>'
    assert line in page
    assert "Last lines" not in browser_of().get("/jobs/silent").text


def test_a_jobs_page_shows_its_figures(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """Who waits for a training would not see whether it learns."""
    runs = [Run(LAMBDA, "w", 10, 0.2)] * 3
    record = record_of("learns", {}, runs, begun=time.time() - 60, status=Status.RUNNING)
    newest = record.checkpoints[0].model_copy(update={"metrics": {"loss": 0.123456789}})
    begun = record.history.stretches[0].began_at
    history = record.history.measured(begun + 5, {"loss": 4.0}).measured(begun + 15, {"loss": 2.0})
    changes = {"checkpoints": (newest, *record.checkpoints[1:]), "history": history}
    client.jobs.submit(record.model_copy(update=changes))
    page = browser_of().get("/jobs/learns").text
    assert "<dt>loss</dt>" in page
    assert "0.123457" in page
    assert 'aria-label="loss over time, from 0.123457 to 4"' in page
    points = re.search(r'<polyline class="course" points="([^"]+)"', page)
    assert points is not None
    heights = [float(point.split(",")[1]) for point in points[1].split()]
    assert len(heights) == 3
    assert heights == sorted(heights), "a loss that falls is drawn as one that rises"


def test_a_job_without_figures_shows_none(
    browser_of: Callable[..., TestClient], client: Client
) -> None:
    """Each page would have an empty card."""
    client.jobs.submit(record_of("plain", {}, [Run(LAMBDA, "w", 10, 0.2)], begun=time.time() - 60))
    assert "Metrics" not in browser_of().get("/jobs/plain").text
