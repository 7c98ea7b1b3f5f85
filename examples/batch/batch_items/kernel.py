"""The kernel `batch`: independent items, whose results are joined in their order."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from outlast import Divisible, NonRetryable, Resources, UnknownKernel

from batch_items.calls import Call, Line
from batch_items.items import plan_of
from batch_items.models import (
    BatchParams,
    BatchPart,
    BatchPartial,
    BatchPlan,
    BatchResult,
    BatchState,
)
from batch_items.places import Place, opened

MAX_ERRORS_LISTED = 1_000
CHUNK_BYTES = 256 << 10
"""Lines are kept in blobs of about this size, of which a save sends those not sent yet."""


class Batch(Divisible[BatchParams, BatchState, BatchResult, BatchPlan, BatchPart, BatchPartial]):
    """A function applied to each of many items: a result each, or an error each."""

    name = "batch"
    Params, State, Result = BatchParams, BatchState, BatchResult
    Plan, PartState, Partial = BatchPlan, BatchPart, BatchPartial

    def run(
        self, params: BatchParams, state: BatchState | None, resources: Resources
    ) -> Generator[BatchState, None, BatchResult]:
        """Do all pieces as one part; the plan is made once and stays in the state."""
        if state is None:
            plan = self.plan(params)
            text, part = plan.model_dump_json().encode(), BatchPart(next=0)
            yield BatchState(plan=text, share=0, part=part)
        else:
            plan, text, part = BatchPlan.model_validate_json(state.plan), state.plan, state.part
        with closing(self.part(plan, 0, plan.pieces, part, resources)) as steps:
            while True:
                try:
                    part = next(steps)
                except StopIteration as end:
                    return self.conclude(params, plan, end.value)
                yield BatchState(plan=text, share=plan.share(part.next), part=part)

    def plan(self, params: BatchParams) -> BatchPlan:
        """Return the list of all items; the function is loaded to see that there is one."""
        Call(params.call)
        return plan_of(params)

    def pieces(self, plan: BatchPlan) -> int:
        """Return how many pieces there are: items, or files of items."""
        return plan.pieces

    def share(self, plan: BatchPlan, first: int) -> float:
        """Return the share of the bytes before a piece, or of the items where no size is known."""
        return plan.share(plan.item_at(first))

    def part(
        self, plan: BatchPlan, first: int, last: int, state: BatchPart | None, resources: Resources
    ) -> Generator[BatchPart, None, BatchPartial]:
        """Yield after each item; a file is written with its last one, by the same name again."""
        call, begin, end = Call(plan.call), plan.item_at(first), plan.item_at(last)
        items = plan.items.split("\n")[begin:end]
        state = state or BatchPart(next=begin)
        with opened(plan.place) as place, opened(plan.out) as out:
            while state.next < end:
                line = call.line(items[state.next - begin], place)
                state = _after(state, line)
                _check(plan, state)
                if out and (state.next == plan.count or state.next % plan.a_piece == 0):
                    state = _written(plan, state, out)
                yield state
        return BatchPartial(failed=state.failed, errors=state.errors, lines=b"".join(state.lines))

    def next_piece(self, plan: BatchPlan, state: BatchPart) -> int:
        """Return the first piece with an item that is not done."""
        return state.next // plan.a_piece

    def combine(self, plan: BatchPlan, a: BatchPartial, b: BatchPartial) -> BatchPartial:
        """Join the lines and the errors.

        Raises:
            NonRetryable: more items have failed than may.
        """
        both = BatchPartial(
            failed=a.failed + b.failed,
            errors=(a.errors + b.errors)[:MAX_ERRORS_LISTED],
            lines=a.lines + b.lines,
        )
        _check(plan, both)
        return both

    def conclude(self, params: BatchParams, plan: BatchPlan, total: BatchPartial) -> BatchResult:
        """Return the result; which files there are follows from the plan.

        Raises:
            NonRetryable: more items have failed than may.
        """
        _check(plan, total)
        return BatchResult(
            count=plan.count,
            failed=total.failed,
            errors=total.errors,
            results=None if plan.out else total.lines,
            files=[plan.file(piece) for piece in range(plan.pieces)] if plan.out else [],
        )

    def progress(self, params: BatchParams, state: BatchState) -> float:
        """Return the share of the work that is done."""
        return state.share

    def metrics(self, params: BatchParams, state: BatchState) -> dict[str, float]:
        """Return how many items are done, and how many of them have failed."""
        return {"items": state.part.next, "failed": state.part.failed}

    def require(self, params: BatchParams) -> None:
        """Leave the job to other workers where its function's package or its folder is missing."""
        package = params.call.partition(":")[0].partition(".")[0]
        if find_spec(package) is None:
            raise UnknownKernel(f"call={params.call}: {package!r} is not installed here")
        if params.folder and not Path(params.folder).is_dir():
            raise UnknownKernel(f"there is no folder {params.folder!r} here")


def _after(state: BatchPart, line: Line) -> BatchPart:
    """Return the state after one more item."""
    *full, last = state.lines or [b""]
    lines = [*full, last + line.line] if len(last) < CHUNK_BYTES else [*full, last, line.line]
    errors = state.errors
    if line.error and len(errors) < MAX_ERRORS_LISTED:
        errors = [*errors, line.error]
    failed = state.failed + bool(line.error)
    return BatchPart(next=state.next + 1, failed=failed, errors=errors, lines=lines)


def _written(plan: BatchPlan, state: BatchPart, out: Place) -> BatchPart:
    """Write the piece that the state has come to the end of; return the state without it."""
    out.write(plan.file((state.next - 1) // plan.a_piece), b"".join(state.lines))
    return state.model_copy(update={"lines": []})


def _check(plan: BatchPlan, so_far: BatchPart | BatchPartial) -> None:
    """Raise NonRetryable if more items have failed than may."""
    if plan.max_errors is not None and so_far.failed > plan.max_errors:
        count = f"{so_far.failed:,} of the items" if so_far.failed > 1 else "an item"
        raise NonRetryable(
            f"{count} failed, which max_errors={plan.max_errors} forbids; "
            f"the first: {so_far.errors[0]}"
        )
