"""Before every answer: is the viewer logged in, and is the request from a page of ours?"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

FORM_BYTES = 16 << 10
FIELDS = 20

# A page needs its own style sheet, script, pictures, events and forms, and nothing else.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A stricter policy would keep browsers from sending Origin with a form; it is checked below.
    "Referrer-Policy": "same-origin",
}


class Refused(Exception):
    """A form that no page of ours sent. Load the page again."""


class Keys:
    """The secrets of one process, for the login and for the forms of its pages.

    Attributes:
        token: what a person enters to log in; None: everyone who reaches the port may look.
        cookie: the name of the session's cookie.
    """

    def __init__(self, token: str | None, port: int) -> None:
        self.token = token
        # With the port, as a browser sends a cookie to every port of a host.
        self.cookie = f"outlast-{port}"
        self._secret = secrets.token_bytes(32)

    def seal(self, purpose: str) -> str:
        """Return this process's secret for a purpose, which nobody outside can compute."""
        return hmac.new(self._secret, purpose.encode(), hashlib.sha256).hexdigest()

    def opens(self, purpose: str, seal: str) -> bool:
        """Whether `seal` is that of the purpose, compared in constant time."""
        return hmac.compare_digest(self.seal(purpose).encode(), seal.encode())

    def admits(self, token: str) -> bool:
        """Whether a person may log in with `token`."""
        expected = self.token
        return expected is not None and hmac.compare_digest(expected.encode(), token.encode())

    def knows(self, request: Request) -> bool:
        """Whether the viewer who sent the request may look at the pages."""
        return self.token is None or self.opens("session", request.cookies.get(self.cookie, ""))


class Guard:
    """ASGI middleware: refuses foreign requests, and adds HEADERS to every answer."""

    def __init__(self, app: ASGIApp, *, keys: Keys, is_local: bool) -> None:
        """Guard `app`; with `is_local` it answers only to this machine's own names."""
        self._app = app
        self._keys = keys
        self._is_local = is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await (self._refusal(Request(scope)) or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if self._is_local and not is_loopback(_name(host)):
            # An attacker can give this address a name of a foreign site, whose pages could read it.
            return _refuse(421, "this dashboard answers to 127.0.0.1 and localhost only")
        if request.method not in {"GET", "HEAD"} and not _is_own(request, host):
            return _refuse(403, "this came from another site's page")
        path = request.url.path
        if path == "/login" or path.startswith("/static/") or self._keys.knows(request):
            return None
        if path.startswith("/events/"):
            return _refuse(401, "log in first")
        return RedirectResponse("/login", 303)


async def form_of(request: Request, keys: Keys, purpose: str) -> dict[str, str]:
    """Return the fields of a form that a page of ours sent.

    Raises:
        Refused: another page sent it, it is from before a restart, or it is too large.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            raise Refused(f"the form is larger than {FORM_BYTES:,} bytes")
    try:
        form = dict(parse_qsl(body.decode(), max_num_fields=FIELDS))
    except ValueError:  # no UTF-8, or too many fields
        raise Refused("this is not a form of the dashboard") from None
    if not keys.opens(purpose, form.pop("csrf", "")):
        raise Refused("the page is from before the dashboard was restarted: go back, reload it")
    return form


def is_loopback(host: str) -> bool:
    """Whether `host` always means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_own(request: Request, host: str) -> bool:
    """Whether a page of this address sent the request, by the browser's Origin header."""
    return request.headers.get("origin") in {f"http://{host}", f"https://{host}"}


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _refuse(status: int, reason: str) -> Response:
    return PlainTextResponse(f"outlast: {reason}\n", status)
