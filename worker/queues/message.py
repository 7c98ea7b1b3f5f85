"""The message that wakes a job: an id and a slice number, never any state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from outlast.checkpoint.fields import JobId
from outlast.checkpoint.fleet import MAX_PARTS, Birth, Node

if TYPE_CHECKING:
    from outlast.checkpoint.head import Head


class ForeignMessage(Exception):
    """The body is not one of Outlast's messages. Leave it to the queue's redrive policy."""


class Message(BaseModel):
    """The continuation of one job.

    Attributes:
        job_id: the job to advance.
        slice: the number of the slice that this message starts; None, as in a message sent by
            hand: the next one, whatever its number.
        birth: where the job is cut into parts, that of its division; see `Fleet`.
        part: the part to advance; None: the job itself.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    job_id: JobId
    slice: Annotated[int, Field(ge=1)] | None = None
    birth: Birth | None = None
    part: Annotated[int, Field(ge=0, lt=MAX_PARTS)] | None = None

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if (self.birth is None) != (self.part is None):
            raise ValueError("a part is told by its birth and its number")
        return self

    @classmethod
    def of(cls, record: Head) -> Message:
        """Return the message for the next slice of a job, or of a part of it."""
        node, number = record.node, record.slice_number
        if node is None:
            return cls(job_id=record.job_id, slice=number)
        return cls(job_id=record.job_id, slice=number, birth=node.birth, part=node.number)

    @property
    def node(self) -> Node | None:
        """The part to advance; None: the job itself."""
        if self.birth is None or self.part is None:
            return None
        return Node(birth=self.birth, number=self.part)

    @property
    def group_id(self) -> str:
        """What a queue in strict order orders by: those of one group, and not all."""
        return self.job_id if self.part is None else f"{self.job_id}/{self.part}"

    def body(self) -> str:
        """Return the text to send."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def parse(cls, body: str) -> Message:
        """Return the message in `body`.

        Raises:
            ForeignMessage: there is none; the error quotes 200 characters of the text.
        """
        try:
            return cls.model_validate_json(body)
        except ValidationError:
            raise ForeignMessage(f"not a message of this system: {body[:200]!r}") from None
