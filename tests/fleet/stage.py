"""Threads of which one runs at any moment, from one effect to the next."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Crash(BaseException):
    """The process is gone. Only its own thread's outermost loop catches this."""


class _Here(threading.local):
    actor: Actor | None = None


# `HERE.actor` is who the running thread plays.
HERE = _Here()


class Actor:
    """Whoever has effects: a worker, a person, a sweep.

    Attributes:
        at: before which effect it stands; "": it has nothing to do.
        fate: what is to become of that effect; "": nothing special.
    """

    def __init__(self, stage: Stage, name: str) -> None:
        self.name = name
        self.at = ""
        self.fate = ""
        self._stage = stage
        self._task: Callable[[], None] | None = None
        self._turn = threading.Lock()
        self._turn.acquire()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return self.name

    @property
    def is_busy(self) -> bool:
        """Whether it has something to do."""
        return self._task is not None

    def begin(self, task: Callable[[], None]) -> None:
        """Give it something to do, and let it go on to its first effect."""
        self._task = task
        self.go()

    def go(self, fate: str = "") -> None:
        """Let it have its effect, with this fate, and go on to the next one."""
        self.fate = fate
        self._turn.release()
        self._stage.turn.acquire()

    def stop(self, at: str) -> str:
        """Stand before an effect until it is this one's turn; return the effect's fate."""
        if self._stage.is_over:
            raise Crash
        self.at = at
        self._stage.turn.release()
        self._turn.acquire()
        if self._stage.is_over or self.fate == "crash":
            raise Crash
        return self.fate

    def _live(self) -> None:
        HERE.actor = self
        while True:
            self._turn.acquire()
            if self._stage.is_over:
                return
            try:
                assert self._task is not None
                self._task()
            except Crash:
                self._stage.crashed(self)
            except BaseException as error:  # noqa: BLE001 - it is told where the world is run
                self._stage.failure = self._stage.failure or error
            self._task, self.at = None, ""
            if self._stage.is_over:
                return
            self._stage.turn.release()

    def leave(self) -> None:
        """End the thread, wherever it stands."""
        self._turn.release()
        self._thread.join()


class Stage:
    """Where they act.

    Attributes:
        crashed: called where one of them crashes.
        failure: the first exception that came out of what one of them was to do.
    """

    def __init__(self, crashed: Callable[[Actor], None]) -> None:
        self.crashed = crashed
        self.turn = threading.Lock()
        self.turn.acquire()
        self.is_over = False
        self.failure: BaseException | None = None
        self._actors: list[Actor] = []

    def enter(self, name: str) -> Actor:
        """Return a new actor."""
        self._actors.append(Actor(self, name))
        return self._actors[-1]

    def close(self) -> None:
        """End all of them."""
        self.is_over = True
        for actor in self._actors:
            actor.leave()
