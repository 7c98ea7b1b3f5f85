"""The kernel `lucas-lehmer` as a worker and its user see it."""

from __future__ import annotations

import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING, Any

import gmpy2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from outlast.kernel import Resources, UnknownKernel
from outlast.kernel.lucas_lehmer import LucasLehmer, arithmetic
from outlast.kernel.lucas_lehmer import kernel as module
from outlast.kernel.lucas_lehmer.jacobi import jacobi
from outlast.kernel.lucas_lehmer.sequence import Sequence, Term
from outlast.kernel.registry import load
from outlast.kernel.testing import assert_resumable

if TYPE_CHECKING:
    from collections.abc import Callable

KERNEL = LucasLehmer()
MERSENNE_PRIMES = {3, 5, 7, 13, 17, 19, 31, 61, 89, 107, 127, 521, 607, 1279, 2203}


def solve(exponent: int, spoil: Callable[[Any], Any] = lambda state: state) -> Any:
    """The result; `spoil` may put another state in place of each that is yielded."""
    params, state = KERNEL.Params(exponent=exponent), None
    while True:
        steps = KERNEL.run(params, state, Resources())
        try:
            state = next(steps)
            while (spoilt := spoil(state)) is state:
                state = next(steps)
            state = spoilt
        except StopIteration as end:
            return end.value
        finally:
            steps.close()


def residue(exponent: int) -> str:
    """The last term's lowest 64 bits, by the definition."""
    modulus, term = 2**exponent - 1, 4
    for _ in range(exponent - 2):
        term = (term * term - 2) % modulus
    return f"{term % 2**64:016X}"


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without gmpy2."""
    monkeypatch.setattr(arithmetic, "gmp", lambda: None)


def test_all_small_exponents_against_the_definition() -> None:
    """A prime would be missed, or a residue would not match that of any other program."""
    for exponent in range(3, 1300):
        if gmpy2.is_prime(exponent):
            result = solve(exponent)
            assert result.is_prime == (exponent in MERSENNE_PRIMES), exponent
            assert (result.exponent, result.residue) == (exponent, residue(exponent))
            assert result.errors == 0


LARGER = [pytest.param(p, marks=pytest.mark.chaos) for p in (19937, 21701, 23209, 44497, 86243)]


@pytest.mark.parametrize("exponent", [2203, 2281, 3217, 4253, 4423, 9689, 9941, 11213, *LARGER])
def test_published_primes(exponent: int) -> None:
    """A known Mersenne prime would be called composite."""
    result = solve(exponent)
    assert (result.is_prime, result.residue) == (True, "0" * 16)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("exponent", [3, 607, 2203, 2213, 4001])
def test_without_gmpy2_the_result_is_the_same(
    exponent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that goes on where gmpy2 is missing would end in another result."""
    result = solve(exponent)
    monkeypatch.undo()
    assert result == solve(exponent)
    assert result.residue == residue(exponent)


@pytest.mark.usefixtures("plain")
def test_a_large_exponent_without_gmpy2_says_what_to_install() -> None:
    """A worker would be at a single step until its platform ends it, with nothing to tell why."""
    with pytest.raises(UnknownKernel, match=r"needs gmpy2, .*: pip install .*\[gmp\]"):
        solve(50_021)
    with pytest.raises(UnknownKernel):
        LucasLehmer().require(LucasLehmer.Params(exponent=50_021))


@pytest.mark.parametrize("exponent", [127, 4423, 10_007])
def test_it_can_be_stopped_anywhere(exponent: int) -> None:
    """A job's result would depend on when its workers died."""
    result = assert_resumable(KERNEL, KERNEL.Params(exponent=exponent), interruptions=12)
    assert result.residue == solve(exponent).residue


