"""The price table: what comes with the package, and what OUTLAST_PRICES puts in its place."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from outlast.checkpoint.fields import Platform
from outlast.checkpoint.lines import first_error
from outlast.worker.settings import PREFIX, InvalidSettings

SHIPPED = Path(__file__).with_name("prices.toml")
MB_PER_GB = 1024

# Lambda's own word for it, and what its processors call themselves.
MACHINES = {"aarch64": "arm64"}

# These have the keys that the program asks for; in the others anyone may name what is theirs.
CLOSED = ("gb_second", "million", "gb_month")

Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(BaseModel):
    """What things cost; see the comments in prices.toml.

    Attributes:
        date: when the figures were looked up.
        region: of which they are.
        currency: dollars, as a bill says.
        sources: the pages that they stand on.
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

    def worker_second(self, platform: str) -> float | None:
        """Return what a second of a worker there costs; None if the table does not tell."""
        if platform in self.second:
            return self.second[platform]
        if lambda_ := lambda_size(platform):
            machine, megabytes = lambda_
            price = self.gb_second.get(f"lambda/{machine}")
            return None if price is None else price * megabytes / MB_PER_GB
        return None


def lambda_size(platform: str) -> tuple[str, int] | None:
    """Return the architecture and the MB of "lambda/<machine>/<MB>"; None for other platforms."""
    match platform.split("/"):
        case ["lambda", machine, megabytes] if megabytes.isdecimal():
            return MACHINES.get(machine, machine), int(megabytes)
    return None


def read_prices(path: Path | None) -> Prices:
    """Return the table that comes with the package, with the keys that `path` gives replaced.

    Raises:
        InvalidSettings: the file cannot be read, is no TOML or gives what is no price; one line.
    """
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    if path is None:
        return Prices.model_validate(table)
    where = f"{PREFIX}PRICES={str(path)!r}"
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # which bad TOML and bad UTF-8 are
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidSettings(f"{where}: {reason}") from None
    for section in CLOSED:
        _require_known(where, section, table[section], given.get(section))
    try:
        return Prices.model_validate({**table, **_merged(table, given)})
    except ValidationError as error:
        raise InvalidSettings(f"{where}: {first_error(error)}") from None


def _merged(table: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return `given`, with the keys of each section that it leaves out."""
    return {
        name: {**table[name], **value}
        if isinstance(value, dict) and isinstance(table.get(name), dict)
        else value
        for name, value in given.items()
    }


def _require_known(where: str, section: str, known: dict[str, Any], given: object) -> None:
    """Refuse a key that nothing would ever ask for: a slip would leave the old price in force."""
    unknown = sorted(set(given) - set(known)) if isinstance(given, dict) else []
    if unknown:
        raise InvalidSettings(
            f"{where}: there is no price {section}.{unknown[0]!r}; there are: "
            f"{', '.join(sorted(known))}"
        )
