"""A client's connection: how long the client may dawdle, and how many connections there are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from asyncio import Transport

# For a whole request, from the opening of the connection or the answer before; and for taking the
# rest of that answer. Browsers need a fraction of it.
PATIENCE_SECONDS = 10.0
# Twice as many as there may be streams, and far fewer than the files that a process may open.
MAX_CONNECTIONS = 200


class Connection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with clients of which each may be an attacker.

    A client has PATIENCE_SECONDS for each request. At MAX_CONNECTIONS a new client takes the place
    of one that dawdles: of the address with the most connections the one whose turn it has been
    for longest.

    Attributes:
        address: the client's, without its port.
        since: when it was last the client's turn, on the loop's clock in seconds.
    """

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # as uvicorn
        """Wait for the first request."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._await_client()
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._await_client()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; after the beginning of a request the connection just ends."""
        request = self.cycle
        if request and (request.more_body or not request.response_complete):
            self.transport.abort()  # uvicorn would send a second answer, and fail with a traceback
        else:
            super().send_400_response(msg)

    @property
    def owes_request(self) -> bool:
        """Whether it is the client's turn: to send a request, or the rest of one."""
        request = self.cycle
        return not request or request.response_complete or request.more_body

    @property
    def dawdles(self) -> bool:
        """Whether a new client may take its place: its own neither asks nor reads the answer."""
        return self.owes_request or self.flow.write_paused

    def _await_client(self) -> None:
        self.since = self.loop.time()
        self.loop.call_later(PATIENCE_SECONDS, self._end_if_overdue, self.since)

    def _end_if_overdue(self, since: float) -> None:
        if since == self.since and (self.owes_request or self.transport.is_closing()):
            self.transport.abort()  # close() would wait until the client has taken the rest

    def _make_room(self) -> None:
        rivals = [c for c in self.connections if isinstance(c, Connection)]
        rivals = [c for c in rivals if not c.transport.is_closing()]
        crowd = Counter(c.address for c in rivals)
        dawdlers = [c for c in rivals if c.dawdles]  # this one is among them
        min(dawdlers, key=lambda c: (-crowd[c.address], c.since)).transport.abort()
