"""One part of a divided job as a kernel of its own, so that what runs kernels runs parts."""

from __future__ import annotations

from collections.abc import Generator
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model

from outlast.kernel.contract import Kernel, Model, Resources
from outlast.kernel.divisible import Divisible
from outlast.kernel.errors import NonRetryable

AnyKernel = Kernel[Any, Any, Any]
AnyDivisible = Divisible[Any, Any, Any, Any, Any, Any]


class PartKernel(Kernel[Any, Any, Any]):
    """Computes some neighbouring pieces of a divisible kernel's; its result is their partial.

    `Params` are the plan and which pieces: first to last - 1. `State` is the whole's PartState and
    `Result` its Partial; name, version and may_not_return are the whole's own. A part has no
    `migrate`: one that began under an older version cannot go on. `require` asks for nothing, as it
    has not the parameters of the job.

    Attributes:
        whole: the divisible kernel.
    """

    def __init__(self, whole: AnyDivisible) -> None:
        self.whole = whole
        plan: type[BaseModel] = whole.Plan
        self.Params = _params_of(plan)
        self.State = whole.PartState
        self.Result = whole.Partial
        # What other kernels have in their class.
        vars(self).update(
            name=whole.name, version=whole.version, may_not_return=whole.may_not_return
        )

    def __reduce__(self) -> tuple[type[PartKernel], tuple[AnyDivisible]]:
        return PartKernel, (self.whole,)  # The model of its parameters is in no module.

    def run(
        self, params: Any, state: BaseModel | None, resources: Resources
    ) -> Generator[Any, None, Any]:
        """Compute the pieces."""
        steps = self.whole.part(params.plan, params.first, params.last, state, resources)
        if not isinstance(steps, Generator):
            raise NonRetryable("part must be a generator: it has no yield")
        return steps

    def progress(self, params: Any, state: BaseModel) -> float:
        """Return which share of its work the part has done; 0 also where it does not tell."""
        piece = self.whole.next_piece(params.plan, state)
        if piece is None:
            return 0.0
        begin, at, end = (
            self.whole.share(params.plan, min(max(each, params.first), params.last))
            for each in (params.first, piece, params.last)
        )
        return (at - begin) / (end - begin) if end > begin else 0.0

    def prepare(self, params: Any) -> None:  # noqa: ARG002 - they are not those of the whole
        """Prepare the whole for any job."""
        self.whole.prepare(None)


@cache
def _params_of(plan: type[BaseModel]) -> type[BaseModel]:
    """Return the model of a part's parameters: one for each Plan, so that equal ones are equal."""
    return create_model(
        "PartParams",
        __base__=Model,
        plan=plan,
        first=Annotated[int, Field(ge=0)],
        last=Annotated[int, Field(ge=1)],
    )


def class_of(kernel: AnyKernel) -> type[AnyKernel]:
    """Return the class that the kernel's author wrote: of a part, that of the whole."""
    return type(kernel.whole) if isinstance(kernel, PartKernel) else type(kernel)


def made_anew(kernel_class: type[AnyKernel], *, is_part: bool) -> AnyKernel:
    """Return a kernel of the class, as the registry makes it, or what computes its parts."""
    kernel = kernel_class()
    return PartKernel(kernel) if is_part and isinstance(kernel, Divisible) else kernel
