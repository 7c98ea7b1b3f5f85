"""Runs the measurements that are named, or all of them: `python -m bench [NAME ...]`."""

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
    "prime_speed",
    "prime_stops",
    "cost_model",
    "lucas_lehmer",
    "peers",
    "listing",
)


def main() -> None:
    """Run each measurement's `main`."""
    chosen = sys.argv[1:] or NAMES
    unknown = sorted(set(chosen) - set(NAMES))
    if unknown:
        sys.exit(f"no measurement is called {unknown[0]!r}; there are: {', '.join(NAMES)}")
    for name in chosen:
        import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
