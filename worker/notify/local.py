"""Notices on this machine, which `outlast run` gives itself once its job is over."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from outlast.worker.notify.contract import NotDelivered
from outlast.worker.notify.target import InvalidTarget

if TYPE_CHECKING:
    from collections.abc import Callable

    from outlast.worker.notify.notice import Notice


def local_notice(target: str) -> Callable[[Notice], None]:
    """Return what tells the target of an notice, and may raise NotDelivered.

    `file:///path` gets one line more, the notice as JSON, which is on the disk when it returns.
    `exec:command` runs the command without a shell, with the notice on its standard input.

    Raises:
        InvalidTarget: the target is neither.
    """
    if target.startswith("exec:"):
        try:
            words = shlex.split(target.removeprefix("exec:"))
        except ValueError as error:
            raise InvalidTarget(f"notify {target!r}: {error}") from None
        if not words:
            raise InvalidTarget(f"notify {target!r}: give a command, as in 'exec:notify-send done'")
        return lambda notice: _run(words, notice)
    place = urlsplit(target)
    if place.netloc or not place.path.startswith("/"):
        raise InvalidTarget(f"notify {target!r}: give file:///path, with three slashes")
    return lambda notice: _append(unquote(place.path), notice)


def _append(path: str, notice: Notice) -> None:
    line = f"{notice.body}\n".encode()
    try:
        # One write at the end of the file, so that runs side by side do not mix their lines.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(file, line)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise NotDelivered(str(error)) from error
    if written != len(line):
        raise NotDelivered(f"only {written} of {len(line)} bytes were written: is the disk full?")


def _run(words: list[str], notice: Notice) -> None:
    try:
        ended = subprocess.run(words, input=notice.body.encode(), check=False)  # noqa: S603 - the user's own words
    except (OSError, ValueError) as error:
        raise NotDelivered(str(error)) from error
    if ended.returncode:
        raise NotDelivered(f"{words[0]} ended with code {ended.returncode}")
