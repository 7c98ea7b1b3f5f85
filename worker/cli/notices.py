"""What `outlast run` tells, and whom, once its job is over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from outlast.checkpoint.registers import redacted
from outlast.worker.notify.contract import NotDelivered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outlast.checkpoint.record import Record
    from outlast.worker.notify.notice import Notice

    Notices = dict[str, Callable[[Notice], None]]


def prepared(targets: Iterable[str]) -> Notices:
    """Return what tells each of the targets on this machine.

    Raises:
        InvalidTarget: one is none.
    """
    if not targets:
        return {}
    from outlast.worker.notify.local import local_notice

    return {target: local_notice(target) for target in targets}


def give(notices: Notices, record: Record) -> None:
    """Tell the targets on this machine, if the job is over, and say who has not been told."""
    if not record.status.is_final:
        return
    for target in record.notices.owed:
        _say(f"{redacted(target)} was not told yet; workers and `outlast sweep` try again")
    for target in record.notices.given_up:
        _say(f"{redacted(target)} will not be told")
    if not notices:
        return
    from outlast.worker.notify.notice import notice_of

    event = notice_of(record)
    for target, tell in notices.items():
        try:
            tell(event)
        except NotDelivered as error:
            _say(f"{target} was not told: {error}")


def _say(text: str) -> None:
    print(f"outlast: {text}", file=sys.stderr, flush=True)
