"""The types of a record's fields.

A record that is read back may be damaged or forged: no number in it may break a computation, and no
text may control the terminal or the page that shows it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping

# Safe as a part of a key, a file name, a URL and a queue's group id.
JOB_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
JobId = Annotated[str, Field(pattern=rf"\A{JOB_ID}\z")]

TAG = r"[A-Za-z0-9][A-Za-z0-9._:=/-]{0,63}"
Tag = Annotated[str, Field(pattern=rf"\A{TAG}\z")]

PLATFORM = r"[A-Za-z0-9][A-Za-z0-9 ._:=/-]{0,63}"
Platform = Annotated[str, Field(pattern=rf"\A{PLATFORM}\z")]

# A URL; it is checked further when a job is submitted, and again before a worker uses it.
Target = Annotated[str, Field(pattern=r"\A[\x21-\x7e]{1,500}\z")]

METRIC = r"[a-z0-9_]{1,40}"
MAX_METRICS = 16

Count = Annotated[int, Field(ge=0, lt=1 << 53)]
Number = Annotated[int, Field(ge=1, lt=1 << 53)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Moment = Annotated[float, Field(ge=0, lt=253_402_300_800, allow_inf_nan=False)]  # before 10000
Share = Annotated[float, Field(ge=0, le=1)]
# Figures of a kernel's own, by name.
Metrics = Annotated[
    dict[
        Annotated[str, Field(pattern=rf"\A{METRIC}\z")],
        Annotated[float, Field(allow_inf_nan=False)],
    ],
    Field(max_length=MAX_METRICS),
]


def is_metric_name(name: str) -> bool:
    """Whether a figure may have this name."""
    return re.fullmatch(METRIC, name) is not None


class Part(BaseModel):
    """Base of the stored models: frozen, no unknown fields.

    Its validator is built with the class, as that of the record needs it, except where the class
    says `defer_build`: then at its first use, which few processes come to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with the values in `update`, which are not validated.

        It takes a fifth of the time of pydantic's own, as a slice makes dozens, and equals that but
        for `model_fields_set`, which it leaves as it is.
        """
        if deep:
            return super().model_copy(update=update, deep=True)
        copy = object.__new__(type(self))
        object.__setattr__(copy, "__dict__", {**self.__dict__, **(update or {})})
        object.__setattr__(copy, "__pydantic_fields_set__", self.__pydantic_fields_set__)
        object.__setattr__(copy, "__pydantic_extra__", None)
        object.__setattr__(copy, "__pydantic_private__", None)
        return copy
