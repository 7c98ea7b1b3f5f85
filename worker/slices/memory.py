"""How much memory is free, as far as the system tells."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

MEMINFO = Path("/proc/meminfo")


class _Group(NamedTuple):
    """The files of a container's own limit, and what of its use can be had back at once."""

    limit: Path
    use: Path
    freed: str


V1 = Path("/sys/fs/cgroup/memory")
V2 = Path("/sys/fs/cgroup")
GROUPS = (
    _Group(V2 / "memory.max", V2 / "memory.current", "inactive_file"),
    _Group(V1 / "memory.limit_in_bytes", V1 / "memory.usage_in_bytes", "total_inactive_file"),
)


def available_bytes() -> float:
    """Return how much may be allocated before the system kills; infinite where it does not tell."""
    return min(_of_machine(), *map(_of_group, GROUPS))


def _of_machine() -> float:
    try:
        return 1024 * _numbers(MEMINFO)["MemAvailable:"]
    except (OSError, ValueError, KeyError):
        return math.inf


def _of_group(group: _Group) -> float:
    try:
        used = (
            float(group.use.read_text()) - _numbers(group.use.with_name("memory.stat"))[group.freed]
        )
        return float(group.limit.read_text()) - used
    except (OSError, ValueError, KeyError):  # "max" is no number
        return math.inf


def _numbers(path: Path) -> dict[str, float]:
    """Return the numbers in a file of lines, each of a name and a number."""
    words = (line.split() for line in path.read_text().splitlines())
    return {name: float(number) for name, number, *_ in words}
