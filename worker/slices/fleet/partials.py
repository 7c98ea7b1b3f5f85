"""What parts and groups come to, as it is read from their records and put into others."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from outlast.checkpoint.blobs.sending import THREADS_ALONE, listed, moved, spans_of
from outlast.kernel.bulk import Bulk, loaded
from outlast.worker.slices.arrays import NoPlace
from outlast.worker.slices.reading import read_chunks

if TYPE_CHECKING:
    from pydantic import BaseModel

    from outlast.checkpoint.blobs.contract import Chunk
    from outlast.checkpoint.record import Record
    from outlast.worker.slices.worker_process import WorkerProcess


def read_result(process: WorkerProcess, model: type[BaseModel], record: Record) -> BaseModel:
    """Return the result of a part or group, with its arrays.

    Raises:
        DamagedChunk: they are lost or damaged.
        StoreUnavailable: their place does not answer, or is not known here.
    """
    row = read_chunks(process, record.job_id, record.result_chunks)
    result: BaseModel = loaded(model, json.dumps(record.result).encode(), Bulk.of(row))
    return result


def put_arrays(process: WorkerProcess, job_id: str, bulk: Bulk) -> tuple[Chunk, ...]:
    """Put arrays where those of the job are, in chunks with names of their own; return these.

    Raises:
        NoPlace: there is no place for them.
        StoreUnavailable: some may be there.
    """
    if not bulk.size:
        return ()
    if process.blobs is None:
        raise NoPlace
    from concurrent.futures import ThreadPoolExecutor  # here, as most jobs have no arrays

    chunks = moved(listed(bulk), f"{job_id}/{secrets.token_hex(8)}")
    place: Any = process.blobs
    with ThreadPoolExecutor(THREADS_ALONE) as pool:
        for _ in pool.map(
            lambda chunk, span: place.put(chunk, bulk.read(*span)), chunks, spans_of(bulk)
        ):
            pass
    return chunks
