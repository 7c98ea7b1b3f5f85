"""Fixtures of the worker's tests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.worker.floor import Floor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Set back what a kernel's `dictConfig` or the start of metrics has changed of the loggers."""
    ours = logging.getLogger("outlast")
    before = {name: getattr(ours, name) for name in ("propagate", "handlers")}
    level, ours.handlers = ours.level, [*ours.handlers]
    yield
    vars(ours).update(before)
    ours.setLevel(level)
    for handler in logging.root.handlers:  # pytest's own
        handler.filters.clear()
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture
def floor() -> Floor:
    """An empty floor: a fake clock, a store, a queue."""
    return Floor()
