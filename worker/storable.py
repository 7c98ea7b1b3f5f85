"""What a foreign kernel gives, as it is stored, or a refusal that says what is wrong with it."""

from __future__ import annotations

import json
from traceback import TracebackException
from typing import TYPE_CHECKING, Any

from checkpoint.errors import StateTooLarge

if TYPE_CHECKING:
    from pydantic import BaseModel

    from worker.runtime import AnyKernel

ERROR_CHARACTERS = 500


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
    except Exception as error:
        raise Unusable(f"yielded a state that cannot be stored: {line(error)}") from error
    if len(data) > max_bytes:
        raise StateTooLarge(
            f"its state of {len(data):,} bytes is over the limit of {max_bytes:,} "
            "(OUTLAST_MAX_STATE_BYTES)"
        )
    # Better to find out now than when another worker has to go on from it.
    try:
        survives = kernel.State.model_validate_json(data) == state
    except Exception as error:
        raise Unusable(f"yielded a state that cannot be read back: {line(error)}") from error
    if not survives:
        raise Unusable("yielded a state that does not survive being stored as JSON")
    return data


def stored_result(kernel: AnyKernel, result: object) -> Any:
    """Return the result as a JSON value.

    Raises:
        Unusable: it is not the kernel's Result, or has no such value.
    """
    if not isinstance(result, kernel.Result):
        raise Unusable(f"returned {type(result).__name__} instead of its Result")
    try:
        value = result.model_dump(mode="json")
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except Exception as error:
        raise Unusable(f"returned a result that cannot be stored: {line(error)}") from error
    return value


def line(error: BaseException) -> str:
    """Return the error on one line that can be stored, no longer than a record should carry."""
    # Python's own way of showing an error survives one that cannot show itself.
    message = TracebackException.from_exception(error, limit=0)
    text = " ".join(f"{type(error).__name__}: {message}".split())
    return text[:ERROR_CHARACTERS].encode(errors="replace").decode()
