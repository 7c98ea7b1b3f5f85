"""Hands one job to the workers for each of many parameters; what `Client.map` is made of."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.names import checked_id
from outlast.worker.jobs.waiting import JobFailed, paired, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.waiting import Pair, Params

# Requests under way at a time; boto3's clients keep ten connections.
AT_ONCE = 8
# Enough that among a million jobs of one name no two have the same.
DIGEST_BYTES = 8


def submit_all(
    client: Client, every: Iterable[Params], new: Callable[[Params], Record], *, name: str | None
) -> list[Pair]:
    """Store the `new` job for each of the parameters and wake it; return them with the ids.

    With a `name`, the same parameters are the same job, however often they come: one that is there
    already is left as it is.

    Raises:
        UnknownKernel, InvalidParams, InvalidTag, InvalidTarget, InvalidJobId: nothing was stored.
    """
    asked = list(every)
    records = [new(params) for params in asked]
    if name is not None:
        records = [record.model_copy(update={"job_id": _named(name, record)}) for record in records]
    missing = {record.job_id: record for record in records}
    if name is not None:
        for head in client.jobs.heads_of(list(missing)):
            if head.usage.slices_begun or head.status.is_final:
                del missing[head.job_id]
    # The first one alone: where store or queue cannot be used, that is told once.
    waiting = iter(missing.values())
    for record in islice(waiting, 1):
        client.put(record)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(client.put, waiting):
            pass  # which raises what went wrong with one
    return [(params, record.job_id) for params, record in zip(asked, records, strict=True)]


def results(
    client: Client,
    pairs: Sequence[Pair],
    *,
    as_completed: bool,
    return_exceptions: bool,
    timeout_seconds: float | None,
) -> Iterator[tuple[Params, Any] | float]:
    """Yield each of the parameters with its result, and seconds to wait; see `Client.map`."""
    for item in paired(
        pairs, client.jobs, as_completed=as_completed, timeout_seconds=timeout_seconds
    ):
        if isinstance(item, float):
            yield item
            continue
        params, record = item
        yield params, _outcome(record, return_exceptions=return_exceptions)


def _outcome(record: Record, *, return_exceptions: bool) -> Any:
    try:
        return result_of(record)
    except JobFailed as error:
        if not return_exceptions:
            raise
        return error


def _named(name: str, record: Record) -> str:
    """Return the id that stands for these parameters, in whatever order they are written."""
    asked = json.dumps([record.kernel, record.params], sort_keys=True)
    digest = hashlib.blake2b(asked.encode(), digest_size=DIGEST_BYTES).hexdigest()
    return checked_id(f"{name}-{digest}")
