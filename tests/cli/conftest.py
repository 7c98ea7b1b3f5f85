"""A store and a queue of its own for each test, and two ways to run `outlast` on them."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from outlast.worker.cli import main
from tests.cli.process import Ended, Process
from tests.cli.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.jobs.client import Client
    from tests.cli.process import AtTerminal, Outlast, OutlastJson, Start

INSTALLED = Path(__file__).with_name("installed")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep jobs and messages in a folder of this test, with the kernel `tally` installed."""
    for name in [name for name in os.environ if name.startswith("OUTLAST_")]:
        monkeypatch.delenv(name)
    url = f"sqlite:///{tmp_path / 'outlast.db'}"
    monkeypatch.setenv("OUTLAST_STORE", url)
    monkeypatch.setenv("OUTLAST_QUEUE", url)
    monkeypatch.setenv("PYTHONPATH", str(INSTALLED))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.syspath_prepend(INSTALLED)
    return tmp_path


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """Put the log back as it was: the command sets it up for its process."""
    logger = logging.getLogger("outlast")
    before = logger.handlers, logger.level, logger.propagate
    yield
    logger.handlers, logger.level, logger.propagate = before


@pytest.fixture
def client(folder: Path) -> Client:  # noqa: ARG001 - its settings; usefixtures does not reach here
    """The store and the queue, as the test itself sees them."""
    from outlast.worker.jobs.client import Client

    return Client()


@pytest.fixture
def outlast(capfd: pytest.CaptureFixture[str]) -> Outlast:
    """Run a command line in this process."""

    def run(*words: str) -> Ended:
        capfd.readouterr()
        code = main(words)
        return Ended(code, *capfd.readouterr())

    return run


@pytest.fixture
def outlast_json(outlast: Outlast) -> OutlastJson:
    """Run a command line that succeeds, with --json, and return what it printed."""

    def run(*words: str) -> Any:
        ended = outlast(*words, "--json")
        assert ended.code == 0, ended.err
        return json.loads(ended.out)

    return run


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a command line as a process, which does not outlive the test."""
    started: list[Process] = []

    def run(*words: str, **options: Any) -> Process:
        started.append(Process(*words, **options))
        return started[-1]

    yield run
    for process in started:
        process.kill()


@pytest.fixture
def terminal() -> Iterator[AtTerminal]:
    """Open terminals that are closed after the test."""
    opened: list[Terminal] = []

    def run(*words: str, **options: Any) -> Terminal:
        opened.append(Terminal(*words, **options))
        return opened[-1]

    yield run
    for one in opened:
        one.close()
