"""Fixtures that every test may use; a server starts when the first test asks for it."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import redis_groups, servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.redis_groups import Group
    from tests.servers import Server


@pytest.fixture(autouse=True, scope="session")
def signals_of_a_terminal() -> None:
    """Let programs under test hear Ctrl-C and a hang-up, also where the tests are run by nohup."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        # Ignored by the tests still, but a handler is not handed down to who is started.
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(autouse=True, scope="session")
def temporary_files() -> Iterator[None]:
    """Keep what the tests and their programs leave out of the machine's own temporary files.

    Workers beside the tests would read the receipts of theirs.
    """
    with (
        tempfile.TemporaryDirectory(prefix="outlast-tests-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(folder).chmod(0o755)  # Some programs run as another user.
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    """Undo what a command does to the log, which would hide the lines that a later test expects."""
    log = logging.getLogger("outlast")
    found = [x for x in logging.root.manager.loggerDict.values() if isinstance(x, logging.Logger)]
    disabled = [x.disabled for x in found]
    handlers, level, propagate = log.handlers, log.level, log.propagate
    log.handlers = list(handlers)
    root, kernels = logging.getLogger(), logging.getLogger("kernel")
    yield
    for handler in kernels.handlers:
        handler.filters.clear()
        if not type(handler).__module__.startswith("_pytest"):
            root.removeHandler(handler)
    kernels.handlers, kernels.propagate = [], True
    kernels.setLevel(logging.NOTSET)
    root.setLevel(logging.WARNING)
    log.handlers, log.propagate = handlers, propagate
    log.setLevel(level)
    for logger, was_disabled in zip(found, disabled, strict=True):
        logger.disabled = was_disabled


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    """A real Valkey server."""
    with servers.valkey() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """The machine's own redis-server; parametrise by `servers.has_redis()`, do not skip."""
    with servers.redis() as server:
        yield server


@pytest.fixture(scope="session")
def lone_node() -> Iterator[Group]:
    """A cluster of one Valkey server, which has all slots."""
    with redis_groups.cluster(1) as group:
        yield group


@pytest.fixture(scope="session")
def three_nodes() -> Iterator[Group]:
    """A cluster of three Valkey servers, which refuse keys of another's slots, and a replica."""
    with redis_groups.cluster(3, 1) as group:
        yield group


@pytest.fixture(scope="session")
def watched() -> Iterator[Group]:
    """A Valkey server, its replica, and a sentinel."""
    with redis_groups.watched() as group:
        yield group


@pytest.fixture(scope="session")
def ministack_server() -> Iterator[Server]:
    """The server behind `ministack`, for tests of a wider scope than one function."""
    with servers.ministack() as server:
        yield server


@pytest.fixture
def ministack(ministack_server: Server) -> Server:
    """SQS and S3 over HTTP, empty at the start of each test; AWS_ENDPOINT_URL is not set."""
    reset = urllib.request.Request(f"{ministack_server.url}/_ministack/reset", method="POST")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(reset, timeout=10).close()
    return ministack_server


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[Server]:
    """The server behind `seaweedfs`, for tests of a wider scope than one function."""
    with servers.seaweedfs() as server:
        yield server


@pytest.fixture
def seaweedfs(seaweedfs_server: Server) -> Server:
    """S3 over HTTP from a real store; it keeps its buckets from test to test."""
    return seaweedfs_server


@pytest.fixture(autouse=True)
def aws_env(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test AWS settings of its own: the person's files and variables are out of reach.

    No endpoint is set: a client is given it, or the test sets AWS_ENDPOINT_URL.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", servers.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", servers.SECRET_KEY)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def new_aws_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test that sets credentials of its own: boto3's shared session keeps the first ones."""
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
