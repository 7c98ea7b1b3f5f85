"""The client for programs that await."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from outlast.worker.jobs.client import Client
from outlast.worker.jobs.mapping import results, submit_all
from outlast.worker.jobs.waiting import ends, result_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

    from outlast.checkpoint.record import Record
    from outlast.worker.settings import Settings

T = TypeVar("T")


class AsyncClient:
    """A store and a queue, as the settings name them, for use from an event loop.

    Each method promises what `Client`'s of the same name does, and raises the same. The clients of
    SQLite, S3 and SQS do not await, so each request runs in a thread of asyncio's default executor.
    None is held while a job is waited for, only while it is looked at. Whoever waits for many jobs
    had better use one `map` than a `wait` for each: it looks at a hundred in one request.

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

    async def submit(
        self,
        kernel: str,
        /,
        *,
        job_id: str | None = None,
        tags: Sequence[str] = (),
        notify: Sequence[str] = (),
        **params: Any,
    ) -> str:
        """Store a job, wake it and return its id."""
        options: dict[str, Any] = {"job_id": job_id, "tags": tags, "notify": notify}
        return await asyncio.to_thread(self.client.submit, kernel, **options, **params)

    async def status(self, job_id: str) -> Record:
        """Return the job as it is stored."""
        return await asyncio.to_thread(self.client.status, job_id)

    async def result(self, job_id: str) -> Any:
        """Return the result as a JSON value."""
        return await asyncio.to_thread(self.client.result, job_id)

    async def wait(
        self,
        job_id: str,
        *,
        timeout_seconds: float | None = None,
        watch: Callable[[Record], None] = lambda _: None,
    ) -> Any:
        """Wait until the job is over and return its result; `watch` is called in a thread."""
        jobs = self.client.jobs
        looks = ends(jobs, [job_id], timeout_seconds=timeout_seconds, watch=watch)
        async for record in _awaited(looks):
            return result_of(record)
        raise AssertionError  # a wait ends in a job or an error

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
        new = partial(self.client.new, kernel, job_id=None, tags=tags, notify=notify)
        pairs = await asyncio.to_thread(submit_all, self.client, params, new, name=name)
        looks = results(
            self.client,
            pairs,
            as_completed=as_completed,
            return_exceptions=return_exceptions,
            timeout_seconds=timeout_seconds,
        )
        async for item in _awaited(looks):
            yield item

    async def fork(
        self,
        job_id: str,
        *,
        generation: int | None = None,
        new_id: str | None = None,
        store: str | None = None,
    ) -> str:
        """Store a new job that goes on from a checkpoint of another one; return its id."""
        options: dict[str, Any] = {"generation": generation, "new_id": new_id, "store": store}
        return await asyncio.to_thread(self.client.fork, job_id, **options)

    async def cancel(self, job_id: str) -> Record:
        """Stop the job for good."""
        return await asyncio.to_thread(self.client.cancel, job_id)

    async def pause(self, job_id: str) -> Record:
        """Stop the job until it is resumed."""
        return await asyncio.to_thread(self.client.pause, job_id)

    async def delete(self, job_id: str, *, force: bool = False) -> None:
        """Remove a job that is over, or with `force` any, with all that is stored of it."""
        await asyncio.to_thread(self.client.delete, job_id, force=force)

    async def resume(self, job_id: str) -> Record:
        """Let a paused job go on, and wake it."""
        return await asyncio.to_thread(self.client.resume, job_id)

    async def retry(
        self,
        job_id: str,
        *,
        max_slices: int | None = None,
        max_compute_seconds: float | None = None,
    ) -> Record:
        """Let a failed job go on from its last checkpoint, and wake it."""
        ceilings: dict[str, Any] = {
            "max_slices": max_slices,
            "max_compute_seconds": max_compute_seconds,
        }
        return await asyncio.to_thread(self.client.retry, job_id, **ceilings)

    async def records(self, *, after: str = "") -> AsyncIterator[Record]:
        """Yield all jobs whose id sorts after `after`, by id; the states are left empty."""
        async for record in _awaited(self.client.records(after=after)):
            yield record

    async def sweep(self, *, after_seconds: float | None = None) -> list[str]:
        """Wake the jobs whose message was lost; return their ids."""
        return await asyncio.to_thread(self.client.sweep, after_seconds=after_seconds)


async def _awaited(items: Iterator[T | float]) -> AsyncIterator[T]:
    """Yield the items that are no seconds to wait, and await those; each is made in a thread."""
    # In a list, as StopIteration cannot leave a thread; at the end it is empty.
    while item := await asyncio.to_thread(lambda: list(islice(items, 1))):
        if isinstance(item[0], float):
            await asyncio.sleep(item[0])
        else:
            yield item[0]
