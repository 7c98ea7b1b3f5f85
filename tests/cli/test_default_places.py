"""Where a command looks when nobody says: only as far as it needs, and never in another's queue."""

from __future__ import annotations

import pwd
from typing import TYPE_CHECKING

import pytest

from tests.checkpoint.conftest import create_bucket
from tests.cli.test_bad_input import assert_one_line

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.process import Outlast
    from tests.servers import Server


@pytest.fixture
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user without a home folder, as in a container that was given a bare uid."""

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_DATA_HOME", "OUTLAST_STORE", "OUTLAST_QUEUE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_nobody")
@pytest.mark.parametrize("words", [["list"], ["submit", "tally", "steps=1"], ["doctor"]])
def test_a_store_of_ones_own_needs_no_home_folder(
    words: list[str], outlast: Outlast, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """A container that runs as a bare uid could not even list its jobs."""
    monkeypatch.setenv("OUTLAST_STORE", f"sqlite:///{folder / 'mine.db'}")
    ended = outlast(*words)
    assert ended.code == 0, ended.err


@pytest.mark.usefixtures("_nobody")
def test_what_needs_a_home_folder_says_how_to_do_without(
    outlast: Outlast, monkeypatch: pytest.MonkeyPatch, ministack: Server
) -> None:
    """A person would read of an internal error, and not which variable to set."""
    ended = outlast("list")
    assert_one_line(ended, 2, "no store has the URL 'sqlite:///~/.local/share/outlast/outlast.db'")
    assert "set HOME, or write sqlite:////full/path" in ended.err
    monkeypatch.setenv("OUTLAST_STORE", "s3://no-home")
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    create_bucket("no-home")
    assert outlast("list").code == 0
    ended = outlast("submit", "tally", "steps=1")
    assert_one_line(
        ended, 2, "queue has the URL 'sqlite:///~/.local/share/outlast/queues/s3-no-home-"
    )
    assert "set HOME, or write sqlite:////full/path" in ended.err


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_a_worker_is_not_woken_for_the_jobs_of_another_store(
    kind: str,
    folder: Path,
    *,
    outlast: Outlast,
    monkeypatch: pytest.MonkeyPatch,
    valkey_server: Server,
) -> None:
    """Every job would be an error in the log of each worker with another store, again and again."""
    if kind == "sqlite":
        ours, theirs = f"sqlite:///{folder / 'ours.db'}", f"sqlite:///{folder / 'theirs.db'}"
    else:
        ours, theirs = f"{valkey_server.url}/7", f"{valkey_server.url}/8"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    monkeypatch.delenv("OUTLAST_QUEUE")
    monkeypatch.setenv("OUTLAST_STORE", ours)
    assert outlast("submit", "tally", "steps=1", "--job-id", f"of-{kind}").code == 0
    work = ("worker", "--max-idle-seconds", "0.1")
    monkeypatch.setenv("OUTLAST_STORE", theirs)
    assert f"of-{kind}" not in outlast(*work).err
    monkeypatch.setenv("OUTLAST_STORE", ours)
    assert f"job of-{kind} succeeded" in outlast(*work).err
