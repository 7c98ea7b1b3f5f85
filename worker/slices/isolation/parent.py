"""The kernel in a child process, which can be killed when it does not return.

    parent                        child
    the seconds left      ->      runs the kernel to its next safe point
                          <-      what it prints and logs: `lines.py`
                          <-      the state, the result or the error
    closes the pipe       ->      closes the kernel and exits

Between the two is a watcher, which ends all that the kernel has started: `watcher.py`.

The parent keeps the last whole state and does all the housekeeping, so a child may be lost at any
moment. It waits in short turns, so that the deadline is kept however long a step takes.

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

from outlast.kernel.contract import no_limit
from outlast.worker.slices.deadline import STOP_SIGNALS
from outlast.worker.slices.isolation.lines import ChildLines, levels

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from outlast.kernel import Kernel, Resources

# How late the parent may see its deadline while it waits; a turn costs some 30 µs.
TURN_SECONDS = 0.02
# How long the end of the child takes after that of its pipe.
GRACE_SECONDS = 0.1
# How long the watcher has for the end of all that the kernel has started, before it is killed.
LEAVE_SECONDS = 2.0


class Crashed(Exception):
    """The kernel's process ended in the middle of a step; the message says by what."""


class Busy:
    """Yielded in place of a state while a step still runs."""


BUSY = Busy()


def isolated(
    kernel: Kernel[Any, Any, Any], params: Any, state: Any, resources: Resources
) -> Generator[Any, None, Any]:
    """Run `kernel.run(params, state, resources)` in a child process.

    Yields what the kernel yields, and `BUSY` whenever a step takes longer than a turn; raises what
    it raises and returns what it returns. Closing this generator ends the child and all processes
    that it started: asked first, killed 0.2 s later at most. The class of the kernel must be one
    that a new process can import and make without arguments, as the registry does.

    Raises:
        Crashed: the child died of a signal, or exited.
    """
    # Late, because a worker that isolates nothing should not pay for it at its start.
    from multiprocessing import get_context

    from outlast.worker.slices.isolation.child import serve

    context = get_context("spawn")
    ours, theirs = context.Pipe()
    heard, said = context.Pipe(duplex=False)
    # As bytes, so that nothing of the kernel is loaded before the watcher is there.
    granted = replace(resources, seconds_left=no_limit)  # A function of this process stays here.
    task = pickle.dumps((type(kernel), params, state, granted))
    child = context.Process(target=serve, args=(theirs, task, said, levels()))
    with ours, ChildLines(heard) as lines:
        with theirs, said, _stop_signals_held_back():
            child.start()
        try:
            while True:
                answer, value = yield from _ask(ours, child, lines, resources.seconds_left())
                if answer == "result":
                    return value
                if answer == "error":
                    raise value
                yield value
        finally:
            ours.close()
            _end(child, lines)


def _ask(
    pipe: Connection, child: SpawnProcess, lines: ChildLines, seconds_left: float
) -> Generator[Busy, None, tuple[str, Any]]:
    """Let the child take one step; yield while it is at it and return its answer."""
    from multiprocessing.connection import wait

    try:
        pipe.send(seconds_left)
        while pipe not in wait([pipe, *lines.sources], TURN_SECONDS):
            lines.log()
            if child.exitcode is not None and not pipe.poll():
                raise EOFError  # noqa: TRY301 - the pipe's own, unless a forked process holds it
            yield BUSY
        data = pipe.recv_bytes()
    except (EOFError, OSError):  # OSError: it ended in the middle of an answer, which is dropped
        child.join(GRACE_SECONDS)
        raise Crashed(f"the kernel's process {_ending_of(child)}") from None
    lines.log()
    answer: tuple[str, Any] = pickle.loads(data)  # noqa: S301 - from our own child
    return answer


def _ending_of(child: SpawnProcess) -> str:
    code = child.exitcode
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


@contextmanager
def _stop_signals_held_back() -> Iterator[None]:
    """Let a stop signal reach neither this process nor one that it starts within the block.

    The new one inherits this, and has handlers before it lets them through: one that goes to all
    processes at once would end it while its interpreter starts.
    """
    from multiprocessing.resource_tracker import ensure_running

    ensure_running()  # It lets them through where it starts its own process.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
