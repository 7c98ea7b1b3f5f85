"""Takes the pictures in docs/images: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from outlast.checkpoint.status import Status
from outlast.worker.jobs.client import Client
from outlast.worker.jobs.parts import with_parts
from outlast.worker.queues.message import Message
from tests import servers
from tests.cli.dashboard.browser import chromium
from tests.cli.dashboard.scene import busy_day, crew
from tests.cli.process import Process
from tests.runtimes.emulator import function_env
from tests.runtimes.everywhere import everywhere
from tests.runtimes.system import make_system

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Picture = tuple[str, str, int, int, str]

IMAGES = Path(__file__).parents[3] / "docs" / "images"
JOB = "jobs/prime-1e18"
# Name, page, width, height, colours.
PICTURES = (
    ("dashboard-list", "", 1120, 960, "light"),
    ("dashboard-job", JOB, 1120, 1000, "light"),
    ("dashboard-dark", JOB, 1120, 1000, "dark"),
    ("dashboard-phone", "?status=running", 360, 780, "light"),
)
# The same, of the jobs of `crew`.
WORKERS = (
    ("dashboard-workers", "workers", 1120, 1100, "light"),
    ("dashboard-workers-phone", "workers?text=lambda", 360, 780, "dark"),
    ("dashboard-lines", "jobs/anneal-07", 1120, 1460, "dark"),
)
SHARED = "primes-below-1e18"
PARTS = (("dashboard-parts", f"jobs/{SHARED}", 1120, 1000, "light"),)


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    for pictures, scene in ((PICTURES, busy_day), (WORKERS, crew)):
        with tempfile.TemporaryDirectory() as place:
            store = f"sqlite:///{place}/jobs.db"
            client = Client(store, store)
            for record in scene(time.time()):
                client.jobs.submit(record)
                if record.status is Status.QUEUED:
                    client.queue.send(Message(job_id=record.job_id))
            shoot(pictures, folder, {"OUTLAST_STORE": store, "OUTLAST_QUEUE": store})
    with tempfile.TemporaryDirectory() as place, sharing(Path(place)) as env:
        shoot(PARTS, folder, env)


@contextmanager
def sharing(place: Path) -> Iterator[dict[str, str]]:
    """Let workers of every kind share a job; yield while each has a part of it, in the middle."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            patch.setenv(name, function_env({})[name])
        valkey = stack.enter_context(servers.valkey())
        ministack = stack.enter_context(servers.ministack())
        system = make_system(place, f"{valkey.url}/7", ministack.url, patch)
        stack.callback(system.close)
        programs = stack.enter_context(everywhere(system))
        jobs = system.client.jobs
        system.client.submit("prime-count", job_id=SHARED, x=10**18, parallel=4)

        def is_seen_best() -> bool:
            _, parts = with_parts(jobs, jobs.load(SHARED).record)
            return parts is not None and parts.succeeded > parts.all // 2 and parts.running >= 4

        programs[0].wait_until(is_seen_best)
        yield function_env(system.env)


def shoot(pictures: Iterable[Picture], folder: Path, env: dict[str, str]) -> None:
    """Take the pictures of the dashboard of the store and the queue in `env`."""
    process = Process("dashboard", "--port", "0", env=env)
    try:
        url = process.await_out(r"http://\S+/")[0]
        with chromium() as browser:
            for name, page_name, width, height, colours in pictures:
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=colours,
                    device_scale_factor=1 if width > 500 else 2,
                )
                page.goto(url + page_name)
                page.wait_for_selector("#pulse:not([hidden])")
                page.screenshot(path=folder / f"{name}.png")
                page.close()
    finally:
        process.kill()


if __name__ == "__main__":
    main()
