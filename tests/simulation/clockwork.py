"""Processes in simulated time: exactly one of them runs at any moment.

Each process is a thread that runs until it has to wait for its own time to come; then the next in
time goes on. Only the simulated times decide who that is, so a run can be repeated.
"""

from __future__ import annotations

import threading
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Crash(BaseException):
    """The process is gone. Nothing but the clockwork catches this."""


class Actor:
    """A process.

    Attributes:
        now: its own time in seconds: ahead of the world's while it computes and touches nothing.
    """

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.now = now
        self.entry = 0
        self.turn = threading.Lock()
        self.turn.acquire()
        self.thread: threading.Thread | None = None


class Clockwork:
    """Decides whose turn it is.

    Attributes:
        now: the world's time in seconds.
        events: how many turns were taken.
        is_over: whether all processes are to end.
        failure: the first exception other than Crash that a process died of.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self.failure: BaseException | None = None
        self.is_over = False
        self._order = count(1)
        self._due: list[tuple[float, int, Actor | Callable[[], None]]] = []
        self._main = Actor("main", 0.0)
        self._alive: list[Actor] = []

    def start(self, name: str, run: Callable[[Actor], None], *, after: float = 0.0) -> Actor:
        """Begin a process that does `run`, so many seconds from now."""
        actor = Actor(name, self.now + after)
        actor.thread = threading.Thread(target=self._live, args=(actor, run), daemon=True)
        self._alive.append(actor)
        actor.thread.start()
        self.wake(actor, actor.now)
        return actor

    def call(self, act: Callable[[], None], *, after: float) -> None:
        """Let something happen so many seconds from now."""
        heappush(self._due, (self.now + after, next(self._order), act))

    def wake(self, actor: Actor, at: float) -> None:
        """Give `actor` its next turn at `at` rather than at any other time."""
        actor.entry = next(self._order)
        heappush(self._due, (at, actor.entry, actor))

    def wait(self, actor: Actor) -> None:
        """Return when the world's time is `actor.now`, or when it was woken before."""
        if self.is_over:
            raise Crash
        self.events += 1
        if self._due and self._due[0][0] <= actor.now:
            self.wake(actor, actor.now)
            self._pass_on(actor)
            if self.is_over:
                raise Crash
            actor.now = self.now
        self.now = actor.now

    def run(self, seconds: float) -> None:
        """Let the world go on for so long; call it from outside of it.

        Raises:
            BaseException: what a process died of.
        """
        main = self._main
        main.now = self.now + seconds
        self.wake(main, main.now)
        self._pass_on(main)
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """End all processes."""
        self.is_over = True
        for actor in self._alive:
            actor.turn.release()
            if actor.thread is not None:
                actor.thread.join()

    def _pass_on(self, actor: Actor) -> None:
        """Let others go on until it is the turn of `actor`."""
        following = self._following()
        if following is not actor:
            following.turn.release()
            actor.turn.acquire()

    def _following(self) -> Actor:
        """Do what is due and return who is next."""
        while True:
            self.now, entry, due = heappop(self._due)
            if not isinstance(due, Actor):
                self._do(due)
            elif due.entry == entry:
                return due

    def _live(self, actor: Actor, run: Callable[[Actor], None]) -> None:
        actor.turn.acquire()
        try:
            if not self.is_over:
                run(actor)
        except Crash:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again where the world is run
            self.fail(error)
        if self.is_over:
            return
        self._alive.remove(actor)
        self._following().turn.release()

    def _do(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - as below; it is not the actor's whose turn it is
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the world with this exception, whoever may catch it."""
        self.failure = self.failure or error
        self.wake(self._main, -1.0)
