"""Threads of simulated processes, of which each is in simulated time, too."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

from outlast.checkpoint.blobs import cutting, deletion, sending
from outlast.worker.jobs import new_job
from outlast.worker.slices import arrays
from outlast.worker.slices.claimed_job import ClaimedJob
from outlast.worker.slices.heartbeat import BEAT_SECONDS
from tests.simulation.clockwork import Crash
from tests.simulation.painting import Painting
from tests.simulation.process import HERE
from tests.unlocked import unlocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.clockwork import Actor
    from tests.simulation.process import Process

# Small enough that a few numbers are several chunks.
CHUNK_BYTES, SMALL_BYTES = 64, 32


class Thread:
    """A thread of the process that makes it: an actor with a time of its own, which dies with it.

    It has what the product uses of `threading.Thread`.
    """

    def __init__(self, target: Callable[[], object], name: str, *, daemon: bool) -> None:
        assert daemon, "it would keep a killed worker from ending"
        self._process: Process = HERE.process
        self._target, self._name = target, name
        self._actor: Actor | None = None
        self._joiner: Actor | None = None

    def start(self) -> None:
        """Begin at this moment."""
        process, clockwork = self._process, self._process.world.clockwork
        if not process.is_alive or clockwork.is_over:
            raise Crash
        if not process.threads:
            process.sends_since = process.clock()
        name = f"{process}:{self._name.removeprefix('outlast-')}"
        after = process.clock() - clockwork.now
        self._actor = actor = clockwork.start(name, self._live, after=after)
        assert actor.thread is not None
        assert actor.thread.ident is not None
        process.threads[actor.thread.ident] = actor

    def _live(self, actor: Actor) -> None:
        process, HERE.process = self._process, self._process
        try:
            self._target()
        finally:
            self._actor = None
            del process.threads[threading.get_ident()]
            if not process.threads and process.sends_since is not None:
                lasted = actor.now - process.sends_since
                process.longest_send_seconds = max(process.longest_send_seconds, lasted)
                process.sends_since = None
            # A process that has crashed waits for nothing.
            if self._joiner is not None and process.is_alive:
                process.world.clockwork.wake(self._joiner, actor.now)

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self._actor is not None

    def join(self) -> None:
        """Wait until it has ended, while the heart beats."""
        process = self._process
        process.meet("while it waits for a thread")
        while self._actor is not None:
            actor, began = process.actor, process.clock()
            actor.now += BEAT_SECONDS
            if process.killed_at is not None:
                actor.now = min(actor.now, process.killed_at)
            self._joiner = actor
            process.world.clockwork.wait(actor)
            self._joiner = None
            process.meet("while it waits for a thread")
            if process.clock() >= began + BEAT_SECONDS:
                process.beat()


class Pool:
    """Does one thing after another that a `ThreadPoolExecutor` does at a time."""

    def __init__(self, _threads: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, act: Callable[..., Any], *arguments: Any) -> Iterator[Any]:
        """Do `act` with each of the arguments, as the answers are asked for."""
        return map(act, *arguments)


@contextmanager
def simulated_threads(free_bytes: float) -> Iterator[None]:
    """Let all threads that deal with arrays be simulated within the block.

    `free_bytes` is how much memory every machine has for copies of them.
    """
    with ExitStack() as stack:
        for module in (sending, deletion):
            fake = SimpleNamespace(Thread=Thread, Lock=threading.Lock)
            stack.enter_context(patch.object(module, "threading", fake))
        stack.enter_context(patch("concurrent.futures.ThreadPoolExecutor", Pool))
        stack.enter_context(
            patch.multiple(cutting, CHUNK_BYTES=CHUNK_BYTES, SMALL_BYTES=SMALL_BYTES)
        )
        stack.enter_context(patch.object(arrays, "available_bytes", lambda: free_bytes))
        stack.enter_context(patch.object(new_job, "load", lambda _: Painting))
        stack.enter_context(unlocked(ClaimedJob))
        yield
