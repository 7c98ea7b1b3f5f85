"""For authors of kernels: `assert_resumable`, which stops a kernel everywhere and compares."""

from outlast.kernel.testing import assert_resumable

__all__ = ["assert_resumable"]
