"""The connections of a client to Redis: none is lost or shared, whatever the server does."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from redis.connection import ConnectionPool

from outlast.checkpoint.errors import StoreUnavailable
from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.registers import open_register
from tests.process.faults import Valkey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

# redis-py opens no more connections than that at a time.
MOST_CONNECTIONS = 100


def test_a_server_is_found_again_however_often_it_was_not_there(tmp_path: Path) -> None:
    """After some minutes of an outage a worker would never reach its store again."""
    server = Valkey(tmp_path)
    try:
        with closing(open_register(server.url)) as register:
            register.put("jobs/one", b"first", expected=None)
            server.kill()
            for _ in range(MOST_CONNECTIONS + 1):
                with pytest.raises(StoreUnavailable, match="check that the server runs"):
                    register.read("jobs/one")
            server.restart(down_seconds=0.0)
            assert register.read("jobs/one").value == b"first"
    finally:
        server.kill()


def test_a_master_is_found_after_any_number_of_failovers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failover would take a connection for good, and the last one would stop the worker."""
    pool: Any = connect("redis+sentinel://host/primary").connection_pool
    monkeypatch.setattr(pool.connection_class, "connect", lambda _: None)
    for number in range(MOST_CONNECTIONS + 1):
        connection = pool.get_connection()
        pool.proxy.master_address = (f"host-{number}", 6379)
        pool.release(connection)
    assert not pool._available_connections


def test_a_connection_that_is_being_closed_is_not_handed_out(valkey_server: Server) -> None:
    """A thread's command would be cut off by another thread's error, and run twice."""
    client = connect(valkey_server.url)
    pool = client.connection_pool
    assert isinstance(pool, ConnectionPool)
    connection: Any = pool.get_connection()
    pool.release(connection)
    taken: list[object] = []
    user = threading.Thread(target=lambda: taken.append(pool.get_connection()))
    close = connection.disconnect

    def disconnect() -> None:
        user.start()
        user.join(0.1)
        assert not taken
        close()

    connection.disconnect = disconnect
    pool.disconnect(inuse_connections=False)
    user.join()
    assert taken == [connection]
    close()
