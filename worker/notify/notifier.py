"""Delivers one notice to one target, of whatever kind, within a time limit."""

from __future__ import annotations

import time
from threading import Thread
from typing import TYPE_CHECKING

from outlast.worker.notify.errors import NotDelivered
from outlast.worker.notify.target import InvalidTarget, is_sqs, require_allowed

if TYPE_CHECKING:
    from outlast.worker.notify.notice import Notice
    from outlast.worker.settings import Settings


def tell_nobody(target: str, notice: Notice, _seconds: float) -> None:
    """Deliver nothing: this worker has no settings that allow a target.

    Raises:
        NotDelivered: always.
    """
    raise NotDelivered(f"job {notice.job_id}: this worker may not notify {target}")


class Notifier:
    """Delivers notices to the targets that this process's settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, target: str, notice: Notice, seconds: float) -> None:
        """Deliver `notice` to `target` within `seconds`.

        Raises:
            Gone: the target accepts no more notices.
            NotDelivered: it is not allowed, or did not accept the notice in time; it may have the
                notice all the same.
        """
        try:
            # Once more: the record may be anyone's, and the submitter's settings may differ.
            require_allowed(target, self._settings)
        except InvalidTarget as error:
            raise NotDelivered(str(error)) from None
        errors: list[BaseException] = []

        def send() -> None:
            try:
                self._send(target, notice, seconds)
            except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
                errors.append(error)

        # In a thread, as the look-up of a name has only the resolver's time-out, and botocore has
        # one for each of its calls: the thread may go on a little longer, but ends.
        thread = Thread(target=send, name="outlast-notice", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            raise NotDelivered(f"no answer within {seconds:.3g} s")
        if errors:
            raise errors[0]

    def _send(self, target: str, notice: Notice, seconds: float) -> None:
        # Imported here: a worker whose jobs have no targets needs neither HTTP nor botocore.
        if is_sqs(target):
            from outlast.worker.notify.sqs import send

            send(target, notice, seconds=seconds)
            return
        from outlast.worker.notify.webhook import post

        keys = self._settings.notify_keys
        if not keys:
            raise NotDelivered("OUTLAST_NOTIFY_SECRET is not set for this worker")
        post(target, notice, keys=keys, now=time.time(), seconds=seconds)
