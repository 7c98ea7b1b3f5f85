"""The second Ctrl-C, which ends a run whose kernel does not come to its next safe point.

A kernel that does not return keeps Python's own signal handlers from running, and the code that
reads their flag. So a thread takes the numbers of signals from the wakeup descriptor, to which the
interpreter writes them at once.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A kernel that returns sooner needs no words; and two Ctrl-C within this time are one: a wrapper
# passes on what the terminal has sent to both.
PATIENCE_SECONDS = 0.5


@contextmanager
def second_ctrl_c_ends(say: Callable[[str], None], end: Callable[[], None]) -> Iterator[None]:
    """Say what a stop signal does if it takes a while; at a later Ctrl-C call `end`, then exit.

    For the main thread. `say` and `end` are called on another one.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)  # noqa: FBT003 - the signature of the library
    before = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(theirs, say, end), daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        ours.shutdown(socket.SHUT_RDWR)  # also where a forked child has it open
        listener.join()
        ours.close()
        theirs.close()


def _listen(signals: socket.socket, say: Callable[[str], None], end: Callable[[], None]) -> None:
    first_at = math.inf
    while True:
        try:
            numbers = signals.recv(64)
        except TimeoutError:
            signals.settimeout(None)
            say("stops at the next safe point, and saves; Ctrl-C again ends it at once")
            continue
        if not numbers:
            return
        now = time.monotonic()
        if signal.SIGINT in numbers and now - first_at >= PATIENCE_SECONDS:
            end()
            os._exit(128 + signal.SIGINT)
        if first_at == math.inf and {signal.SIGINT, signal.SIGTERM} & set(numbers):
            first_at = now
            signals.settimeout(PATIENCE_SECONDS)
