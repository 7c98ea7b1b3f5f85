"""The reference kernels: the n-th prime, and how many primes there are up to x.

Importing this package imports neither numba nor numpy.
"""

from outlast.kernel.nth_prime.kernel import NthPrime
from outlast.kernel.nth_prime.prime_count import PrimeCount

__all__ = ["NthPrime", "PrimeCount"]
