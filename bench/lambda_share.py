"""How much of each Lambda invocation is spent in the kernel, in AWS's own emulator.

A real job is fed to the function from SQS (ministack) with its record in Valkey, until it is done.
The time of an invocation is its time-out, all of which a user pays for who sets it so; the first
invocation, in which the process starts, is shown apart.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.in_lambda import TIMEOUTS_SECONDS, client_and_env, warm_up
from bench.table import print_table
from tests import servers
from tests.runtimes import emulator
from tests.runtimes.event_source import EventSource, make_queue

POSITION = 10**17  # some 80 s of work, in the memory of a function of 1,769 MB
INVOCATIONS = 12  # are enough to tell


def main() -> None:
    """Print the shares."""
    warm_up()
    with servers.valkey() as valkey, servers.ministack() as ministack:
        rows = [_row(valkey.url, ministack.url, timeout) for timeout in TIMEOUTS_SECONDS]
    print_table(
        f"nth-prime position={POSITION:,} in AWS's emulator",
        (
            "time-out",
            "invocations",
            "of the time-out in the kernel, median",
            "least",
            "first",
            "of the handler's own time, median",
            "killed",
            "result",
        ),
        rows,
    )


def _row(store: str, endpoint: str, timeout_seconds: int) -> tuple[str, ...]:
    name = f"t{timeout_seconds}"
    queue = make_queue(endpoint, name)
    client, env = client_and_env(store, queue, endpoint)
    client.submit("nth-prime", job_id=name, position=POSITION)
    kernel: list[float] = []
    wall: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        emulator.function(Path(folder), env, timeout_seconds=timeout_seconds) as function,
    ):

        def invoke(event: Any) -> Any:
            before, begun = client.status(name).usage.compute_seconds, time.perf_counter()
            answer = function.invoke(event)
            wall.append(time.perf_counter() - begun)
            kernel.append(client.status(name).usage.compute_seconds - before)
            return answer

        source = EventSource(endpoint, queue, invoke)
        while not client.status(name).status.is_final and len(wall) < INVOCATIONS:
            source.turn()
        source.close()
    record = client.status(name)
    # The last one ends with the job, not with its time.
    full = range(1, len(wall) - 1 if record.status.is_final else len(wall))
    shares = [kernel[i] / timeout_seconds for i in full] or [0.0]
    busy = [kernel[i] / wall[i] for i in full] or [0.0]
    return (
        f"{timeout_seconds} s",
        str(len(wall)),
        f"{statistics.median(shares):.1%}",
        f"{min(shares):.1%}",
        f"{kernel[0] / timeout_seconds:.1%}",
        f"{statistics.median(busy):.1%}",
        str(function.kills),
        str((record.result or {}).get("prime", f"{record.progress:.0%} done")),
    )


if __name__ == "__main__":
    main()
