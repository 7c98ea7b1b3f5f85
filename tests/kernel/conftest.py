"""Fixtures for the tests of kernels."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from outlast.kernel.testing import resumable


@pytest.fixture
def _no_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the interpreters out, of which each takes half a second."""
    monkeypatch.setattr(resumable, "interpreted", lambda _: nullcontext())
