"""What a person needs of the messages that a queue has given up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager


class NoDeadLetterQueue(Exception):
    """The queue gives no message up, as nothing says where to. Give it a redrive policy."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that nobody could handle.

    Attributes:
        letter_id: its name among the dead letters.
        body: the text, which may be anyone's; what is no text has replacement characters.
        receives: how often it was delivered; on SQS each look at the dead letters counts, too.
        since: seconds since the epoch; on SQS when it was sent, or, if FIFO, given up; else when
            it was last shown to a worker.
        reason: why it was given up; one line.
        attributes: what else the service says of it.
        receipt: what `redrive` and `drop` need.
    """

    letter_id: str
    body: str
    receives: int
    since: float
    reason: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    receipt: str = ""


class DeadLetters(ABC):
    """The messages that a queue has given up. All methods raise QueueUnavailable as a queue does.

    Raises:
        NoDeadLetterQueue: from `look`, where the queue is not told to give messages up.
    """

    @abstractmethod
    def look(self) -> AbstractContextManager[Iterator[DeadLetter]]:
        """Lend the dead letters, each once, oldest first as far as the service knows.

        A service may hide from others what it has shown; at the end of the block those that were
        neither redriven nor dropped are visible again.
        """

    @abstractmethod
    def redrive(self, letter: DeadLetter) -> None:
        """Send the message to the queue again, as a new one; then drop it. Twice is no error.

        A crash in between leaves both, which the protocol takes for a duplicate.
        """

    @abstractmethod
    def drop(self, letter: DeadLetter) -> None:
        """Delete the message for good. Twice is no error."""
