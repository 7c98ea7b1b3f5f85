"""For authors of kernels: does a computation survive being stopped anywhere?

    from kernel.testing import assert_resumable

    def test_my_kernel_can_be_stopped_anywhere():
        assert assert_resumable(MyKernel(), MyKernel.Params(size=10)).answer == 42

Nothing of the worker is needed for that. Whatever happens to a worker comes to one thing for a
kernel: it is asked to go on from a state that it has yielded.

    what happens                          what the kernel is asked
    a deadline, a stop signal             to go on from its newest state
    killed before the newest was saved    to go on from an older one, in another process
    killed between save, send and ack     to go on from the newest, in another process
    a lease or a save that was lost       to go on from an older one, in a process that has gone on
    a message delivered twice             to go on from a state from which it has gone on before

The first and the last two are tried in the process at hand, the others by a copy of the kernel.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from kernel.contract import Resources

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from kernel.contract import Kernel

R = TypeVar("R", bound=BaseModel)

SHOWN_CHARACTERS = 300
# A run with interruptions may take finer steps than one without, but not without end.
MOST_STEPS_RATIO, MOST_STEPS_MORE = 10, 1000

ALONE, TOGETHER = Resources(threads=1), Resources(threads=2)


def assert_resumable(
    kernel: Kernel[Any, Any, R],
    params: BaseModel,
    *,
    interruptions: int = 50,
    longest_step_seconds: float | None = 1.0,
) -> R:
    """Fail unless `kernel` comes to one result for `params`, wherever it is stopped; return it.

    It runs whole; then from each safe point to the end, by a copy of the kernel as another process
    has it; then stopped at each safe point, by the kernel that has run before; then the same, but
    back to the safe point before each time and over that stretch again. A state always passes
    through its JSON, as a worker stores it, and the number of threads varies.

    Where there are more than `interruptions` safe points, that many or half of them are taken,
    evenly spread. All that takes at most `interruptions` times as long as one run: choose
    parameters that take a second, and have safe points of every kind.

    From one state to the next that differs it may take `longest_step_seconds`; None: any time. A
    worker sees its deadline at a yield only, and a slice shorter than that never advances: about
    0.05 s is good, and the default leaves room for a busy machine. A state that is yielded again
    is no further safe point.

    What a kernel keeps in its module, beside its class, is shared by all these runs as it is in a
    worker; that it is missing in another process does not show here.

    Raises:
        AssertionError: it names the first state from which the result differs, or what else a
            worker would stumble over.
    """
    fresh = deepcopy(kernel)
    kernel.prepare(params)
    trial: _Trial[R] = _Trial(
        _through_json(kernel.Params, params, "the value of its parameters"), longest_step_seconds
    )
    sample = _Sample(interruptions)
    wanted = _finish(trial.run(kernel, None), sample.take)
    trial.check_progress(kernel, sample.points)
    for point in sample.points:
        found = trial.resumed(deepcopy(fresh), point, TOGETHER)
        if found != wanted:
            raise AssertionError(
                f"gone on with from {point} it comes to {_shown(found)} instead of "
                f"{_shown(wanted)}: all that it needs must be in its state"
            )
    ways = {"stopped": False, "stopped, and sent back to the one before,": True}
    for what, is_redone in ways.items():
        found = trial.interrupted(kernel, sample, is_redone=is_redone)
        if found != wanted:
            raise AssertionError(
                f"{what} at {sample.stops} it comes to {_shown(found)} instead of "
                f"{_shown(wanted)}, though it does not from any one of them: nothing may stay in "
                "the kernel object"
            )
    return wanted


class _Point(NamedTuple):
    """A safe point: its number, from 1 on, and the state's JSON."""

    number: int
    text: str

    def __str__(self) -> str:
        return f"safe point {self.number}, {_shown(self.text)},"


class _Sample:
    """Some of many safe points: at most `most`, evenly spread, and the last."""

    def __init__(self, most: int) -> None:
        self._most = max(most, 2)
        self._kept: list[_Point] = []
        self._last: list[_Point] = []
        self.stride = 1
        self.count = 0

    def take(self, text: str) -> None:
        """Consider the next safe point."""
        self.count += 1
        self._last = [_Point(self.count, text)]
        if self.count % self.stride == 0:
            self._kept += self._last
        if len(self._kept) > self._most:
            self._kept = self._kept[1::2]
            self.stride *= 2

    @property
    def points(self) -> list[_Point]:
        """Those that were kept, in order."""
        return self._kept if self._kept[-1:] == self._last else self._kept + self._last

    @property
    def stops(self) -> str:
        """Where a run is interrupted, for people to read."""
        each = "each" if self.stride == 1 else f"every {self.stride}th"
        return f"{each} of its {self.count} safe points"


