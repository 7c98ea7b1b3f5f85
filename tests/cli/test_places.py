"""An error of connection names the variable that is to be corrected, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
import redis

from outlast.worker.cli.places import with_variable
from outlast.worker.queues.contract import QueueUnavailable
from tests.servers import HOST, free_ports, valkey
from tests.tls import tls_before

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.process import Outlast
    from tests.servers import Server


class Ports(NamedTuple):
    """Where servers of each kind are, and where none is."""

    plain: int
    guarded: int
    tls: int
    none: int


@pytest.fixture(scope="module")
def ports(valkey_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    """A server, one that asks for a password, one behind TLS."""
    keys = tmp_path_factory.mktemp("keys")
    with valkey() as guarded, tls_before(valkey_server, keys) as (tls, _):
        with redis.Redis(port=guarded.port) as client:
            client.config_set("requirepass", "s3cret")
        yield Ports(valkey_server.port, guarded.port, tls, *free_ports(1))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://{host}:{none}/0", ": Connection refused; check that the server runs and that "),
        ("redis://{host}:{guarded}/0", ": NOAUTH Authentication required; write user:password@"),
        ("redis://:cret@{host}:{guarded}/0", "; check the user name and the password"),
        ("redis://{host}:{plain}/999", "; choose a database that the server has"),
        ("redis://no-such-host.invalid/0", "; check the host's name"),
        ("redis+cluster://{host}:{plain}", "; this server is not part of a cluster: write redis:/"),
        ("redis://{host}:{tls}/0", ", or write rediss:// if it takes TLS only"),
        ("rediss://{host}:{tls}/0", "; append ?ssl_ca_certs=/path/of/ca.pem to the URL"),
        (
            "rediss://{host}:{plain}/0?socket_connect_timeout=0.1&socket_timeout=0.1",
            ", or write redis:// if it takes no TLS",
        ),
    ],
)
def test_what_is_wrong_with_a_server_is_said_in_one_line(
    url: str, words: str, ports: Ports, outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would compare an address with itself, while the password or TLS is at fault."""
    monkeypatch.setenv("OUTLAST_STORE", url.format(host=HOST, **ports._asdict()))
    ended = outlast("status", "a")
    assert (ended.code, ended.out) == (1, "")
    assert words in ended.err
    assert ended.err.endswith(" (OUTLAST_STORE)\n")
    assert ended.err.count("\n") == 1
    assert "cret" not in ended.err


def test_a_queue_is_named_by_the_variable_that_has_its_url(
    ports: Ports, folder: Path, outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person would look for OUTLAST_QUEUE, which nobody has set, or into OUTLAST_STORE."""
    url = f"redis://{HOST}:{ports.none}/0"
    monkeypatch.setenv("OUTLAST_QUEUE", url)
    err = outlast("submit", "tally", "steps=1").err
    assert err.endswith(
        "; check that the server runs and that the address is right (OUTLAST_QUEUE)\n"
    )
    error = QueueUnavailable(f"queue redis at {HOST}:{ports.none}: refused")
    monkeypatch.delenv("OUTLAST_QUEUE")
    monkeypatch.setenv("OUTLAST_STORE", url)
    assert with_variable(error) == f"{error} (OUTLAST_STORE)"
    monkeypatch.setenv("OUTLAST_STORE", "s3://jobs")
    assert with_variable(error) == str(error)  # It is none of those that are set.
    monkeypatch.setenv("OUTLAST_STORE", f"sqlite:///{folder}")
    assert "it is a folder; name a file in it" in outlast("status", "a").err


def test_an_unknown_id_names_the_store_where_it_was_looked_for(
    folder: Path, outlast: Outlast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who has not set the variable in this shell would believe the job to be lost."""
    unknown = "outlast: there is no job 'a' in this store"
    store = f"sqlite:///{folder}/outlast.db"
    for command in (("status", "a"), ("cancel", "a", "b"), ("watch", "a")):
        assert outlast(*command).err.startswith(f"{unknown}: {store} (OUTLAST_STORE)\n")
    monkeypatch.delenv("OUTLAST_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    default = f"{unknown}: sqlite:///{folder}/outlast/outlast.db"
    said = f"{default} (the default: set OUTLAST_STORE for another one)\n"
    assert outlast("status", "a").err == said
