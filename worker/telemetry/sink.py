"""The base of the handlers that turn a worker's events into metrics and traces."""

from __future__ import annotations

import logging


class Sink(logging.Handler):
    """A handler whose work ends with `stop`, not with `close`.

    A package that calls `logging.config` closes all handlers of the process, even those that it
    does not know.
    """

    def stop(self) -> None:
        """Send all that is not sent yet, and handle no more events."""
        self.close()
