"""The server process of the dashboard."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import uvicorn

from outlast.worker.dashboard.app import make_app
from outlast.worker.dashboard.connection import Connection
from outlast.worker.dashboard.guard import Keys, is_loopback
from outlast.worker.dashboard.live import Live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.deadline import Deadline

# Streams end immediately; other answers may take so long.
ENDING_SECONDS = 3
BACKLOG = 128
MAX_HEAD_BYTES = 16 << 10
# Each stands for every address of this machine.
EVERY_ADDRESS = {"0.0.0.0", "::"}  # noqa: S104 - which a person may ask for


class CannotListen(Exception):
    """The address cannot be used: another program has it, or it is another machine's."""


class Address(NamedTuple):
    """Where to listen, port 0 for any free one, and the token of the login; None: no login."""

    host: str
    port: int
    token: str | None


def serve(
    client: Client, address: Address, *, stop: Deadline, announce: Callable[[str], None]
) -> None:
    """Serve until `stop` has a reason; `announce` is called with the URL when it answers.

    Raises:
        CannotListen: nothing was served.
    """
    host = address.host
    with _listen(host, address.port) as listener:
        port = listener.getsockname()[1]
        live = Live()
        app = make_app(client, Keys(address.token, port), live, is_local=is_loopback(host))
        config = uvicorn.Config(
            app,
            # Pinned: another parser or loop that happens to be installed has other bounds.
            http=Connection,
            loop="asyncio",
            ws="none",
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            backlog=BACKLOG,
            log_config=None,
            log_level="error",  # a stranger's bad request is no news
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=ENDING_SECONDS,
        )
        # A browser takes no address that stands for all of this machine's.
        here = "localhost" if host in EVERY_ADDRESS else host
        name = f"[{here}]" if ":" in here else here
        server = _Server(config, live, stop, lambda: announce(f"http://{name}:{port}/"))
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, stopped by a flag instead of its own signal handlers."""

    def __init__(
        self, config: uvicorn.Config, live: Live, stop: Deadline, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._live, self._stop, self._announce = live, stop, announce

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._stop.reason is not None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._live.close()
        await super().shutdown(sockets)


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = addresses[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(
            f"{host}:{port}: {error.strerror or error}; choose another --host or --port"
        ) from None
    with listener:
        # Connections inherit it. asyncio leaves it off for a socket that it did not make, and each
        # answer would wait 40 ms for the client to acknowledge its headers.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener
