"""The function that a batch calls, and one call of it: a line with a result, or with an error."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

from outlast import MachineFault, NonRetryable

from batch_items.places import Place, Unreadable

Function = TypeVar("Function", bound=Callable[..., Any])

MARK = "takes_each_item_as"
ERROR_CHARACTERS = 500
NAME_CHARACTERS = 200


def each_item(function: Function) -> Function:
    """Mark a function as one that a batch may call: no job can call any other.

    It gets one item: as bytes or as text where its first parameter is annotated `bytes` or `str`,
    else as the value that JSON has. It returns bytes, or a value that JSON can have.
    """
    first = next(iter(inspect.signature(function).parameters.values())).annotation
    takes: type = bytes if first in (bytes, "bytes") else str if first in (str, "str") else object
    setattr(function, MARK, takes)
    return function


class Line(NamedTuple):
    """A line of results, and what is wrong with its item; "": nothing."""

    line: bytes
    error: str


class Call:
    """A function, ready to be called with the items of a batch."""

    def __init__(self, path: str) -> None:
        """Load it.

        Raises:
            NonRetryable: there is no such function, or it is not marked.
        """
        self._function = _loaded(path)
        if not hasattr(self._function, MARK):
            raise NonRetryable(f"call={path}: mark the function with @each_item of batch_items")
        self._takes: type = getattr(self._function, MARK)

    def line(self, item: str, place: Place | None) -> Line:
        """Call the function with an item, which is JSON, and return the line of its result.

        Where there is a place, the item is the name of what is read there. Whatever the function
        raises is the item's error, but for what it says of the whole job.

        Raises:
            NonRetryable, MachineFault: the function does.
            Exception: the place does not answer.
        """
        content: Any = json.loads(item)
        if place is not None:
            try:
                content = place.read(content)
            except Unreadable as error:
                return _failed(item, error)
        try:
            result = json.dumps(_plain(self._function(self._given(content))), allow_nan=False)
        except (NonRetryable, MachineFault):
            raise
        except Exception as error:
            return _failed(item, error)
        return Line(f'{{"item": {item}, "result": {result}}}\n'.encode(), "")

    def _given(self, content: object) -> object:
        """Return a value, or the bytes that a place has, as the function takes it."""
        if isinstance(content, bytes):
            if self._takes is bytes:
                return content
            text = content.decode()
            return text if self._takes is str else json.loads(text)
        if self._takes is object:
            return content
        if not isinstance(content, str):
            raise TypeError(f"the function takes text, and this is {type(content).__name__}")
        return content if self._takes is str else content.encode()


def _loaded(path: str) -> Any:
    """Return what a module has by that name."""
    name, _, function = path.partition(":")
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise NonRetryable(f"call={path}: {error}") from error
        raise  # It is the module that lacks another one.
    if not hasattr(module, function):
        raise NonRetryable(f"call={path}: there is no {function!r} in {name!r}")
    return getattr(module, function)


def _plain(result: object) -> object:
    """Return a result as JSON can have it."""
    if isinstance(result, bytes):
        return {"base64": base64.b64encode(result).decode()}
    return result


def _failed(item: str, error: Exception) -> Line:
    """Return the line of an item that has failed."""
    what = f"{type(error).__name__}: {_one_line(_message(error), ERROR_CHARACTERS)}"
    value = json.loads(item)  # Not the call's, which the function may have changed.
    name = _one_line(value if isinstance(value, str) else item, NAME_CHARACTERS)
    return Line(f'{{"item": {item}, "error": {json.dumps(what)}}}\n'.encode(), f"{name}: {what}")


def _message(error: Exception) -> str:
    try:
        return str(error)
    except Exception:
        return "its message cannot be shown"


def _one_line(text: str, characters: int) -> str:
    # A name of a file may have what no UTF-8 can.
    return " ".join(text.split())[:characters].encode(errors="backslashreplace").decode()
