"""Parameters as they are typed: key=value."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError

WHOLE = re.compile(r"[+-]?[0-9]+(_[0-9]+)*")
SCIENTIFIC = re.compile(r"([+-]?[0-9]+)[eE]\+?([0-9]{1,3})")
FRACTION = re.compile(r"([+-]?[0-9]+)\.([0-9]{1,99})[eE]([0-9]{1,3})")
# No sign: people disagree on what -2^2 is.
POWER = re.compile(r"([0-9]{1,4})(?:\^|\*\*)([0-9]{1,3})")


def params_for(kernel: str, words: Iterable[str]) -> dict[str, Any]:
    """Return the parameters that `words`, each key=value, spell for a kernel.

    Each is what `value_of` reads, or the text itself where the kernel's model wants text. For an
    array or a blob it is @ and the path of a file.

    Raises:
        UnknownKernel: no such kernel is installed.
        InvalidParams: a word is not key=value, a key comes twice, or the model refuses a value.
    """
    # It brings pydantic, half of a start's time.
    from pydantic import ValidationError

    from outlast.kernel import InvalidParams
    from outlast.kernel.registry import load
    from outlast.worker.cli.param_files import read_files
    from outlast.worker.cli.streams import stdout_to_stderr
    from outlast.worker.jobs.new_job import refusal

    with stdout_to_stderr():  # A package may print when it is imported.
        model = load(kernel).Params
    typed = split_params(words)
    params = {key: value_of(text) for key, text in typed.items()}
    if any(text.startswith("@") for text in typed.values()):
        params |= read_files(kernel, model, typed)
    while True:
        try:
            model.model_validate(params)
        except ValidationError as error:
            as_text = {key: typed[key] for key in _text_fields(error, params)}
            if not as_text:
                raise refusal(kernel, model, error, typed) from None
            params |= as_text
        except SystemExit as error:  # The command would end without a word.
            message = f"{kernel}: the check of its parameters calls sys.exit({error})"
            raise InvalidParams(message) from error
        else:
            return params


def split_params(words: Iterable[str]) -> dict[str, str]:
    """Return the parameters in `words`, each key=value, as they were typed.

    Raises:
        InvalidParams: a word is not key=value, or a key comes twice.
    """
    from outlast.kernel import InvalidParams
    from outlast.worker.jobs.new_job import shown

    params: dict[str, str] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not (key and equals):
            raise InvalidParams(f"{shown(word)} is not a parameter: write key=value")
        if key in params:
            raise InvalidParams(f"parameter {shown(key)} is given twice: give it once")
        params[key] = text
    return params


def format_params(params: Mapping[str, Any]) -> str:
    """Return `params` as they may be typed."""
    return " ".join(f"{key}={_text(value)}" for key, value in params.items())


def value_of(text: str) -> Any:
    """Return the value that `text` looks like.

    That is a whole number, which may have underscores or be written as 1e15, 1.5e15, 10^15 or
    10**15, or any JSON literal (true, 1.5, null, "text", [1, 2]); anything else is text. The
    kernel's model checks it later.
    """
    if number := SCIENTIFIC.fullmatch(text):
        return int(number[1]) * 10 ** int(number[2])
    if (fraction := FRACTION.fullmatch(text)) and len(fraction[2]) <= int(fraction[3]):
        return int(fraction[1] + fraction[2]) * 10 ** (int(fraction[3]) - len(fraction[2]))
    if power := POWER.fullmatch(text):
        return int(power[1]) ** int(power[2])
    try:
        return int(text) if WHOLE.fullmatch(text) else json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text  # Python reads no whole number of over 4300 digits either.


def _text_fields(error: ValidationError, params: Mapping[str, Any]) -> set[str]:
    """Return the parameters that look like a number, true, false or null where text is wanted."""
    fields = {str(e["loc"][0]) for e in error.errors() if e["type"] == "string_type"}
    return {key for key in fields & set(params) if not isinstance(params[key], str | list | dict)}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _text(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and value_of(value) == value:
        return value
    return json.dumps(value)
