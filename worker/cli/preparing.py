"""Tells a person what a first run waits for: imports, and code that is compiled once."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A shorter wait needs no words: it is the time to import what was compiled before.
PATIENCE_SECONDS = 2.0


@contextmanager
def told(say: Callable[[str], None], kernel: str) -> Iterator[None]:
    """Say what is going on while the block, which prepares `kernel`, takes longer than a moment."""
    begun = time.monotonic()
    line = f"preparing kernel {kernel}: if it never ran on this machine, it is compiled now"
    timer = threading.Timer(PATIENCE_SECONDS, say, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
    took = time.monotonic() - begun
    if took > PATIENCE_SECONDS:
        say(f"kernel {kernel} is ready after {took:.1f} s")
