"""A new job's record: from a kernel's name and parameters, or from a checkpoint of another job."""

from __future__ import annotations

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

    from outlast.checkpoint.parts import Checkpoint, Limits


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
    except ValueError:  # which all that pydantic raises is
        survives = False
    if not survives:
        raise InvalidParams(f"{kernel}: these parameters do not survive being stored as JSON")
    return valid


def forked(
    record: Record, *, generation: int | None, job_id: str | None, limits: Limits, now: float
) -> Record:
    """Return a new job that goes on from a checkpoint of the job `record`.

    `generation` is the number of the checkpoint; None takes the newest that is intact, and begins
    anew where there is none at all. `job_id` None makes one up.

    Raises:
        UnknownCheckpoint: the job has no checkpoint of that number any more, or not yet.
        CorruptCheckpoint: it, or each there is, does not have its checksum.
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
    found = kept(record, generation)
    intact = next((checkpoint for checkpoint in found if checkpoint.is_intact), None)
    if found and intact is None:
        numbers = ", ".join(str(checkpoint.sequence) for checkpoint in found)
        raise CorruptCheckpoint(
            f"job {record.job_id}: damaged, as its checksum does not fit: checkpoint {numbers}"
        )
    return fork.saved(intact) if intact else fork


def kept(record: Record, generation: int | None = None) -> list[Checkpoint]:
    """Return the checkpoints of a number, or all, newest first and those in quarantine last.

    Raises:
        UnknownCheckpoint: the job has none of that number any more, or not yet.
    """
    every = [*record.checkpoints, *record.quarantine]
    if generation is None:
        return every
    found = [checkpoint for checkpoint in every if checkpoint.sequence == generation]
    if not found:
        known = ", ".join(str(checkpoint.sequence) for checkpoint in every) or "none"
        raise UnknownCheckpoint(
            f"job {record.job_id} has no checkpoint {generation}; it has: {known}"
        )
    return found


def _id_of(kernel: str, job_id: str | None) -> str:
    return checked_id(f"{kernel}-{secrets.token_hex(5)}" if job_id is None else job_id)


def refusal(
    kernel: str,
    model: type[BaseModel],
    error: ValidationError,
    typed: Mapping[str, str] | None = None,
) -> InvalidParams:
    """Return what pydantic has against parameters on one line: a wrong name before a gap.

    `typed` has the parameters as a person typed them; None: they come from a program.
    """
    errors = error.errors()
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    name = ".".join(map(str, first["loc"]))
    match first["type"]:
        case "missing":
            told = f"parameter {name!r} is missing"
        case "extra_forbidden":
            told = f"there is no parameter {name!r}"
        case _:
            value = (typed or {}).get(name, str(first["input"]))
            told = f"{name}={value[:60]!r}: {first['msg']}"
    known = ", ".join(model.model_fields) or "none"
    return InvalidParams(f"{kernel}: {told}; its parameters: {known}")
