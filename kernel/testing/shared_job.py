"""A job that is shared: its parts are computed, combined and concluded, each step checked."""

from __future__ import annotations

from bisect import bisect_left
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.kernel.parts import PartKernel
from outlast.kernel.testing.division import Division
from outlast.kernel.testing.resumable import THREADS, Wrong, difference
from outlast.kernel.testing.stored import Stored, excerpt, stored
from outlast.kernel.testing.trial import Trial, change, granted, run_to_end, short

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from outlast.kernel.parts import AnyDivisible, AnyKernel
    from outlast.kernel.testing.division import Part, Split

# At so many pieces at most it is asked for the share.
MOST_SHARES = 1000
CONCLUDED = "what conclude returns"


def planned(kernel: AnyDivisible, params: Stored) -> Stored:
    """Return the plan as it is stored."""
    given = params.load(kernel.Params)
    plan = stored(kernel.Plan, kernel.plan(given), "the plan")
    _require_unchanged(given, params, "plan changes the parameters")
    return plan


class Way(NamedTuple):
    """How parts are computed.

    Attributes:
        threads: how many each may use.
        stops: whether it is stopped and resumed on the way, as another copy of the kernel.
        together: whether one copy computes all of them, in any order; else each has its own.
    """

    threads: int = 1
    stops: bool = False
    together: bool = False


PLAIN, APART, TOGETHER = Way(), Way(THREADS, stops=True), Way(together=True)