@pytest.mark.usefixtures("plain")
def test_it_can_be_stopped_anywhere_without_gmpy2() -> None:
    """A job would end in a wrong result on workers that have no gmpy2."""
    assert assert_resumable(KERNEL, KERNEL.Params(exponent=2203), interruptions=20).is_prime


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps and checks that come so often that a short test has many."""
    monkeypatch.setattr(module, "CHECK_TERMS", 100)
    gmp = arithmetic.gmp()
    assert gmp is not None
    monkeypatch.setattr(arithmetic, "gmp", lambda: gmp._replace(stretch=lambda _: 7))


def flip(term: Term, bit: int) -> Term:
    """Return the term as a faulty machine would have it."""
    value = int.from_bytes(term.residue, "little") ^ (1 << bit)
    return Term(index=term.index, residue=value.to_bytes(len(term.residue), "little"))


@pytest.mark.usefixtures("often")
def test_an_error_that_the_check_finds_is_mended() -> None:
    """A bit that flips in the memory of a worker would end in a wrong answer, after days."""
    random, exponent, mended = Random(1), 1279, 0
    for _ in range(40):
        when, bit = random.randrange(exponent - 2), random.randrange(exponent)
        done = False

        def spoil(state: Any, when: int = when, bit: int = bit) -> Any:
            nonlocal done
            if done or state.newest.index < when:
                return state
            done = True
            return state.model_copy(update={"newest": flip(state.newest, bit)})

        result = solve(exponent, spoil)
        assert result.is_prime == (result.errors == 1)
        mended += result.errors
    assert 10 <= mended <= 30  # one in two


@pytest.mark.usefixtures("often")
def test_a_machine_that_errs_again_and_again_is_given_up() -> None:
    """A job on a broken machine would go in circles for ever."""
    sequence = Sequence(1279)
    bad = next(
        term
        for bit in range(1279)
        if not sequence.is_sound(
            sequence.after(term := flip(sequence.after(sequence.first, 90), bit), 10)
        )
    )

    def spoil(state: Any) -> Any:
        return state.model_copy(update={"newest": bad}) if state.newest.index < 90 else state

    with pytest.raises(ArithmeticError, match="failed 11 times"):
        solve(1279, spoil)


@given(st.integers(-(10**40), 10**40), st.integers(0, 10**40).map(lambda n: 2 * n + 1))
def test_the_jacobi_symbol_against_gmp(a: int, n: int) -> None:
    """Right terms would be taken for wrong ones where gmpy2 is missing, or wrong ones for right."""
    assert jacobi(a, n) == gmpy2.jacobi(a, n)


def test_progress_runs_from_0_to_1() -> None:
    """The progress bar would jump back, or stand at half when the job is done."""
    params = KERNEL.Params(exponent=11213)
    shares = [KERNEL.progress(params, state) for state in KERNEL.run(params, None, Resources())]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.1
    assert shares[-1] == 1
    assert len(shares) > 20


@pytest.mark.parametrize("exponent", [-3, 0, 1, 2, 10**8 + 7, 3.0, "3", True, None])
def test_exponents_out_of_bounds_are_refused(exponent: object) -> None:
    """A typing mistake would start a job that fails late."""
    with pytest.raises(ValidationError, match="exponent"):
        KERNEL.Params(exponent=exponent)


@pytest.mark.parametrize(
    ("exponent", "divisor"), [(4, 2), (15, 3), (9409, 97), (99_980_001, 3), (99_400_891, 9967)]
)
def test_a_composite_exponent_is_refused_with_its_reason(exponent: int, divisor: int) -> None:
    """Days of work would go into what a division answers; the test is wrong for it besides."""
    with pytest.raises(
        ValidationError, match=rf"2\^{exponent} - 1 is divisible by 2\^{divisor} - 1"
    ):
        KERNEL.Params(exponent=exponent)


def test_a_state_of_another_exponent_is_refused() -> None:
    """A state put into the wrong job would give an answer that means nothing."""
    state = next(KERNEL.run(KERNEL.Params(exponent=607), None, Resources()))
    with pytest.raises(ValueError, match="the state is not one of exponent=89"):
        next(KERNEL.run(KERNEL.Params(exponent=89), state, Resources()))


def test_the_largest_state_is_within_the_default_limit() -> None:
    """The largest jobs would fail at their first save, not when they are submitted."""
    term = Term(index=0, residue=bytes(module.LARGEST_EXPONENT // 8))
    state = KERNEL.State(newest=term, checked=term)
    assert len(state.model_dump_json()) < 64 << 20


def test_it_is_registered_and_light() -> None:
    """`outlast kernels`, and every worker without such a job, would wait for a library."""
    assert isinstance(load("lucas-lehmer"), LucasLehmer)
    code = """
import sys
from outlast.kernel.registry import load
load("lucas-lehmer").Params(exponent=3)
print([name for name in ("gmpy2", "numba", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
