"""What holds on some systems only."""

import sys

import pytest

on_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="it holds on Linux only: see Systems in docs/usage.md"
)
