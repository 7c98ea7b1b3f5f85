"""A new job's record: from a kernel's name and parameters, or from a checkpoint of another job."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from outlast.checkpoint.errors import CorruptCheckpoint, UnknownCheckpoint
from outlast.checkpoint.names import checked_id
from outlast.checkpoint.record import Record
from outlast.kernel import InvalidParams
from outlast.kernel.registry import load
from outlast.worker.slices.kernel_output import require_shallow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

    from outlast.checkpoint.record_parts import Checkpoint, Limits

# Enough that among a million jobs of one name no two have the same id.
DIGEST_BYTES = 8
VALUE_CHARACTERS = 60


def new_record(
    kernel: str,
    params: Mapping[str, Any],
    *,
    job_id: str | None,
    limits: Limits,
    now: float,
) -> Record:
    """Return a new job's record; `job_id` None makes one up.

    Raises:
        UnknownKernel: no such kernel is installed.
        InvalidParams: the kernel does not take these parameters; one line that names the first.
        InvalidJobId: the id cannot be stored.
    """
    valid = valid_params(kernel, params)
    return Record(
        job_id=_id_of(kernel, job_id),
        kernel=kernel,
        params=json.loads(valid.model_dump_json()),
        limits=limits,
        created_at=now,
        updated_at=now,
    )


def valid_params(kernel: str, params: Mapping[str, Any]) -> BaseModel:
    """Return parameters as the kernel's model, which survives being stored.

    Raises:
        UnknownKernel, InvalidParams: as `new_record`.
    """
    model: type[BaseModel] = load(kernel).Params
    try:
        valid = model.model_validate(dict(params))
    except ValidationError as error:
        raise refusal(kernel, model, error) from None
    try:
        stored = valid.model_dump_json()
        survives = model.model_validate_json(stored) == valid
        require_shallow(stored)
    except ValueError:  # All that pydantic raises is one.
        survives = False
    if not survives:
        raise InvalidParams(f"{kernel}: these parameters do not survive being stored as JSON")
    return valid


def forked(
    record: Record, *, generation: int | None, job_id: str | None, limits: Limits, now: float
) -> Record:
    """Return a new job that goes on from a checkpoint of the job `record`.

    `generation` is the number of the checkpoint; None takes the newest that is intact, and begins
    anew if there is none at all. `job_id` None makes one up.

    Raises:
        UnknownCheckpoint: the job does not have a checkpoint of that number, or not any more.
        CorruptCheckpoint: it does not match its checksum; without a number, none does.
        InvalidJobId: the id cannot be stored.
    """
    fork = Record(
        job_id=_id_of(record.kernel, job_id),
        kernel=record.kernel,
        params=record.params,
        tags=record.tags,
        limits=limits,
        created_at=now,
        updated_at=now,
    )
    checkpoints = checkpoints_of(record, generation)
    intact = next((checkpoint for checkpoint in checkpoints if checkpoint.is_intact), None)
    if checkpoints and intact is None:
        raise CorruptCheckpoint(
            f"job {record.job_id}: damaged, as its checksum does not fit: checkpoint "
            f"{_numbers(checkpoints)}"
        )
    return fork.saved(intact) if intact else fork


def checkpoints_of(record: Record, generation: int | None = None) -> list[Checkpoint]:
    """Return the checkpoints of a number, or all: newest first, those in quarantine last.

    Raises:
        UnknownCheckpoint: the job does not have one of that number, or not any more.
    """
    every = [*record.checkpoints, *record.quarantine]
    if generation is None:
        return every
    checkpoints = [checkpoint for checkpoint in every if checkpoint.sequence == generation]
    if not checkpoints:
        known = _numbers(every) or "none"
        raise UnknownCheckpoint(
            f"job {record.job_id} has no checkpoint {generation}; it has: {known}"
        )
    return checkpoints


def named(record: Record, name: str) -> Record:
    """Return the job with the id that its kernel and parameters have under `name`.

    Raises:
        InvalidJobId: the id cannot be stored.
    """
    job_id = checked_id(derived_id(name, record.kernel, record.params))
    return record.model_copy(update={"job_id": job_id})


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
            complaint = f"there is no parameter {name!r}"
        case _:
            value = (typed or {}).get(name, str(first["input"]))
            complaint = f"{name}={value[:VALUE_CHARACTERS]!r}: {first['msg']}"
    known = ", ".join(model.model_fields) or "none"
    return InvalidParams(f"{kernel}: {complaint}; its parameters: {known}")


def _id_of(kernel: str, job_id: str | None) -> str:
    return checked_id(f"{kernel}-{secrets.token_hex(5)}" if job_id is None else job_id)


def _numbers(checkpoints: list[Checkpoint]) -> str:
    return ", ".join(str(checkpoint.sequence) for checkpoint in checkpoints)
