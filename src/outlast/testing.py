"""For authors of kernels: is the result the same wherever a kernel is stopped, or divided?"""

from outlast.kernel.testing import assert_divisible, assert_resumable

__all__ = ["assert_divisible", "assert_resumable"]
