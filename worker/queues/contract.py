"""The contract of a queue: at-least-once delivery and a visibility timeout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outlast.checkpoint.register import Register, Stored
    from outlast.worker.queues.database import Database
    from outlast.worker.queues.message import Message


class InvalidQueueUrl(ValueError):
    """No kind of queue has a URL of this form. Correct OUTLAST_QUEUE."""


class QueueUnavailable(Exception):
    """The queue did not answer or refused; a message may have been sent. Back off, try again."""


@dataclass(frozen=True)
class Delivery:
    """One receipt of a message.

    Attributes:
        body: the text, which may be anyone's.
        receipt: what `hide` and `ack` need; good for this delivery only. "": no queue delivered it,
            but a direct call.
        hidden_seconds: how long the delivery hides the message; 0: unknown.
        stored: the job as it was read with the message; None: it was not.
        is_first: whether the message was never delivered before, as far as the queue knows.
    """

    body: str
    receipt: str
    hidden_seconds: float = 0.0
    stored: Stored | None = None
    is_first: bool = False


class Backlog(NamedTuple):
    """What a queue holds, as far as its service knows.

    Attributes:
        waiting: messages that can be received.
        hidden: messages that cannot: a worker has them, or they wait for their time.
        dead: dead letters; None: there is no place for them, or no right to look there.
        oldest_seconds: for how long the message has been waiting that has waited longest, 0 where
            none waits; None: the service does not tell.
    """

    waiting: int
    hidden: int
    dead: int | None
    oldest_seconds: float | None


class Queue(ABC):
    """Delivers each message at least once, in any order, and hides it for a time after each.

    All methods raise QueueUnavailable where the service does not answer. After `max_receives`
    deliveries without an ack a message becomes a dead letter: by the queue's redrive policy on SQS,
    by the queue itself elsewhere.

    Attributes:
        gives_up: whether there is a limit to the deliveries of a message.
    """

    gives_up = True

    def reach(self) -> None:  # noqa: B027 - an embedded queue needs no connection
        """Connect, if that has not happened: a later call then takes no longer than it must.

        It raises nothing: what is wrong, the next call tells.
        """

    @abstractmethod
    def send(self, message: Message, *, deduplication_id: str | None = None) -> None:
        """Put `message` on the queue; it is durable when this returns.

        A queue that drops duplicates delivers one message of those that have the same
        `deduplication_id`, also after that one was acknowledged. None: it delivers this one.
        """

    def send_all(self, messages: Sequence[Message]) -> None:
        """Put `messages` on the queue, each of which it delivers; they are durable at the return.

        Raises:
            QueueUnavailable: some of them may have been sent.
        """
        for message in messages:
            self.send(message)

    @abstractmethod
    def receive(self, *, visibility_seconds: float, wait_seconds: float) -> Delivery | None:
        """Return the next visible message, hidden from others for `visibility_seconds`.

        Wait up to `wait_seconds` for one; 0: do not wait. None: there was no message.
        """

    def receive_batch(
        self,
        most: int,  # noqa: ARG002 - one is never too many
        *,
        visibility_seconds: float,
        wait_seconds: float,
    ) -> list[Delivery]:
        """Return the next visible messages, `most` at most; else as `receive`.

        A queue without batches returns one.
        """
        delivery = self.receive(visibility_seconds=visibility_seconds, wait_seconds=wait_seconds)
        return [] if delivery is None else [delivery]

    @abstractmethod
    def is_empty(self) -> bool:
        """Return whether no message waits to be received, as far as the service knows."""

    def backlog(self) -> Backlog | None:
        """Return what the queue holds, for people to see; None: it cannot tell."""
        return None

    @abstractmethod
    def hide(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message for `seconds` from now; 0 shows it at once. Too late is no error."""

    def keep(self, delivery: Delivery, seconds: float) -> None:
        """Hide the message as `hide` does, while this process works on it.

        It may come sooner where the queue knows that the process is gone.
        """
        self.hide(delivery, seconds)

    @abstractmethod
    def ack(self, delivery: Delivery) -> None:
        """Delete the message. Twice or too late is no error: it comes again as a duplicate."""

    def ack_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Delete these messages, as `ack` does.

        Raises:
            QueueUnavailable: some of them may not be deleted.
        """
        for delivery in deliveries:
            self.ack(delivery)

    def database_with(self, register: Register) -> Database | None:  # noqa: ARG002 - has none
        """Return the database that holds both this queue and `register`; None: they have two."""
        return None
