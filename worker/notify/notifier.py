"""Tells one target of one event, within a time, whatever kind of target it is."""

from __future__ import annotations

import time
from threading import Thread
from typing import TYPE_CHECKING

from outlast.worker.notify.contract import NotTold
from outlast.worker.notify.target import InvalidTarget, is_sqs, require_allowed

if TYPE_CHECKING:
    from outlast.worker.notify.notice import Event
    from outlast.worker.settings import Settings


def tell_nobody(target: str, event: Event, _seconds: float) -> None:
    """Refuse: this worker has no settings that would allow it."""
    raise NotTold(f"job {event.job_id}: this worker may not tell {target}")


class Notifier:
    """Tells targets, as this process's settings allow."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, target: str, event: Event, seconds: float) -> None:
        """Tell `target` of the event, within so many seconds.

        Raises:
            Gone: it wants no more.
            NotTold: it did not take it in time; it may have all the same.
        """
        try:
            # Again here: the record may be anyone's, and the settings others than at the submit.
            require_allowed(target, self._settings)
        except InvalidTarget as error:
            raise NotTold(str(error)) from None
        trouble: list[BaseException] = []

        def act() -> None:
            try:
                self._send(target, event, seconds)
            except BaseException as error:  # noqa: BLE001 - it is raised by who waits
                trouble.append(error)

        # In a thread, as a name that does not resolve and an answer that trickles have no time-out
        # of their own. One that stays behind ends with the process at the latest.
        thread = Thread(target=act, name="outlast-notice", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            raise NotTold(f"no answer within {seconds:.3g} s")
        if trouble:
            raise trouble[0]

    def _send(self, target: str, event: Event, seconds: float) -> None:
        # Imported here: a worker whose jobs have no targets does without HTTP and boto3.
        if is_sqs(target):
            from outlast.worker.notify.sqs import send

            send(target, event, seconds=seconds)
            return
        from outlast.worker.notify.signing import keys_of
        from outlast.worker.notify.webhook import post

        if self._settings.notify_secret is None:
            raise NotTold("OUTLAST_NOTIFY_SECRET is not set for this worker")
        keys = keys_of(self._settings.notify_secret.get_secret_value())
        post(target, event, keys=keys, now=time.time(), seconds=seconds)