class _Trial(Generic[R]):
    """Runs of one computation, each step of which is looked at."""

    def __init__(self, params: BaseModel, longest_step_seconds: float | None) -> None:
        self._params = params
        self._longest = longest_step_seconds

    def run(
        self, kernel: Kernel[Any, Any, R], stored: str | None, resources: Resources = ALONE
    ) -> Generator[str, None, R]:
        """Run from a stored state; yield the JSON of each new state, return the result."""
        state = None if stored is None else kernel.State.model_validate_json(stored)
        steps = kernel.run(self._params, state, resources)
        text, since = stored, perf_counter()
        try:
            while True:
                try:
                    state = next(steps)
                except StopIteration as end:
                    self._check_seconds(perf_counter() - since, text)
                    result: R = _through_json(kernel.Result, end.value, "the result")
                    return result
                self._check_seconds(perf_counter() - since, text)
                _through_json(kernel.State, state, "the state")
                if text != (text := state.model_dump_json()):
                    yield text
                    since = perf_counter()
        finally:
            _close(steps)

    def resumed(self, kernel: Kernel[Any, Any, R], point: _Point, resources: Resources) -> R:
        """Return the result that the kernel comes to from `point`."""
        try:
            return _finish(self.run(kernel, point.text, resources))
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"gone on with from {point} it raises {error!r}") from error

    def interrupted(self, kernel: Kernel[Any, Any, R], sample: _Sample, *, is_redone: bool) -> R:
        """Return the result of a run that is stopped at each safe point of the sample.

        `is_redone`: each stretch is run, forgotten, and run again from the same state.
        """
        text: str | None = None
        most = MOST_STEPS_RATIO * sample.count + MOST_STEPS_MORE
        for _ in range(0, most, sample.stride):
            if is_redone:
                lost = self.run(kernel, text)
                for _ in islice(lost, sample.stride):
                    pass
                lost.close()
            steps = self.run(kernel, text)
            for _ in range(sample.stride):
                try:
                    text = next(steps)
                except StopIteration as end:
                    result: R = end.value
                    return result
            steps.close()
        raise AssertionError(
            f"stopped at {sample.stops} it does not come to an end within {most} steps"
        )

    def check_progress(self, kernel: Kernel[Any, Any, R], points: list[_Point]) -> None:
        """Fail unless the progress stays within 0 and 1, and never falls."""
        before = 0.0
        for point in points:
            state = kernel.State.model_validate_json(point.text)
            share = kernel.progress(self._params, state)
            if not before <= share <= 1:
                raise AssertionError(
                    f"at {point} its progress is {share!r} after {before!r}: it goes from 0 to 1"
                )
            before = share

    def _check_seconds(self, seconds: float, text: str | None) -> None:
        if self._longest is not None and seconds > self._longest:
            where = "its start" if text is None else _shown(text)
            raise AssertionError(
                f"{seconds:.2f} s after {where} there was no other state, longer than the "
                f"{self._longest:g} s allowed: yield more often, or set longest_step_seconds"
            )


def _finish(steps: Generator[str, None, R], see: Callable[[str], None] = lambda _: None) -> R:
    """Run to the end; `see` is shown each state. Return the result."""
    while True:
        try:
            see(next(steps))
        except StopIteration as end:
            result: R = end.value
            return result


def _close(steps: Generator[Any, None, Any]) -> None:
    try:
        steps.close()
    except Exception as error:
        raise AssertionError(f"it does not stop when it is closed: {error!r}") from error


def _through_json(model: type[BaseModel], value: Any, what: str) -> Any:
    """Return what is left of `value` once it was stored; fail unless that is all of it."""
    if not isinstance(value, model):
        told = f"{what} is {type(value).__name__}, not {model.__name__}: {_shown(value)}"
        raise AssertionError(told)  # noqa: TRY004 - every finding of a test is this one
    text = value.model_dump_json()
    try:
        found = model.model_validate_json(text)
    except ValueError as error:
        raise AssertionError(f"{what} cannot be read back from JSON, {_shown(text)}") from error
    if found != value:
        raise AssertionError(f"{what} does not survive being stored as JSON: {_shown(value)}")
    return found


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
