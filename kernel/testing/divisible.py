"""The question to a divisible kernel: do its parts come to the same result as its run alone?"""

from __future__ import annotations

from copy import deepcopy
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import BaseModel

from outlast.kernel.divisible import Divisible
from outlast.kernel.parts import PartKernel
from outlast.kernel.testing.division import LEFT_TO_RIGHT, Division, groupings, ways_to_cut
from outlast.kernel.testing.resumable import IN_STATE, assert_resumable
from outlast.kernel.testing.shared_job import APART, PLAIN, TOGETHER, SharedJob, Way, planned
from outlast.kernel.testing.stored import stored

if TYPE_CHECKING:
    from outlast.kernel.parts import AnyDivisible
    from outlast.kernel.testing.division import Part
    from outlast.kernel.testing.resumable import Wrong
    from outlast.kernel.testing.stored import Stored

R = TypeVar("R", bound=BaseModel)

EXACT = "to the last bit, which sums of floats do not: add whole numbers, or keep the summands"
# So many cuts of a wrong division are tried alone, as a single one says more.
MOST_SINGLE_CUTS = 8


def assert_divisible(  # noqa: PLR0913 - all but two by name
    kernel: Divisible[Any, Any, R, Any, Any, Any],
    params: BaseModel,
    *,
    divisions: int = 10,
    interruptions: int = 50,
    longest_step_seconds: float | None = 1.0,
    forks: bool = True,
) -> R:
    """Fail unless `kernel` has the same result in parts as alone, however cut; return it.

    It does all that `assert_resumable` does with the same arguments, and then:

    - makes the plan, stores it, and uses nothing but what was stored from there on;
    - tries a part of half the work, and the other one, as `assert_resumable` tries a kernel;
    - computes all parts in up to `divisions` ways to cut the pieces: not at all, by shares of the
      work, very unevenly, each piece for itself if there are few, and at random. They are computed
      in any order: as copies that have not run before, stopped and resumed, with another number of
      threads and an empty scratch folder; and one after the other in the same object;
    - combines their partials from left to right, from right to left, in halves and at random;
    - concludes what each comes to, and where that is a state, runs it to the end.

    Plan, PartState and Partial must survive being stored, `share` must go from 0 to 1 and never
    fall, and no method may change what it is given. All ways must come to one result, which is
    compared exactly: arrays by their bytes, floats to the last bit. A sum of floats depends on the
    order in which they are added, so a kernel that adds some has to keep them, or to add whole
    numbers or fractions.

    In all this takes about `divisions` and twice `interruptions` times as long as one run, and
    the start of three interpreters. What is tried at random is the same each time.

    Raises:
        AssertionError: it names the part, the cuts or the grouping from which the result differs,
            or what else would stop a worker.
    """
    if not isinstance(kernel, (Divisible, type)):
        message = f"{type(kernel).__name__} is not divisible: derive it from outlast.Divisible"
        raise AssertionError(message)  # noqa: TRY004 - every failure of a test is one
    fresh = deepcopy(kernel)
    alone: dict[str, Any] = {
        "interruptions": interruptions,
        "longest_step_seconds": longest_step_seconds,
        "forks": forks,
    }
    expected: R = assert_resumable(kernel, params, **alone)
    given = stored(kernel.Params, params, "the value of its parameters")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        plan = planned(kernel, given)
        job = SharedJob(fresh, given, plan, expected, folder, longest_step_seconds)
        for part in job.halves:
            _check_part(job, part, kernel, alone)
        ways = ways_to_cut(job.pieces, job.piece_at, divisions, job.random)
        for number, division in enumerate(ways):
            _check_division(job, division, TOGETHER if number % 2 else APART)
    return expected


def _check_part(job: SharedJob, part: Part, planner: AnyDivisible, alone: dict[str, Any]) -> None:
    """Fail unless a part has the same partial wherever it stops."""
    params = job.part_params(part)
    try:
        assert_resumable(PartKernel(deepcopy(job.fresh)), params, **alone)
    except AssertionError as error:
        raise AssertionError(f"{part}: {error}") from error
    except Exception as error:
        try:
            assert_resumable(PartKernel(planner), params, **alone)
        except Exception:  # noqa: BLE001 - a foreign kernel may raise anything
            raise error from None
        raise AssertionError(
            f"{part}: it raises {error!r}, and not in the object that has made the plan: all that "
            "a part needs must be in the plan"
        ) from error


def _check_division(job: SharedJob, division: Division, way: Way) -> None:
    """Fail unless the parts lead to the expected result, in whatever grouping."""
    partials = job.computed(division.parts, way)
    for number, (name, split) in enumerate(groupings(job.random)):
        if wrong := job.wrong(job.combined(partials, split)):
            _check_partials(job, division, way, partials)
            if number:
                raise AssertionError(
                    f"{division}, combined {name}: {wrong}, and {LEFT_TO_RIGHT} it is right: "
                    f"combine must come to the same in any grouping, {EXACT}"
                )
            _raise_for(job, division, wrong)


def _raise_for(job: SharedJob, division: Division, wrong: Wrong) -> NoReturn:
    """Fail, by a single cut if one is enough."""
    if not division.cuts:
        raise AssertionError(
            f"{division}: {wrong}: part and conclude must come to what run does, {EXACT}; and all "
            "that they need must be in the plan"
        )
    if len(division.cuts) > 1:
        for cut in division.cuts[:MOST_SINGLE_CUTS]:
            _check_division(job, Division((0, cut, job.pieces)), PLAIN)
    raise AssertionError(
        f"{division}: {wrong}: what combine makes of their partials must be what part comes to for "
        f"all pieces at once, {EXACT}"
    )


def _check_partials(job: SharedJob, division: Division, way: Way, partials: list[Stored]) -> None:
    """Fail if it matters how a part was computed."""
    plain = job.computed(division.parts, PLAIN)
    for part, found, right in zip(division.parts, partials, plain, strict=True):
        wrong = job.difference(found, right)
        if wrong is None:
            continue
        (unstopped,) = job.computed([part], Way(way.threads))
        if way.together:
            how, hint = "as one of several in an object", "keep nothing in the kernel object"
        elif job.difference(unstopped, right):
            how, hint = f"with {way.threads} threads", "it must not depend on resources.threads"
        else:
            how, hint = "stopped and resumed", IN_STATE
        raise AssertionError(f"{part}, {how}: {wrong}: {hint}")
