"""What happened in a world, for people to read."""

from __future__ import annotations

from outlast.checkpoint.record import Record

# The time, who did it, a text, and what to put into it.
Event = tuple[float, str, str, object]


def show(trace: list[Event]) -> list[str]:
    """Return the trace as lines for people."""
    return [
        f"{at:10.3f}  {who:<12} {text.format(_brief(detail))}" for at, who, text, detail in trace
    ]


def _brief(detail: object) -> object:
    if not isinstance(detail, Record):
        return detail
    lease = detail.lease.token[:4] if detail.lease else "none"
    return (
        f"{detail.job_id} slice={detail.slice_number} {detail.status} lease={lease} "
        f"steps={detail.usage.steps} saves={detail.usage.saves} announced={detail.announced} "
        f"stalls={detail.guards.stalls} failures={detail.guards.failures} error={detail.error}"
    )
