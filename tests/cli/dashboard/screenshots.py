"""Takes the pictures in docs/images: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.registers import open_register
from tests.cli.dashboard.browser import chromium
from tests.cli.dashboard.scene import busy_day
from tests.cli.process import Process

IMAGES = Path(__file__).parents[3] / "docs" / "images"
JOB = "jobs/prime-1e18"
# Name, page, width, height, colours.
PICTURES = (
    ("dashboard-list", "", 1120, 960, "light"),
    ("dashboard-job", JOB, 1120, 1000, "light"),
    ("dashboard-dark", JOB, 1120, 1000, "dark"),
    ("dashboard-phone", "?status=running", 360, 780, "light"),
)


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        store = f"sqlite:///{place}/jobs.db"
        jobs = JobStore(open_register(store))
        for record in busy_day(time.time()):
            jobs.submit(record)
        process = Process(
            "dashboard", "--port", "0", env={"OUTLAST_STORE": store, "OUTLAST_QUEUE": store}
        )
        try:
            url = process.await_out(r"http://\S+/")[0]
            shoot(url, folder)
        finally:
            process.kill()


def shoot(url: str, folder: Path) -> None:
    """Take the pictures of the dashboard at `url`."""
    with chromium() as browser:
        for name, page_name, width, height, colours in PICTURES:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=colours,
                device_scale_factor=1 if width > 500 else 2,
            )
            page.goto(url + page_name)
            page.wait_for_selector("#pulse:not([hidden])")
            page.screenshot(path=folder / f"{name}.png")
            page.close()


if __name__ == "__main__":
    main()
