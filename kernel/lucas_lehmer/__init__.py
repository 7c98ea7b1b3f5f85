"""The Lucas-Lehmer test: is 2^p - 1 prime? Importing this imports no gmpy2."""

from outlast.kernel.lucas_lehmer.kernel import LucasLehmer

__all__ = ["LucasLehmer"]
