"""The price table: the one in the package, with the prices of OUTLAST_PRICES over it."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outlast.checkpoint.fields import Platform
from outlast.checkpoint.safe_text import first_error
from outlast.worker.settings import PREFIX, InvalidSettings

SHIPPED = Path(__file__).with_name("prices.toml")
MB_PER_GB = 1024

# What a processor calls itself, and Lambda's word for it.
MACHINES = {"aarch64": "arm64"}

# The program asks for the keys of these sections. In the other ones anyone may add their own.
CLOSED_SECTIONS = ("gb_second", "million", "gb_month")

Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(BaseModel):
    """What workers and services cost; see the comments in prices.toml.

    Attributes:
        date: when the prices were looked up.
        region: where they apply.
        currency: US dollars, as in a bill.
        sources: the pages that they come from.
        second: a worker's second, by platform.
        gb_second: a second times the memory in GB of 1,024 MB, by Lambda's architectures.
        million: a million requests, by service.
        gb_month: 10^9 bytes stored for a month, by store.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    date: date
    region: str
    currency: Literal["USD"]
    sources: dict[str, str]
    second: dict[Platform, Price]
    gb_second: dict[str, Price]
    million: dict[str, Price]
    gb_month: dict[str, Price]

    def worker_second(self, platform: Platform) -> float | None:
        """Return what a second of a worker there costs; None if it is not in the table."""
        if platform in self.second:
            return self.second[platform]
        if lambda_ := lambda_size(platform):
            machine, megabytes = lambda_
            price = self.gb_second.get(f"lambda/{machine}")
            return None if price is None else price * megabytes / MB_PER_GB
        return None


def lambda_size(platform: Platform) -> tuple[str, int] | None:
    """Return the architecture and the MB of "lambda/<machine>/<MB>"; None for other platforms."""
    match platform.split("/"):
        case ["lambda", machine, megabytes] if megabytes.isdecimal():
            return MACHINES.get(machine, machine), int(megabytes)
    return None


def read_prices(path: Path | None) -> Prices:
    """Return the table that comes with the package, with the keys in the file `path` replaced.

    Raises:
        InvalidSettings: the file cannot be read, is not TOML or has a bad price; one line.
    """
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    if path is None:
        return Prices.model_validate(table)
    where = f"{PREFIX}PRICES={str(path)!r}"
    try:
        changes = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # Bad TOML and bad UTF-8 are ValueErrors.
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidSettings(f"{where}: {reason}") from None
    for section in CLOSED_SECTIONS:
        _require_known(where, section, table[section], changes.get(section))
    try:
        return Prices.model_validate({**table, **_merged(table, changes)})
    except ValidationError as error:
        raise InvalidSettings(f"{where}: {first_error(error)}") from None


def _merged(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the sections of `changes`, each with the other keys that it has in `table`."""
    return {
        name: {**table[name], **value}
        if isinstance(value, dict) and isinstance(table.get(name), dict)
        else value
        for name, value in changes.items()
    }


def _require_known(where: str, section: str, known: dict[str, Any], changes: object) -> None:
    """Refuse a key that the program never asks for: a slip would leave the old price in force."""
    unknown = sorted(set(changes) - set(known)) if isinstance(changes, dict) else []
    if unknown:
        raise InvalidSettings(
            f"{where}: there is no price {section}.{unknown[0]!r}; there are: "
            f"{', '.join(sorted(known))}"
        )
