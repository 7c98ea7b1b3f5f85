"""Runs the named measurements, or all of them: `python -m bench [NAME ...]`."""

from __future__ import annotations

import sys
from importlib import import_module

NAMES = (
    "slice_cost",
    "telemetry",
    "deadline",
    "cutting",
    "isolation",
    "cold_start",
    "lambda_share",
    "lambda_cold",
    "prime_speed",
    "prime_stops",
    "prime_parts",
    "large_count",
    "large_prime",
    "cost_model",
    "lucas_lehmer",
    "peers",
    "listing",
    "workers_page",
    "idle_cost",
    "part_cost",
    "shared_job",
    "training",
    "large_states",
    "fleet_scale",
)


def main() -> None:
    """Run each measurement's `main`."""
    names = sys.argv[1:] or NAMES
    if unknown := sorted({*names} - {*NAMES}):
        sys.exit(f"no measurement is called {unknown[0]!r}; the names are: {', '.join(NAMES)}")
    for name in names:
        import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
