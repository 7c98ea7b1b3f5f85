"""Where the arrays and blobs of a result can be read by who has a URL and no client.

    {"field.a0": {"dtype": "<f4", "shape": [3], "parts": [{"url": …, "offset": 64, "bytes": 12}]},
     "trail": {"parts": […]}}

By its path in the result, each is the bytes of its parts in a row: of what a URL gives, so many
from the offset on. An array's are in the order of C, unless its "order" is "F".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.kernel.references import replaced, span_of
from outlast.worker.jobs.arrays import require_blobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from outlast.checkpoint.blobs.contract import Chunk
    from outlast.checkpoint.record import Record
    from outlast.worker.jobs.arrays import Place

# On S3; in a folder a URL holds as long as the job.
LINK_SECONDS = 3600.0


def links_of(record: Record, place: Place) -> dict[str, Any]:
    """Return where the arrays and blobs of the job's result are; empty where it has none.

    Raises:
        NoBlobStore: it has some, and no place for them is known here.
    """
    links: dict[str, Any] = {}

    def note(path: str, reference: dict[str, Any]) -> None:
        begin, size = span_of(reference)
        is_blob = "$blob" in reference
        kind = {} if is_blob else _kind_of(reference)
        parts = [
            {
                "url": require_blobs(place(), record.job_id).link(chunk, LINK_SECONDS),
                "offset": first,
                "bytes": end - first,
            }
            for chunk, first, end in _within(record.result_chunks, begin, begin + size)
        ]
        links[path] = {**kind, "parts": parts}

    if record.result_chunks:
        replaced(record.result, note)
    return links


def _kind_of(reference: dict[str, Any]) -> dict[str, Any]:
    order = {"order": "F"} if reference.get("order") == "F" else {}
    return {"dtype": reference["$array"], "shape": reference["shape"], **order}


def _within(chunks: Sequence[Chunk], begin: int, end: int) -> Iterator[tuple[Chunk, int, int]]:
    """Yield the chunks that have the bytes from `begin` to `end` of a row, and which of each."""
    at = 0
    for chunk in chunks:
        first, last = max(begin - at, 0), min(end - at, chunk.size)
        if first < last:
            yield chunk, first, last
        at += chunk.size
