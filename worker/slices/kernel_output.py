"""What a foreign kernel yields and returns, in the form in which it is stored.

What cannot be stored is refused with one line that says why.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import from_json

from outlast.checkpoint.errors import StateTooLarge
from outlast.checkpoint.safe_text import first_error
from outlast.worker.slices.kernel_errors import line

if TYPE_CHECKING:
    from pydantic import BaseModel

    from outlast.worker.slices.worker_process import AnyKernel


class Unusable(Exception):
    """What the kernel yielded or returned cannot be stored. It counts as the kernel's error."""


def stored_state(kernel: AnyKernel, state: BaseModel, *, max_bytes: int) -> bytes:
    """Return the state as JSON text from which the same state can be read.

    Raises:
        Unusable: there is no such text.
        StateTooLarge: it is over the limit.
    """
    try:
        data = state.model_dump_json().encode()
    except BaseException as error:
        raise Unusable(f"yielded a state that cannot be stored: {line(error)}") from error
    if len(data) > max_bytes:
        raise StateTooLarge(
            f"its state of {len(data):,} bytes is over the limit of {max_bytes:,} "
            "(OUTLAST_MAX_STATE_BYTES)"
        )
    # Better to find out now than when another worker has to go on from it.
    try:
        survives = kernel.State.model_validate_json(data) == state
    except BaseException as error:
        raise Unusable(f"yielded a state that cannot be read back: {line(error)}") from error
    if not survives:
        raise Unusable("yielded a state that does not survive being stored as JSON")
    return data


def stored_migration(migrated: object, version: int) -> bytes:
    """Return the state that `migrate` returned for one of `version`, as JSON text.

    Raises:
        Unusable: there is no such text.
    """
    try:
        return json.dumps(migrated, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise Unusable(
            f"migrate is to return a dict of JSON values from version {version}: {line(error)}"
        ) from error


def restored_state(kernel: AnyKernel, data: bytes) -> BaseModel:
    """Return the state that was stored as `data`.

    Raises:
        Unusable: it does not fit this version of the kernel.
    """
    try:
        state: BaseModel = kernel.State.model_validate_json(data)
    except ValidationError as error:
        misfit = first_error(error)
    else:
        return state
    # Without its cause: pydantic's own words repeat the state, in many times its memory.
    raise Unusable(
        f"the stored state does not fit {kernel.State.__name__} of version {kernel.version}: "
        f"{misfit}; raise `version` and write `migrate`"
    )


def stored_result(kernel: AnyKernel, result: object) -> Any:
    """Return the result as a JSON value.

    Raises:
        Unusable: it is not the kernel's Result, or cannot be stored as JSON.
    """
    if not isinstance(result, kernel.Result):
        raise Unusable(f"returned {type(result).__name__} instead of its Result")
    try:
        value = result.model_dump(mode="json")
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        # Where a field may be anything, JSON turns NaN into null and a set into a list.
        text = result.model_dump_json(round_trip=True)
        survives = kernel.Result.model_validate_json(text) == result
        require_shallow(text)
    except BaseException as error:
        raise Unusable(f"returned a result that cannot be stored: {line(error)}") from error
    if not survives:
        raise Unusable("returned a result that does not survive being stored as JSON")
    return value


def require_shallow(text: str) -> None:
    """Refuse JSON text that could be read by itself, but not as a part of a record.

    Raises:
        ValueError: it is nested too deeply for that.
    """
    from_json(f"[[{text}]]")
