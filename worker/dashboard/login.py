"""The way in and out: the token, and the session that a right one begins."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, RedirectResponse

from outlast.worker.dashboard.attempts import Attempts
from outlast.worker.dashboard.guard import form_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from outlast.worker.dashboard.guard import Keys
    from outlast.worker.dashboard.live import Live
    from outlast.worker.dashboard.pages import Pages

log = logging.getLogger("outlast.dashboard")


class Login:
    """The endpoints of the login."""

    def __init__(self, keys: Keys, live: Live, pages: Pages) -> None:
        self._keys = keys
        self._live = live
        self._pages = pages
        self._attempts = Attempts()

    async def show(self, _request: Request) -> Response:
        """Ask for the token."""
        return HTMLResponse(self._pages.login())

    async def enter(self, request: Request) -> Response:
        """Begin a session if the token is right; an address with many wrong ones must wait."""
        form = await form_of(request, self._keys.seal("login"))
        # Nothing is awaited from here on: of many attempts at once each sees those before it.
        address = request.client.host if request.client else ""
        if wait := math.ceil(self._attempts.wait_seconds(address)):
            problem = f"Too many wrong tokens: wait {wait} s, then try again."
            return HTMLResponse(self._pages.login(problem=problem), 429, {"Retry-After": str(wait)})
        if not self._keys.admits(form.get("token", "")):
            count = self._attempts.fail(address)
            log.warning("a wrong token from %s, number %d in a row", address, count)
            return HTMLResponse(self._pages.login(problem="That is not the token."), 403)
        self._attempts.succeed(address)
        self._end_session(request)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self._keys.cookie,
            self._keys.sessions.begin(),
            httponly=True,
            samesite="strict",
            # A proxy with TLS speaks plain HTTP to us; the browser says where its page is from.
            secure=request.headers["origin"].startswith("https:"),
        )
        return response

    async def leave(self, request: Request) -> Response:
        """End the session, also for whoever has a copy of the cookie."""
        await form_of(request, self._keys.steering_seal(request))
        self._end_session(request)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(self._keys.cookie, httponly=True, samesite="strict")
        return response

    def _end_session(self, request: Request) -> None:
        self._keys.sessions.end(self._keys.session_of(request))
        self._live.wake()  # its streams end
