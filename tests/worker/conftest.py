"""Fixtures of the worker's tests."""

from __future__ import annotations

import pytest

from tests.worker.floor import Floor


@pytest.fixture
def floor() -> Floor:
    """An empty floor: a fake clock, a store, a queue."""
    return Floor()
