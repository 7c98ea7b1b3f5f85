"""The types of which a record is made.

What is read back may be damaged or forged: no number in it may upset who computes with it, and no
text take over the terminal or the page that shows it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Safe as a part of a key, a file name, a URL and a queue's group id.
JOB_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
JobId = Annotated[str, Field(pattern=rf"\A{JOB_ID}\z")]

TAG = r"[A-Za-z0-9][A-Za-z0-9._:=/-]{0,63}"
Tag = Annotated[str, Field(pattern=rf"\A{TAG}\z")]

PLATFORM = r"[A-Za-z0-9][A-Za-z0-9 ._:=/-]{0,63}"
Platform = Annotated[str, Field(pattern=rf"\A{PLATFORM}\z")]

# A URL; what it may be is decided where it is given, and again where it is used.
Target = Annotated[str, Field(pattern=r"\A[\x21-\x7e]{1,500}\z")]

Count = Annotated[int, Field(ge=0, lt=1 << 53)]
Number = Annotated[int, Field(ge=1, lt=1 << 53)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Moment = Annotated[float, Field(ge=0, lt=253_402_300_800, allow_inf_nan=False)]  # before 10000
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """Base of all that is stored: frozen, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
