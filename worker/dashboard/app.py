"""The routes of the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from outlast.checkpoint.errors import (
    CheckpointError,
    CorruptRecord,
    InvalidJobId,
    StoreUnavailable,
    UnknownJob,
)
from outlast.worker.dashboard.guard import Guard, Keys, Refused, form_of
from outlast.worker.dashboard.listing import Query
from outlast.worker.dashboard.live import MAX_VIEWERS, Live, Parts
from outlast.worker.dashboard.pages import Pages
from outlast.worker.dashboard.steering import ASKING, BUTTONS, steer
from outlast.worker.queues.contract import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from outlast.worker.jobs.client import Client

STATIC = Path(__file__).with_name("static")

# The page of an error: its status, its heading, and whether it reloads itself.
PROBLEMS: dict[type[Exception], tuple[int, str, bool]] = {
    UnknownJob: (404, "There is no such job", False),
    InvalidJobId: (404, "There is no such job", False),
    CorruptRecord: (500, "This job cannot be read", False),
    StoreUnavailable: (503, "The store does not answer", True),
    Refused: (403, "Nothing was done", False),
}


def make_app(client: Client, keys: Keys, live: Live, *, is_local: bool) -> Starlette:
    """Return the dashboard of the jobs of `client`; see `Guard` for `is_local`."""
    dashboard = _Dashboard(client, keys, live)
    routes = [
        Route("/", dashboard.jobs),
        Route("/jobs/{job_id}", dashboard.job),
        Route("/jobs/{job_id}/{verb}", dashboard.ask, methods=["GET"]),
        Route("/jobs/{job_id}/{verb}", dashboard.steer, methods=["POST"]),
        Route("/events/jobs", dashboard.jobs_events),
        Route("/events/jobs/{job_id}", dashboard.job_events),
        Route("/login", dashboard.login, methods=["GET"]),
        Route("/login", dashboard.enter, methods=["POST"]),
        Route("/logout", dashboard.leave, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    handlers = dict.fromkeys(PROBLEMS, dashboard.problem)
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, keys=keys, is_local=is_local)],
        exception_handlers={**handlers, HTTPException: dashboard.nothing},
    )


class _Dashboard:
    """The endpoints. Those that are not async run in a thread, as they ask the store."""

    def __init__(self, client: Client, keys: Keys, live: Live) -> None:
        self._client = client
        self._keys = keys
        self._live = live
        self._pages = Pages(client.jobs, keys)

    def jobs(self, request: Request) -> Response:
        return HTMLResponse(self._pages.jobs(Query.read(request.query_params)))

    def job(self, request: Request) -> Response:
        did = request.query_params.get("did", "")
        return HTMLResponse(self._pages.job(request.path_params["job_id"], did=did))

    def ask(self, request: Request) -> Response:
        verb = request.path_params["verb"]
        if verb not in ASKING:
            raise HTTPException(404)
        return HTMLResponse(self._pages.ask(verb, request.path_params["job_id"]))

    async def steer(self, request: Request) -> Response:
        job_id, verb = request.path_params["job_id"], request.path_params["verb"]
        form = await form_of(request, self._keys, "steer")
        if verb not in BUTTONS:
            raise HTTPException(404)
        return await run_in_threadpool(self._steer, verb, job_id, form)

    def _steer(self, verb: str, job_id: str, form: dict[str, str]) -> Response:
        try:
            next_id = steer(self._client, verb, job_id, form)
        except (StoreUnavailable, UnknownJob):
            raise
        except (CheckpointError, QueueUnavailable) as error:
            return HTMLResponse(self._pages.job(job_id, problem=str(error)), 409)
        return RedirectResponse(f"/jobs/{next_id}?did={verb}", 303)

    async def jobs_events(self, request: Request) -> Response:
        query = Query.read(request.query_params)
        return self._stream(f"/{query.address}", lambda: self._pages.jobs_parts(query))

    async def job_events(self, request: Request) -> Response:
        job_id = request.path_params["job_id"]
        return self._stream(f"/jobs/{job_id}", lambda: self._pages.job_parts(job_id))

    def _stream(self, key: str, look: Callable[[], Parts]) -> Response:
        if self._live.viewers >= MAX_VIEWERS:
            return PlainTextResponse("outlast: too many viewers\n", 503)
        return StreamingResponse(self._live.events(key, look), media_type="text/event-stream")

    def login(self, _request: Request) -> Response:
        return HTMLResponse(self._pages.login())

    async def enter(self, request: Request) -> Response:
        form = await form_of(request, self._keys, "login")
        if not self._keys.admits(form.get("token", "")):
            return HTMLResponse(self._pages.login(failed=True), 403)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            self._keys.cookie,
            self._keys.seal("session"),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def leave(self, request: Request) -> Response:
        await form_of(request, self._keys, "steer")
        response = RedirectResponse("/login", 303)
        response.delete_cookie(self._keys.cookie, httponly=True, samesite="strict")
        return response

    def problem(self, _request: Request, error: Exception) -> Response:
        status, heading, again = next(v for k, v in PROBLEMS.items() if isinstance(error, k))
        return HTMLResponse(self._pages.problem(heading, str(error), again=again), status)

    def nothing(self, _request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        text = "This dashboard has no page at this address."
        return HTMLResponse(self._pages.problem("Nothing is here", text), status)
