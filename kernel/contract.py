"""What a computation must offer to outlast the worker that runs it."""

from __future__ import annotations

import logging
import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from shutil import rmtree
from typing import Any, ClassVar, Generic, TypeVar
from weakref import finalize

from pydantic import BaseModel, ConfigDict

from outlast.kernel.bulk import same_fields
from outlast.kernel.errors import NonRetryable

# Where kernels write lines; a worker adds whose they are.
KERNEL_LOG = logging.getLogger("kernel")


class Model(BaseModel):  # noqa: PLW1641 - pydantic gives frozen models their hash
    """Base for a kernel's Params, State and Result: strict types, frozen, no unknown fields.

    Two are equal if all their fields are; arrays are by type, shape and bytes.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    def __eq__(self, other: object) -> bool:
        if "outlast.kernel.array" not in sys.modules:  # There is no Array.
            return super().__eq__(other)
        return same_fields(self, other)


def no_limit() -> float:
    """Return the seconds that are left where nothing ends a slice."""
    return math.inf


@dataclass(frozen=True)
class Resources:
    """What the worker grants a kernel and lets it know. The result never depends on any of it.

    Attributes:
        threads: how many threads the kernel may keep busy, at least 1.
        memory_bytes: how much it may allocate; None: no limit.
        job_id: the job that runs; "": none, as in a test.
        log: a logger whose lines carry the job, the slice and the worker.
        seconds_left: tells in how many seconds this slice is to end, from 0 on; math.inf: no end
            is set. A signal may end it earlier.
        make_scratch: makes the folder `scratch`, for the worker; None: one that is removed with
            this object.
    """

    threads: int = 1
    memory_bytes: int | None = None
    job_id: str = ""
    log: logging.Logger = KERNEL_LOG
    seconds_left: Callable[[], float] = no_limit
    make_scratch: Callable[[], Path] | None = None

    @cached_property
    def scratch(self) -> Path:
        """A folder for files of this slice alone: made, and empty, when it is first asked for.

        It is in the system's folder for temporary files (TMPDIR), and removed with the slice.

        Raises:
            OSError: nothing can be written there. Before the first safe point this is a fault of
                the machine's, and not charged to the job.
        """
        if self.make_scratch is not None:
            return self.make_scratch()
        from tempfile import mkdtemp

        path = Path(mkdtemp(prefix="outlast-"))
        finalize(self, rmtree, path, ignore_errors=True)
        return path


@dataclass(frozen=True)
class Estimate:
    """What a job will take, by its kernel's own cost model.

    Times are CPU seconds on the kernel's reference core, the one that its figures were measured on.
    Another core takes a constant multiple of them; the job of `Kernel.calibration` shows which.

    Attributes:
        seconds: the time of one thread, from the start to the result.
        serial_seconds: the part of it that threads cannot share.
        resume_seconds: the time in which a new process rebuilds what the state does not hold,
            before it advances; 0 if a state holds everything.
        memory_bytes: the largest size of a process that does nothing else, interpreter and
            libraries included.
        state_bytes: the size of the largest state as JSON.
        undivided_seconds: the part of `serial_seconds` that one worker does where many share the
            job, such as what `Divisible.conclude` leaves to `run`.

    Raises:
        ValueError: a figure is negative, infinite or not a number, `seconds` is 0, or a part is
            more than the whole.
    """

    seconds: float
    serial_seconds: float
    resume_seconds: float
    memory_bytes: int
    state_bytes: int
    undivided_seconds: float = 0.0

    def __post_init__(self) -> None:
        times = (0, self.undivided_seconds, self.serial_seconds, self.seconds)
        if not all(a <= b < math.inf for a, b in pairwise(times)) or self.seconds == 0:
            raise ValueError(f"these times are impossible: {self}")
        if not 0 <= self.resume_seconds < math.inf or min(self.memory_bytes, self.state_bytes) < 0:
            raise ValueError(f"these figures are impossible: {self}")


P = TypeVar("P", bound=BaseModel)
S = TypeVar("S", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)


class Kernel(ABC, Generic[P, S, R]):
    """One kind of computation, which knows nothing of queues, stores, clocks or signals.

    The class attributes `Params`, `State` and `Result` are its pydantic models. They are strict
    and frozen (derive them from `Model`), and a state must survive a round trip through JSON.

    Attributes:
        name: what jobs call it, for example "nth-prime".
        version: the format of `State`; raise it with every change that old states do not fit.
        may_not_return: True if a step, in native code or a foreign call, may outlast the worker or
            crash the process: then the kernel always runs in a child process.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    may_not_return: ClassVar[bool] = False
    Params: type[P]
    State: type[S]
    Result: type[R]

    @abstractmethod
    def run(self, params: P, state: S | None, resources: Resources) -> Generator[S, None, R]:
        """Yield the state at every safe point, at most about 50 ms apart; return the result.

        `state` is one that an earlier run yielded, perhaps on another machine, or None to start.
        The caller may close the generator at any yield and go on from any yielded state; the
        result is the same whatever the interruptions. What is costly to store and cheap to
        rebuild belongs in local variables, not in the state.
        """

    @abstractmethod
    def progress(self, params: P, state: S) -> float:
        """Return the share of the work that is done, from 0 to 1, near linear in time."""

    def metrics(
        self,
        params: P,  # noqa: ARG002 - for those that override this
        state: S,  # noqa: ARG002
    ) -> Mapping[str, float]:
        """Return figures of the kernel's own for people to follow, such as a loss; {}: none.

        At most 16 finite numbers, each by a name of a to z, 0 to 9 and _, 40 characters at most.
        They are taken from each state that is stored. One that breaks these rules is left out, and
        an error is logged: neither harms the job.
        """
        return {}

    def require(self, params: P) -> None:
        """Do nothing if a job with these parameters can run here: look at once, import nothing.

        For a kernel whose larger jobs need a package that is not installed with it. Not asked
        where a job is submitted, which may be elsewhere.

        Raises:
            UnknownKernel: it lacks a package, and one line says which. Nothing is counted against
                the job, which is left to workers that have it.
        """

    def prepare(self, params: P | None) -> None:
        """Do the slow work that a process needs only once, such as imports and compiling.

        It is called before every slice, and its time is not the slice's: after the first call in a
        process it should take no time, and it must not discard what slices leave for each other.
        `params` are those of the job that runs next; None asks for everything that any job needs.

        An error is logged, and left to `run` to raise. Where this call, or the kernel's import,
        ends the process (an exit, a crash in native code, no memory), the slice counts as one
        without progress: after `max_stalls` of them the job fails.
        """

    def estimate(self, params: P) -> Estimate | None:  # noqa: ARG002 - for those that override this
        """Return what a job with these parameters will take, immediately; None: no model."""
        return None

    def calibration(self) -> P | None:
        """Return parameters of a job of about a second, to check `estimate` with; None: no job.

        A core's factor is its CPU time for that job divided by `seconds` of the estimate.
        """
        return None

    def migrate(
        self,
        state: dict[str, Any],  # noqa: ARG002 - for those that override this
        version: int,
    ) -> dict[str, Any]:
        """Return `state`, written by an older `version`, in today's format.

        Raises:
            ValueError: states of that version cannot be converted; the job fails and keeps its
                checkpoint.
        """
        raise ValueError(
            f"kernel {self.name!r} cannot go on from a state of version {version}: "
            f"this one is version {self.version} and has no migration"
        )


def start(
    kernel: Kernel[P, S, R], params: P, state: S | None, resources: Resources
) -> Generator[S, None, R]:
    """Return a run of the kernel, before its first step.

    Raises:
        NonRetryable: its `run` is not a generator, and would compute without a safe point.
    """
    steps = kernel.run(params, state, resources)
    if not isinstance(steps, Generator):
        raise NonRetryable("run must be a generator: it has no yield")
    return steps
