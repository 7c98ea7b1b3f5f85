"""The client for asyncio."""

from __future__ import annotations

import asyncio
from functools import partial, wraps
from itertools import islice
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from outlast.checkpoint.job_heads import HEADS_AT_ONCE
from outlast.worker.jobs.arrays import outcome_of, result_with_arrays
from outlast.worker.jobs.client import Client
from outlast.worker.jobs.waiting import looks

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Callable,
        Coroutine,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from outlast.checkpoint.head import Head
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.waiting import Look
    from outlast.worker.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")


def _in_thread(
    method: Callable[Concatenate[Client, P], T],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    """Return the method of `AsyncClient` that runs this one of `Client` in a thread."""

    @wraps(method)
    async def call(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(method, self.client, *args, **kwargs)

    return call


class AsyncClient:
    """A store and a queue, as the settings name them, for use from an event loop.

    Each method promises what `Client`'s of the same name does, and raises the same. The clients of
    SQLite, S3 and SQS do not await, so each request runs in a thread of asyncio's default executor.
    A wait takes a thread only while it looks at jobs. To wait for many jobs prefer one `map` to a
    `wait` for each: it looks at a hundred in one request.

    A call that is cancelled may have been done all the same.

    Attributes:
        client: the client that does the work, for what is not here.
    """

    def __init__(
        self,
        store: str | None = None,
        queue: str | None = None,
        *,
        settings: Settings | None = None,
        read_only: bool = False,
    ) -> None:
        """See `Client`."""
        self.client = Client(store, queue, settings=settings, read_only=read_only)

    submit = _in_thread(Client.submit)
    submit_all = _in_thread(Client.submit_all)
    fork = _in_thread(Client.fork)
    status = _in_thread(Client.status)
    result = _in_thread(Client.result)
    cancel = _in_thread(Client.cancel)
    pause = _in_thread(Client.pause)
    resume = _in_thread(Client.resume)
    retry = _in_thread(Client.retry)
    delete = _in_thread(Client.delete)
    sweep = _in_thread(Client.sweep)

    async def wait(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        watch: Callable[[Head], None] = lambda _: None,
    ) -> Any:
        """Wait until the job is over and return its result; `watch` is called in a thread."""
        jobs, blobs = self.client.jobs, self.client.blobs
        looking = looks(jobs, [({}, job_id)], timeout_seconds=timeout_seconds, watch=watch)
        [record] = [record async for _, record in _ends(looking)]
        return await asyncio.to_thread(result_with_arrays, record, blobs)

    async def map(  # noqa: PLR0913 - each is an option of its own, given by name
        self,
        kernel: str,
        params: Iterable[Mapping[str, Any]],
        /,
        *,
        name: str | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
        as_completed: bool = False,
        return_exceptions: bool = False,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[tuple[Mapping[str, Any], Any]]:
        """Submit a job for each of `params`, at the first step, and yield each with its result."""
        blobs = self.client.blobs
        outcome = partial(outcome_of, blobs=blobs, return_exceptions=return_exceptions)
        pairs = await self.submit_all(kernel, params, name=name, tags=tags, notify=notify)
        looking = looks(
            self.client.jobs, pairs, in_order=not as_completed, timeout_seconds=timeout_seconds
        )
        async for each, record in _ends(looking):
            yield each, await asyncio.to_thread(outcome, record)

    async def records(self, *, after: str = "") -> AsyncIterator[Record]:
        """Yield all jobs whose id sorts after `after`, by id; the states are not read."""
        records = self.client.records(after=after)
        while page := await asyncio.to_thread(lambda: list(islice(records, HEADS_AT_ONCE))):
            for record in page:
                yield record


async def _ends(looking: Iterator[Look]) -> AsyncIterator[tuple[Mapping[str, Any], Record]]:
    """Yield the ends that the looks show, each made in a thread, and await between two looks."""
    while look := await asyncio.to_thread(next, looking, None):
        for end in look.ends:
            yield end
        await asyncio.sleep(look.pause_seconds)
