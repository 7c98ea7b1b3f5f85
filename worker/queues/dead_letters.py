"""The contract for dead letters, the messages that a queue no longer delivers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager


class NoDeadLetterQueue(Exception):
    """The queue has no dead-letter queue. Give it a redrive policy."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that no worker could handle.

    Attributes:
        letter_id: its id among the dead letters.
        body: the text, which may be anyone's; bytes that are not text are replaced.
        receives: how often it was delivered; on SQS each look at the dead letters counts, too.
        since: in seconds since the epoch, when it was last visible to a worker; on SQS, when it was
            sent, or on a FIFO queue, when it became a dead letter.
        reason: why it is a dead letter; one line.
        attributes: the service's other attributes of the message.
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
    """The dead letters of a queue. All methods raise QueueUnavailable where it does not answer."""

    @abstractmethod
    def look(self) -> AbstractContextManager[Iterator[DeadLetter]]:
        """Iterate over the dead letters, each once, oldest first as far as the service knows.

        A service may hide those that were read from others; at the end of the block they are
        visible again, except those that were redriven or dropped.

        Raises:
            NoDeadLetterQueue: the queue has none.
        """

    @abstractmethod
    def redrive(self, letter: DeadLetter) -> None:
        """Send the message to the queue again, as a new one; then drop it. Twice is no error.

        A crash in between leaves both messages; the protocol handles one as a duplicate.
        """

    @abstractmethod
    def drop(self, letter: DeadLetter) -> None:
        """Delete the message for good. Twice is no error."""
