"""The kernel in a child process, which can be killed when it does not return.

    parent                        child
    the arrays of the
    parameters and the state ->
    "go on", seconds left ->      runs the kernel to its next safe point
                          <-      what it prints and logs: `lines.py`
                          <-      the state, the result or the error
    closes the pipe       ->      closes the kernel and exits

A state with arrays stays in the child. While the kernel is at its safe point, the parent may ask:

    "bulk_bytes"          ->
                          <-      the size of its arrays
    "progress", "metrics" ->
                          <-      what the kernel says of them
    "stored"              ->
                          <-      its JSON, then its arrays as they are

Between the two is a watcher, which ends all that the kernel has started: `watcher.py`.

The parent keeps the last whole state, or has stored one with arrays lately, and does all the
housekeeping, so a child may be lost at any moment. It waits in short turns, so that the deadline is
kept however long a step takes.

The child is spawned, not forked: a fork would copy sockets, and locks held by threads that the
copy does not have, and a kernel whose threads ran in the parent would hang in it. Only Process and
Pipe are used, which need no /dev/shm (AWS Lambda has none).
"""

from __future__ import annotations

import pickle
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from outlast.kernel.bulk import Stored, loaded, new_row
from outlast.kernel.contract import no_limit
from outlast.kernel.parts import PartKernel, class_of
from outlast.worker.slices.deadline import stop_signals_held_back
from outlast.worker.slices.held import BUSY, Busy, Held
from outlast.worker.slices.isolation.lines import ChildLines, levels
from outlast.worker.slices.isolation.rows import receive_arrays, send_stored

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from outlast.kernel import Resources
    from outlast.worker.slices.worker_process import AnyKernel

# How late the parent may see its deadline while it waits; a turn costs some 30 µs.
TURN_SECONDS = 0.02
# How long the end of the child takes after that of its pipe.
GRACE_SECONDS = 0.1
# How long the watcher has for the end of all that the kernel has started, before it is killed.
LEAVE_SECONDS = 2.0


class Crashed(Exception):
    """The kernel's process ended in the middle of a step; the message says by what."""


def isolated(
    kernel: AnyKernel, begin: list[Stored], resources: Resources
) -> Generator[Any, None, Any]:
    """Run the kernel in a child process, from its parameters and its state if there is one.

    Yields what the kernel yields, or a `Held` for a state with arrays, and `BUSY` whenever a step
    takes longer than a turn; raises what it raises and returns what it returns. Closing this
    generator ends the child and all processes that it started: asked first, killed 0.2 s later at
    most. The class of the kernel, of a part that of the whole, must be one that a new process can
    import and make without arguments, as the registry does.

    Raises:
        Crashed: the child died of a signal, or exited.
    """
    # Late, because a worker that isolates nothing should not pay for it at its start.
    from multiprocessing import get_context
    from multiprocessing.resource_tracker import ensure_running

    from outlast.worker.slices.isolation.child import serve

    ensure_running()  # It lets stop signals through where it starts its own process.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    heard, said = context.Pipe(duplex=False)
    granted = replace(resources, seconds_left=no_limit)  # A function of this process stays here.
    # As bytes, so that nothing of the kernel is loaded before the watcher is there.
    task = pickle.dumps((class_of(kernel), isinstance(kernel, PartKernel), granted))
    arguments = (theirs, task, len(begin), said, levels())
    with ours, ChildLines(heard) as lines:
        child = _Child(ours, context.Process(target=serve, args=arguments), lines)
        with theirs, said, stop_signals_held_back():
            child.process.start()
        try:
            child.give(begin)
            begin.clear()
            while True:
                answer, value = yield from child.go_on(resources.seconds_left())
                if answer == "value":
                    return value
                if answer == "result":
                    return loaded(kernel.Result, *child.arrays(value))
                if answer == "error":
                    raise value
                yield child if answer == "held" else value
        finally:
            ours.close()
            _end(child.process, lines)


class _Child(Held):
    """The child process; it stands for its newest state where that has arrays."""

    def __init__(self, pipe: Connection, process: SpawnProcess, lines: ChildLines) -> None:
        self._pipe, self._lines = pipe, lines
        self.process = process

    def give(self, models: list[Stored]) -> None:
        """Send what the kernel begins with."""
        with self._crashed():
            for model in models:
                send_stored(self._pipe, model)

    def go_on(self, seconds_left: float) -> Generator[Busy, None, tuple[str, Any]]:
        """Let the child take one step; yield while it is at it and return its answer."""
        with self._crashed():
            self._pipe.send(("go on", seconds_left))
            while not self._has_answered():
                yield BUSY
            answer = self._received()
        self._lines.log()
        return answer

    def arrays(self, value: Any, row: Callable[[int], memoryview | None] = new_row) -> Stored:
        """Receive the arrays of a model whose first message had this value."""
        with self._crashed():
            return receive_arrays(self._pipe, value, row)

    def bulk_bytes(self) -> int:
        """Return the size of its arrays."""
        return int(self._answer("bulk_bytes"))

    def progress(self) -> float:
        """Return what the kernel says of its progress."""
        return float(self._answer("progress"))

    def metrics(self) -> Mapping[str, float]:
        """Return what the kernel says of its own figures."""
        figures: Mapping[str, float] = self._answer("metrics")
        return figures

    def stored(self, max_bytes: int, row: Callable[[int], memoryview | None]) -> Stored:
        """Return what `stored_state` does for it, with its arrays in `row`."""
        return self.arrays(self._answer("stored", max_bytes), row)

    def _answer(self, *question: Any) -> Any:
        """Return what the child answers between two steps."""
        with self._crashed():
            self._pipe.send(question)
            while not self._has_answered():
                pass
            answer, value = self._received()
        if answer == "error":
            raise value
        return value

    def _has_answered(self) -> bool:
        """Wait for an answer for a turn, and log what the child says meanwhile: else it may wait.

        Raises:
            EOFError: it has ended.
        """
        from multiprocessing.connection import wait

        if self._pipe in wait([self._pipe, *self._lines.sources], TURN_SECONDS):
            return True
        self._lines.log()
        # The pipe may still be open in a process that it has forked.
        if self.process.exitcode is not None and not self._pipe.poll():
            raise EOFError
        return False

    def _received(self) -> tuple[str, Any]:
        data = self._pipe.recv_bytes()
        answer: tuple[str, Any] = pickle.loads(data)  # noqa: S301 - from our own child
        return answer

    @contextmanager
    def _crashed(self) -> Iterator[None]:
        """Say what has ended the child where it does not answer any more."""
        try:
            yield
        except (EOFError, OSError):  # The latter where it ended in the middle of an answer.
            self.process.join(GRACE_SECONDS)
            raise Crashed(f"the kernel's process {ending_of(self.process.exitcode)}") from None


def ending_of(code: int | None) -> str:
    """Return in words how a process has ended; None: it has not, but does not answer any more."""
    if code is None:
        return "closed its pipe"
    if code >= 0:
        return f"exited with code {code}"
    name = next((known.name for known in signal.Signals if known == -code), f"signal {-code}")
    hint = ", which is what the system sends when memory runs out"
    return f"was ended by {name}{hint if name == 'SIGKILL' else ''}"


def _end(child: SpawnProcess, lines: ChildLines) -> None:
    """Wait for the child, which has been asked to leave; kill it if need be."""
    from multiprocessing.connection import wait

    end = time.monotonic() + LEAVE_SECONDS
    while child.is_alive() and (left := end - time.monotonic()) > 0:
        wait([child.sentinel, *lines.sources], left)
        lines.log()  # Else it may wait for us.
    child.kill()
    child.join()
    child.close()
