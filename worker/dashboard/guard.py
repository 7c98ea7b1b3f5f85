"""Before every answer: is the viewer logged in, and is the request from a page of ours?"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from outlast.worker.dashboard.sessions import Sessions

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
        cookie: the name of the cookie that holds a session.
        sessions: those that are open.
    """

    def __init__(self, token: str | None, port: int) -> None:
        self.token = token
        # With the port, as a browser sends a cookie to every port of a host.
        self.cookie = f"outlast-{port}"
        self.sessions = Sessions()
        self._secret = secrets.token_bytes(32)

    def seal(self, purpose: str) -> str:
        """Return this process's secret for a purpose, which nobody outside can compute."""
        return hmac.new(self._secret, purpose.encode(), hashlib.sha256).hexdigest()

    def steering_seal(self, request: Request) -> str:
        """Return the secret of the forms that steer jobs, on the pages of the viewer's session."""
        return self.seal(f"steer {self.session_of(request)}")

    def admits(self, token: str) -> bool:
        """Whether a person may log in with `token`."""
        expected = self.token
        return expected is not None and hmac.compare_digest(expected.encode(), token.encode())

    def session_of(self, request: Request) -> str:
        """Return the session in the viewer's cookie; "": there is none, or no login."""
        return "" if self.token is None else request.cookies.get(self.cookie, "")

    def knows(self, request: Request) -> bool:
        """Whether the viewer who sent the request may look at the pages."""
        return self.token is None or self.sessions.has(self.session_of(request))


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


async def form_of(request: Request, seal: str) -> dict[str, str]:
    """Return the fields of a form that a page of ours sent, with `seal` in it.

    Raises:
        Refused: another page sent it, it is from another session, too large, or not whole.
    """
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > FORM_BYTES:
                raise Refused(f"the form is larger than {FORM_BYTES:,} bytes")
    except ClientDisconnect:
        raise Refused("the form did not arrive whole") from None
    try:
        form = dict(parse_qsl(body.decode(), max_num_fields=FIELDS))
    except ValueError:  # no UTF-8, or too many fields
        raise Refused("this is not a form of the dashboard") from None
    if not hmac.compare_digest(seal.encode(), form.pop("csrf", "").encode()):
        raise Refused("the page is from before a restart or a login: go back, reload it")
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
