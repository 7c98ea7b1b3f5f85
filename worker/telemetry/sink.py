"""The base of the handlers that turn a worker's events into metrics and traces."""

from __future__ import annotations

import logging


class Sink(logging.Handler):
    """A handler whose work ends with `stop`, not with `close`.

    A package that calls `logging.config` closes all handlers of the process, even those that it
    does not know.
    """

    def stop(self, seconds: float) -> None:  # noqa: ARG002 - for those that send
        """Send all that is not sent yet, for so many seconds at most; handle no more events."""
        self.close()
