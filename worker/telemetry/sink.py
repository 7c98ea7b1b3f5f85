"""What takes up the events of a worker, beside its log."""

from __future__ import annotations

import logging


class Sink(logging.Handler):
    """A handler that outlives the set-up of a log: only `stop` ends what it has begun.

    A package that calls `logging.config` closes all handlers that there are, also those that it
    does not know of.
    """

    def stop(self) -> None:
        """Send what is still to be sent, and take up nothing more."""
        self.close()
