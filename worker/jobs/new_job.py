"""A new job, from a kernel's name and parameters."""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from outlast.checkpoint.blobs.sending import listed, moved, spans_of
from outlast.checkpoint.errors import UnknownJob
from outlast.checkpoint.fleet import Fleet
from outlast.checkpoint.names import checked_id
from outlast.checkpoint.record import Record
from outlast.kernel import InvalidParams
from outlast.kernel.bulk import dumped, reads_back
from outlast.kernel.divisible import Divisible
from outlast.kernel.registry import load
from outlast.worker.slices.kernel_output import require_shallow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from outlast.checkpoint.blobs.contract import BlobStore, Chunk
    from outlast.checkpoint.job_store import JobStore, StoredJob
    from outlast.checkpoint.record_parts import Limits

# Enough that among a million jobs of one name no two have the same id.
DIGEST_BYTES = 8
SHOWN_CHARACTERS = 60
# As pydantic calls them.
NO_BOOLEAN = {"bool_type", "bool_parsing"}
# Its zeros are hard to count.
LARGE_POWER = re.compile(r"\b1(0{6,})\b")
# More would be cut into more parts than a job can have.
MAX_PARALLEL = 30_000


class NewJob(NamedTuple):
    """A job that is not stored yet.

    Attributes:
        record: the job as it is to be stored.
        put: puts one of the chunks that it needs where arrays are kept: none is there yet.
        parts: its parts and groups that are done, to be stored before it.
    """

    record: Record
    put: Callable[[BlobStore, Chunk], object] = lambda _place, _chunk: None
    parts: tuple[Record, ...] = ()

    @property
    def chunks(self) -> dict[str, Chunk]:
        """The chunks that the job and its parts need, by name."""
        return dict(item for record in (self.record, *self.parts) for item in record.chunks.items())

    def store(self, jobs: JobStore) -> tuple[StoredJob, bool]:
        """Store the job after its parts; return it as it is stored, and whether it is new.

        Where another one is faster, the parts are left to `outlast prune`.

        Raises:
            JobExists: its id belongs to a job with other parameters.
        """
        if self.parts:
            with suppress(UnknownJob):
                return jobs.same(self.record), False
            for part in self.parts:
                jobs.create(part)
        return jobs.submit(self.record)


def new_job(  # noqa: PLR0913 - each is a field of its own, given by name
    kernel: str,
    params: Mapping[str, Any],
    *,
    job_id: str | None,
    name: str | None = None,
    limits: Limits,
    now: float,
) -> NewJob:
    """Return a new job. Its id is `job_id`, or follows from parameters and `name`; or is made up.

    Raises:
        UnknownKernel: no such kernel is installed.
        InvalidParams: the kernel does not take these parameters; one line that names the first.
        InvalidJobId: the id cannot be stored.
    """
    text, bulk = dumped(valid_params(kernel, params))
    values, chunks = json.loads(text), listed(bulk)
    if name is not None:
        job_id = derived_id(name, kernel, values, *(chunk.digest for chunk in chunks))
    record = Record(
        job_id=id_of(kernel, job_id),
        kernel=kernel,
        params=values,
        limits=limits,
        created_at=now,
        updated_at=now,
    )
    own = moved(chunks, f"{record.job_id}/params-{secrets.token_hex(8)}")
    spans = dict(zip(own, spans_of(bulk), strict=True))
    return NewJob(
        record.model_copy(update={"params_chunks": own}),
        lambda place, chunk: place.put(chunk, bulk.read(*spans[chunk])),
    )


def fleet_for(kernel: str, parallel: int | None, part_seconds: float | None) -> Fleet | None:
    """Return how a new job is shared by so many workers; None: it is not.

    Raises:
        UnknownKernel: no such kernel is installed.
        InvalidParams: it cannot be divided, or the numbers make no sense.
    """
    if parallel is None:
        if part_seconds is not None:
            raise InvalidParams(
                f"parts of {part_seconds:g} s are of no use without a number of workers: give that "
                "as well, or leave out the length of parts"
            )
        return None
    if not 1 <= parallel <= MAX_PARALLEL:
        raise InvalidParams(f"{parallel:,} workers for a job: give 1 to {MAX_PARALLEL:,}")
    if part_seconds is not None and not 0 < part_seconds < math.inf:
        raise InvalidParams(f"part_seconds={part_seconds}: give seconds, more than 0")
    if not isinstance(load(kernel), Divisible):
        raise InvalidParams(f"kernel {kernel!r} cannot be divided: leave out the number of workers")
    return Fleet.of(parallel, part_seconds)


def valid_params(kernel: str, params: Mapping[str, Any]) -> BaseModel:
    """Return parameters as the kernel's model, which survives being stored.

    Raises:
        UnknownKernel, InvalidParams: as `new_job`.
    """
    model: type[BaseModel] = load(kernel).Params
    try:
        valid = model.model_validate(dict(params))
    except ValidationError as error:
        raise refusal(kernel, model, error) from None
    try:
        stored = dumped(valid)
        survives = reads_back(valid, *stored)
        require_shallow(stored.text.decode())
    except ValueError:  # All that pydantic raises is one.
        survives = False
    if not survives:
        raise InvalidParams(f"{kernel}: these parameters do not survive being stored as JSON")
    return valid


def derived_id(prefix: str, *question: Any) -> str:
    """Return `prefix` with a digest of the question, of JSON values: the same id each time."""
    text = json.dumps(question, sort_keys=True)
    return f"{prefix}-{hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()}"


def refusal(
    kernel: str,
    model: type[BaseModel],
    error: ValidationError,
    typed: Mapping[str, str] | None = None,
) -> InvalidParams:
    """Return pydantic's error about parameters as one line, an unknown name before a missing one.

    `typed` has the parameters as a person typed them; None: they come from a program.
    """
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    name = ".".join(map(str, first["loc"]))
    match first["type"]:
        case "missing":
            complaint = f"parameter {name!r} is missing"
        case "extra_forbidden":
            complaint = f"there is no parameter {shown(name)}"
        case _:
            value = typed[name] if typed and name in typed else first["input"]
            reason = "write true or false" if first["type"] in NO_BOOLEAN else first["msg"]
            reason = LARGE_POWER.sub(lambda power: f"10^{len(power[1])}", reason)
            complaint = f"{name}={shown(value)}: {reason}"
    fields = model.model_fields
    known = ", ".join(sorted(fields, key=lambda field: not fields[field].is_required())) or "none"
    return InvalidParams(f"{kernel}: {complaint}; its parameters: {known}")


def shown(value: object) -> str:
    """Return a bad value as an error shows it: in quotes, and of a long one its beginning."""
    try:
        text = str(value)
    except ValueError:  # Python writes no whole number of over 4300 digits.
        return "(a number of more than 4300 digits)"
    cut = len(text) > SHOWN_CHARACTERS
    return repr(f"{text[:SHOWN_CHARACTERS]}…" if cut else text)


def id_of(kernel: str, job_id: str | None) -> str:
    """Return the id, or one that is made up.

    Raises:
        InvalidJobId: it cannot be stored.
    """
    return checked_id(f"{kernel}-{secrets.token_hex(5)}" if job_id is None else job_id)
