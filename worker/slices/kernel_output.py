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
from outlast.kernel.bulk import Bulk, Stored, dumped, loaded, new_row
from outlast.kernel.finite import not_finite
from outlast.worker.slices.held import Held
from outlast.worker.slices.kernel_errors import line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from outlast.worker.slices.held import Yielded
    from outlast.worker.slices.worker_process import AnyKernel


class Unusable(Exception):
    """What the kernel yielded or returned cannot be stored. It counts as the kernel's error."""


def stored_state(
    kernel: AnyKernel,
    state: Yielded,
    *,
    max_bytes: int,
    row: Callable[[int], memoryview | None] = new_row,
) -> Stored:
    """Return the state as JSON text from which the same state can be read, and its arrays.

    Those of a state in another process are copied to a `row` of memory.

    Raises:
        Unusable: there is no such text.
        StateTooLarge: it is over the limit.
    """
    if isinstance(state, Held):
        return _stored_elsewhere(state, max_bytes, row)
    try:
        stored = dumped(state)
    except BaseException as error:
        raise Unusable(f"yielded a state that cannot be stored: {line(error)}") from error
    if len(stored.text) > max_bytes:
        raise StateTooLarge(
            f"its state of {len(stored.text):,} bytes is over the limit of {max_bytes:,}: keep "
            "what is large in an Array or a Blob, or raise OUTLAST_MAX_STATE_BYTES on all workers, "
            "and retry the job"
        )
    # Better to find out now than when another worker has to go on from it.
    try:
        survives = loaded(kernel.State, *stored) == state
    except BaseException as error:
        why = not_finite(state, "it") or line(error)
        raise Unusable(f"yielded a state that cannot be read back: {why}") from error
    if not survives:
        odd = not_finite(state, "it")
        reason = f": {odd}" if odd else ""
        raise Unusable(f"yielded a state that does not survive being stored as JSON{reason}")
    return stored


def _stored_elsewhere(
    state: Held, max_bytes: int, row: Callable[[int], memoryview | None]
) -> Stored:
    try:
        return state.stored(max_bytes, row)
    except (StateTooLarge, Unusable):
        raise
    except BaseException as error:  # Its process is gone.
        raise Unusable(f"yielded a state that cannot be fetched: {line(error)}") from error


def bulk_bytes_of(state: Yielded) -> int:
    """Return the size of a state's arrays; 0 where it cannot be stored, as its save will tell."""
    try:
        return state.bulk_bytes() if isinstance(state, Held) else dumped(state).bulk.size
    except Exception:  # noqa: BLE001 - of a foreign model
        return 0


def progress_of(kernel: AnyKernel, params: BaseModel, state: Yielded) -> float:
    """Return the share of the work that is done in a state, 0 to 1.

    Raises:
        Unusable: the kernel cannot tell.
    """
    try:
        told = state.progress() if isinstance(state, Held) else kernel.progress(params, state)
        share = float(told)
    except BaseException as error:
        raise Unusable(f"cannot tell its progress: {line(error)}") from error
    return min(max(0.0, share), 1.0)  # in this order not a number is 0


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


def restored_state(kernel: AnyKernel, stored: Stored) -> BaseModel:
    """Return the state that was stored so.

    Raises:
        Unusable: it does not fit this version of the kernel.
    """
    try:
        state: BaseModel = loaded(kernel.State, *stored)
    except ValidationError as error:
        misfit = first_error(error)
    else:
        return state
    # Without its cause: pydantic's own words repeat the state, in many times its memory.
    raise Unusable(
        f"the stored state does not fit {kernel.State.__name__} of version {kernel.version}: "
        f"{misfit}; raise `version` and write `migrate`"
    )


def stored_result(kernel: AnyKernel, result: object) -> tuple[Any, Bulk]:
    """Return the result as a JSON value, and its arrays.

    Raises:
        Unusable: it is not the kernel's Result, or cannot be stored as JSON.
    """
    if not isinstance(result, kernel.Result):
        raise Unusable(f"returned {type(result).__name__} instead of its Result")
    try:
        bulk, again = Bulk(), Bulk()
        value = result.model_dump(mode="json", context=bulk.context)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        # Where a field may be anything, JSON turns NaN into null and a set into a list.
        text = result.model_dump_json(round_trip=True, context=again.context)
        survives = loaded(kernel.Result, text, again) == result
        require_shallow(text)
    except BaseException as error:
        why = not_finite(result, "it") or line(error)
        raise Unusable(f"returned a result that cannot be stored: {why}") from error
    if not survives:
        raise Unusable("returned a result that does not survive being stored as JSON")
    return value, bulk


def require_shallow(text: str) -> None:
    """Refuse JSON text that could be read by itself, but not as a part of a record.

    Raises:
        ValueError: it is nested too deeply for that.
    """
    from_json(f"[[{text}]]")
