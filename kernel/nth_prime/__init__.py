"""The reference kernel: the n-th prime. Importing it imports neither numba nor numpy."""

from kernel.nth_prime.kernel import NthPrime

__all__ = ["NthPrime"]
