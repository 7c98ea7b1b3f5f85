"""The sequence of Lucas and Lehmer, term by term."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from outlast.kernel.contract import Model
from outlast.kernel.lucas_lehmer.arithmetic import arithmetic_for


class Term(Model):
    """One term: `residue` is S_index modulo 2^p - 1, lowest byte first, of p bits rounded up."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    index: Annotated[int, Field(ge=0)]
    residue: bytes


class Sequence:
    """S_0 = 4, S_(k+1) = S_k^2 - 2, all modulo 2^p - 1 for an odd p.

    Attributes:
        first: S_0.
        stretch: how many terms take some 10 ms.
    """

    def __init__(self, exponent: int) -> None:
        arithmetic = arithmetic_for(exponent)
        self._exponent = exponent
        self._size = (exponent + 7) // 8
        self._integer = arithmetic.integer
        self._jacobi = arithmetic.jacobi
        self._modulus = (self._integer(1) << exponent) - 1
        self.stretch = arithmetic.stretch(exponent)
        self.first = self._term(0, self._integer(4))

    def after(self, term: Term, count: int) -> Term:
        """Return the term `count` terms after `term`."""
        value, modulus, exponent = self._value(term), self._modulus, self._exponent
        for _ in range(count):
            value = value * value - 2
            # 2^p is 1 modulo 2^p - 1: adding the high half to the low one takes no division.
            value = (value & modulus) + (value >> exponent)
            if value >= modulus:
                value -= modulus
        return self._term(term.index + count, value)

    def is_sound(self, term: Term) -> bool:
        """Whether `term`, S_1 or a later one, passes the Jacobi check.

        A correct term passes. After an error, all terms that follow fail with probability 1/2.
        """
        return self._jacobi(self._value(term) - 2, self._modulus) == -1

    def _value(self, term: Term) -> Any:
        value = self._integer.from_bytes(term.residue, "little")
        if len(term.residue) != self._size or value >= self._modulus:
            raise ValueError(f"the state is not one of exponent={self._exponent}")
        return value

    def _term(self, index: int, value: Any) -> Term:
        return Term(index=index, residue=value.to_bytes(self._size, "little"))
