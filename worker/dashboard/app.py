"""The routes of the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from outlast.checkpoint.errors import (
    CheckpointError,
    CorruptRecord,
    InvalidJobId,
    StoreUnavailable,
    UnknownJob,
)
from outlast.checkpoint.fleet import MAX_PARTS
from outlast.worker.dashboard.guard import Guard, Keys, Refused, form_of
from outlast.worker.dashboard.listing import Query
from outlast.worker.dashboard.live import MAX_VIEWERS, Live, Parts
from outlast.worker.dashboard.login import Login
from outlast.worker.dashboard.pages import Pages
from outlast.worker.dashboard.rendering import Rendering
from outlast.worker.dashboard.steering import ASKING, BUTTONS, steer
from outlast.worker.dashboard.workers_page import WorkersPage, WorkersQuery
from outlast.worker.queues.contract import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from outlast.worker.jobs.client import Client

STATIC = Path(__file__).with_name("static")

# How many digits the number of a part has at most.
PART_DIGITS = len(str(MAX_PARTS))
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
    rendering = Rendering(keys)
    pages, workers = Pages(client.jobs, rendering), WorkersPage(client, rendering)
    dashboard, login = _Dashboard(client, keys, live, pages, workers), Login(keys, live, pages)
    routes = [
        Route("/", dashboard.jobs),
        Route("/workers", dashboard.workers),
        Route("/jobs/{job_id}", dashboard.job),
        Route("/jobs/{job_id}/parts", dashboard.part, methods=["GET"]),
        Route("/jobs/{job_id}/{verb}", dashboard.ask, methods=["GET"]),
        Route("/jobs/{job_id}/{verb}", dashboard.steer, methods=["POST"]),
        Route("/events/jobs", dashboard.jobs_events),
        Route("/events/jobs/{job_id}", dashboard.job_events),
        Route("/events/workers", dashboard.workers_events),
        Route("/login", login.show, methods=["GET"]),
        Route("/login", login.enter, methods=["POST"]),
        Route("/logout", login.leave, methods=["POST"]),
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

    def __init__(
        self, client: Client, keys: Keys, live: Live, pages: Pages, workers: WorkersPage
    ) -> None:
        self._client = client
        self._keys = keys
        self._live = live
        self._pages = pages
        self._workers = workers

    def jobs(self, request: Request) -> Response:
        query, csrf = Query.read(request.query_params), self._keys.steering_seal(request)
        unknown = Query.unknown_in(request.query_params)
        return HTMLResponse(self._pages.jobs(query, unknown=unknown, csrf=csrf))

    def workers(self, request: Request) -> Response:
        query = WorkersQuery.read(request.query_params)
        csrf = self._keys.steering_seal(request)
        return HTMLResponse(self._workers.whole(query, csrf=csrf))

    def job(self, request: Request) -> Response:
        job_id, did = request.path_params["job_id"], request.query_params.get("did", "")
        csrf = self._keys.steering_seal(request)
        return HTMLResponse(self._pages.job(job_id, csrf=csrf, did=did))

    def part(self, request: Request) -> Response:
        number = request.query_params.get("part", "")
        if not (number.isascii() and number.isdecimal() and len(number) <= PART_DIGITS):
            raise HTTPException(404)
        job_id, csrf = request.path_params["job_id"], self._keys.steering_seal(request)
        return HTMLResponse(self._pages.part(job_id, int(number), csrf=csrf))

    def ask(self, request: Request) -> Response:
        job_id, verb = request.path_params["job_id"], request.path_params["verb"]
        if verb not in ASKING:
            raise HTTPException(404)
        csrf = self._keys.steering_seal(request)
        return HTMLResponse(self._pages.ask(verb, job_id, csrf=csrf))

    async def steer(self, request: Request) -> Response:
        job_id, verb = request.path_params["job_id"], request.path_params["verb"]
        csrf = self._keys.steering_seal(request)
        form = await form_of(request, csrf)
        if verb not in BUTTONS:
            raise HTTPException(404)
        return await run_in_threadpool(self._steer, verb, job_id, form, csrf)

    def _steer(self, verb: str, job_id: str, form: dict[str, str], csrf: str) -> Response:
        try:
            next_id = steer(self._client, verb, job_id, form)
        except (StoreUnavailable, UnknownJob):
            raise
        except (CheckpointError, QueueUnavailable) as error:
            return HTMLResponse(self._pages.job(job_id, csrf=csrf, problem=str(error)), 409)
        return RedirectResponse(f"/jobs/{next_id}?did={verb}", 303)

    async def jobs_events(self, request: Request) -> Response:
        query = Query.read(request.query_params)
        return self._stream(request, f"/{query.address}", lambda: self._pages.jobs_parts(query))

    async def job_events(self, request: Request) -> Response:
        job_id = request.path_params["job_id"]
        return self._stream(request, f"/jobs/{job_id}", lambda: self._pages.job_parts(job_id))

    async def workers_events(self, request: Request) -> Response:
        query = WorkersQuery.read(request.query_params)
        key = f"/workers{query.address}"
        return self._stream(request, key, lambda: self._workers.parts(query))

    def _stream(self, request: Request, key: str, look: Callable[[], Parts]) -> Response:
        return _Stream(self._live, key, look, lambda: self._keys.knows(request))

    def problem(self, _request: Request, error: Exception) -> Response:
        status, heading, again = next(v for k, v in PROBLEMS.items() if isinstance(error, k))
        return HTMLResponse(self._pages.problem(heading, str(error), again=again), status)

    def nothing(self, _request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        text = "This dashboard has no page at this address."
        return HTMLResponse(self._pages.problem("Nothing is here", text), status)


class _Stream(Response):
    """The changes of a page, sent to one of MAX_VIEWERS viewers; others are turned away."""

    def __init__(
        self, live: Live, key: str, look: Callable[[], Parts], may_look: Callable[[], bool]
    ) -> None:
        super().__init__(media_type="text/event-stream")
        self._live, self._key, self._look, self._may_look = live, key, look, may_look

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        # Nothing is awaited between the count and the entry, so that no two take the last place.
        if self._live.viewers >= MAX_VIEWERS:
            await PlainTextResponse("outlast: too many viewers\n", 503)(scope, receive, send)
            return
        with self._live.viewer(self._key, self._look, self._may_look) as events:
            await StreamingResponse(events, media_type=self.media_type)(scope, receive, send)