@dataclass
class SharedJob:
    """One job, computed in parts, from a plan that was stored.

    What passes from one step to another is stored and read back, and each step is that of a copy
    of the kernel that has not run before.

    Attributes:
        fresh: the kernel, which has not run.
        expected: the result of its run alone.
        folder: where scratch folders are made.
    """

    fresh: AnyDivisible
    params: Stored
    plan: Stored
    expected: BaseModel
    folder: str
    longest_step_seconds: float | None
    # What is tried at random is the same each time.
    random: Random = field(default_factory=lambda: Random(1))  # noqa: S311 - nothing secret
    _known: list[tuple[Stored, Wrong | None]] = field(default_factory=list)

    @cached_property
    def pieces(self) -> int:
        """How many pieces there are.

        Raises:
            AssertionError: there are none, or `share` is not sound.
        """
        kernel, plan = self._copy(), self._load_plan()
        pieces = kernel.pieces(plan)
        if type(pieces) is not int or pieces < 1:
            raise AssertionError(
                f"pieces returned {pieces!r}: a whole number from 1 on is asked for"
            )
        before = 0.0
        for first in sorted({pieces * step // MOST_SHARES for step in range(MOST_SHARES + 1)}):
            share = kernel.share(plan, first)
            least, most = (1.0 if first == pieces else before), (1.0 if first else 0.0)
            if not least <= share <= most:
                raise AssertionError(
                    f"its share before piece {first} of {pieces} is {share!r} after {before!r}: it "
                    "must go from 0 at the first piece to 1 behind the last one, and never fall"
                )
            before = share
        _require_unchanged(plan, self.plan, "pieces or share changes the plan")
        return pieces

    def piece_at(self, share: float) -> int:
        """Return the first piece before which at least this share of the work lies."""
        kernel, plan = self._copy(), self._load_plan()
        return bisect_left(range(self.pieces), share, key=lambda first: kernel.share(plan, first))

    @property
    def halves(self) -> list[Part]:
        """Two parts of about half the work each; one, if there is one piece."""
        middle = min(max(self.piece_at(0.5), 1), self.pieces - 1)
        return Division(tuple(sorted({0, middle, self.pieces}))).parts

    def part_params(self, part: Part) -> BaseModel:
        """Return the parameters of a part."""
        model = PartKernel(self.fresh).Params
        params: BaseModel = model(plan=self._load_plan(), first=part.first, last=part.last)
        return params

    def computed(self, parts: list[Part], way: Way) -> list[Stored]:
        """Return the partials of the parts, in the same order; they are computed in another."""
        one = PartKernel(self._copy())
        make = (lambda: one) if way.together else (lambda: PartKernel(self._copy()))
        found: dict[Part, Stored] = {}
        for part in self.random.sample(parts, len(parts)):
            trial = self._trial(self.part_params(part), way.threads)
            found[part] = Stored.of(self._run(trial, make, None, stops=way.stops))
        return [found[part] for part in parts]

    def combined(self, partials: list[Stored], split: Split) -> Stored:
        """Return what neighbouring partials come to together, combined as `split` says."""
        kernel, plan = self._copy(), self._load_plan()

        def total(row: list[Stored]) -> Stored:
            if len(row) == 1:
                return row[0]
            at = split(len(row))
            ours, theirs = total(row[:at]), total(row[at:])
            a, b = ours.load(kernel.Partial), theirs.load(kernel.Partial)
            with short(self.longest_step_seconds, "combine"):
                both = kernel.combine(plan, a, b)
            after = stored(kernel.Partial, both, "what combine returns")
            _require_unchanged(a, ours, "combine changes its first partial")
            _require_unchanged(b, theirs, "combine changes its second partial")
            return after

        last = total(partials)
        _require_unchanged(plan, self.plan, "combine changes the plan")
        return last

    def wrong(self, total: Stored) -> Wrong | None:
        """Return what is wrong with the result that a total leads to; None: nothing."""
        for known, wrong in self._known:
            if known == total:
                return wrong
        self._known.append((total, difference(self._conclude(total), self.expected)))
        return self._known[-1][1]

    def difference(self, partial: Stored, right: Stored) -> Wrong | None:
        """Return how a partial differs from the right one; None: it does not."""
        return difference(partial.load(self.fresh.Partial), right.load(self.fresh.Partial))

    def _conclude(self, total: Stored) -> BaseModel:
        """Return the result, of `run` where that has to go on."""
        kernel, plan = self._copy(), self._load_plan()
        params = self.params.load(kernel.Params)
        end = kernel.conclude(params, plan, total.load(kernel.Partial))
        _require_unchanged(params, self.params, "conclude changes the parameters")
        _require_unchanged(plan, self.plan, "conclude changes the plan")
        if not isinstance(end, (kernel.Result, kernel.State)):
            raise AssertionError(  # noqa: TRY004 - every failure of a test is one
                f"conclude returns {type(end).__name__}, neither {kernel.Result.__name__} nor "
                f"{kernel.State.__name__}: {excerpt(end)}"
            )
        if isinstance(end, kernel.Result):
            result: BaseModel = stored(kernel.Result, end, CONCLUDED).load(kernel.Result)
            return result
        state = stored(kernel.State, end, CONCLUDED)
        return self._run(self._trial(params, THREADS), self._copy, state, stops=True)

    def _copy(self) -> AnyDivisible:
        return deepcopy(self.fresh)

    def _load_plan(self) -> BaseModel:
        plan: BaseModel = self.plan.load(self.fresh.Plan)
        return plan

    def _trial(self, params: BaseModel, threads: int) -> Trial[Any]:
        scratch = Path(mkdtemp(dir=self.folder))
        return Trial(params, granted(threads, scratch), self.longest_step_seconds)

    def _run(
        self,
        trial: Trial[Any],
        make: Callable[[], AnyKernel],
        point: Stored | None,
        *,
        stops: bool,
    ) -> BaseModel:
        """Return the result of a run from `point`, which stops twice, or never."""
        for most in [1, self.random.randint(1, 8)] if stops else []:
            steps = trial.run(make(), point)
            try:
                for _ in range(most):
                    point = next(steps)
            except StopIteration as end:
                result: BaseModel = end.value
                return result
            steps.close()
        last: BaseModel = run_to_end(trial.run(make(), point))
        return last


def _require_unchanged(model: BaseModel, before: Stored, what: str) -> None:
    if before != (after := Stored.of(model)):
        raise AssertionError(f"{what}, {change(before, after)}: work on a copy")
