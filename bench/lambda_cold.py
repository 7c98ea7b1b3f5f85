"""Whether cold invocations of AWS Lambda end in time, in AWS's own emulator.

Each invocation has an emulator, and so a process, of its own: all is imported, connected and
learned within its time-out. Half of them are called directly, half are fed from SQS (ministack);
records are in Valkey. An invocation is killed if the emulator ends it; its job is asleep if a slice
was saved and its continuation not sent: then it waits for a sweep.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.in_lambda import TIMEOUTS_SECONDS, client_and_env, warm_up
from bench.table import print_table
from tests import servers
from tests.runtimes import emulator
from tests.runtimes.event_source import EventSource, client_of, make_queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.jobs.client import Client

POSITION = 10**17  # more work than any of the invocations can do, in the memory of 1,769 MB
INVOCATIONS = 20


def main() -> None:
    """Print how many were killed."""
    warm_up()
    with servers.valkey() as valkey, servers.ministack() as ministack:
        rows = [
            _row(valkey.url, ministack.url, timeout, how)
            for timeout in TIMEOUTS_SECONDS
            for how in (_call, _feed)
        ]
    print_table(
        f"{INVOCATIONS} cold invocations each, nth-prime position={POSITION:,}",
        ("time-out", "by", "killed", "asleep", "of the time-out in the kernel, median", "least"),
        rows,
    )


def _row(store: str, endpoint: str, timeout: int, invoke: Callable[..., None]) -> tuple[str, ...]:
    name = f"{invoke.__name__.strip('_')}-{timeout}"
    queue = make_queue(endpoint, name, visibility_seconds=timeout)
    client, env = client_and_env(store, queue, endpoint)
    shares, killed, asleep = [], 0, 0
    for number in range(INVOCATIONS):
        job_id = f"{name}-{number}"
        with (
            tempfile.TemporaryDirectory() as folder,
            emulator.function(Path(folder), env, timeout_seconds=timeout) as function,
        ):
            invoke(client, function, endpoint, queue, job_id)
        killed += function.kills
        record = client.status(job_id)
        shares.append(record.usage.compute_seconds / timeout)
        asleep += record.lease is None and not record.announced
        client_of(endpoint).purge_queue(QueueUrl=queue)
    return (
        f"{timeout} s",
        {"_call": "direct call", "_feed": "SQS"}[invoke.__name__],
        str(killed),
        str(asleep),
        f"{statistics.median(shares):.1%}",
        f"{min(shares):.1%}",
    )


def _call(_client: Client, function: Any, _endpoint: str, _queue: str, job_id: str) -> None:
    """Submit a job by a direct call, which runs its first slice."""
    function.invoke({"kernel": "nth-prime", "params": {"position": POSITION}, "job_id": job_id})


def _feed(client: Client, function: Any, endpoint: str, queue: str, job_id: str) -> None:
    """Submit a job, and hand its message to the function."""
    client.submit("nth-prime", job_id=job_id, position=POSITION)
    source = EventSource(endpoint, queue, function.invoke)
    source.turn()
    source.close()


if __name__ == "__main__":
    main()
