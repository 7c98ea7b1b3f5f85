"""The message that wakes a job: an id and a slice number, never any state."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outlast.checkpoint.fields import JobId


class ForeignMessage(Exception):
    """The body is not one of Outlast's messages. Leave it to the queue's redrive policy."""


class Message(BaseModel):
    """The continuation of one job.

    Attributes:
        job_id: the job to advance.
        slice: the number of the slice that this message starts; None, as in a message sent by
            hand: the next one, whatever its number.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    job_id: JobId
    slice: Annotated[int, Field(ge=1)] | None = None

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
