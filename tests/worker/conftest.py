"""Fixtures of the worker's tests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.worker.floor import Floor

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _loggers() -> Iterator[None]:
    """Enable again what a kernel's `dictConfig` has disabled, for the tests that follow."""
    yield
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture
def floor() -> Floor:
    """An empty floor: a fake clock, a store, a queue."""
    return Floor()
