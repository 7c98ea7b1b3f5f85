"""Every order in which the requests of several processes can reach a register."""

from __future__ import annotations

from itertools import count
from threading import Semaphore, Thread, current_thread
from typing import TYPE_CHECKING

from tests.fakes import MemoryRegister

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Stopped(BaseException):
    """Ends a process whose order of requests has been seen."""


class Process(Thread):
    """Runs `act`, and stands still before each of its requests."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._act = act
        self._may_go, self._stands = Semaphore(0), Semaphore(0)
        self._is_stopped = self.is_over = False
        self.error: Exception | None = None
        self.start()
        self._stands.acquire()

    def run(self) -> None:
        """Act; an error is kept."""
        try:
            self._act()
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            self.error = error
        self.is_over = True
        self._stands.release()

    def stand(self) -> None:
        """Let the others go first; called by the process itself."""
        self._stands.release()
        self._may_go.acquire()
        if self._is_stopped:
            raise Stopped

    def go(self) -> None:
        """Make the next request, and stand before the one after it."""
        self._may_go.release()
        self._stands.acquire()

    def stop(self) -> None:
        """End here."""
        self._is_stopped = True
        if not self.is_over:
            self.go()
        self.join()


def gated() -> MemoryRegister:
    """Return a register whose requests wait for their turn, where a `Process` makes them."""
    register = MemoryRegister()

    def wait(_: str) -> None:
        if isinstance(process := current_thread(), Process):
            process.stand()

    register.before = wait
    return register


def orders(
    begin: Callable[[], tuple[Callable[[], None], list[Callable[[], object]]]],
) -> Iterator[list[Process]]:
    """Try every order, and yield the processes after each; `begin` returns a check and the acts.

    The check is made after every request. So it covers crashes, too: a process that has crashed is
    one that comes last.
    """
    choices: list[int] = []
    while True:
        choices = yield from _run(begin, choices)
        if not choices:
            return


def _run(
    begin: Callable[[], tuple[Callable[[], None], list[Callable[[], object]]]],
    choices: list[int],
) -> Iterator[list[Process]]:
    """Follow the choices, then always choose the first; return the choices to follow next."""
    check, acts = begin()
    processes = [Process(act) for act in acts]
    options: list[int] = []
    try:
        for step in count():
            able = [process for process in processes if not process.is_over]
            if not able:
                break
            if step == len(choices):
                choices.append(0)
            options.append(len(able))
            able[choices[step]].go()
            check()
        yield processes
    finally:
        for process in processes:
            process.stop()
    while choices and choices[-1] + 1 == options[len(choices) - 1]:
        choices.pop()
    return [*choices[:-1], choices[-1] + 1] if choices else []
