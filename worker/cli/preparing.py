"""Preparing a job's kernel where a person waits for it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from outlast.kernel.registry import load

if TYPE_CHECKING:
    from outlast.checkpoint.record import Record
    from outlast.worker.cli.progress import Progress
    from outlast.worker.jobs.client import Client

# It takes longer only where the kernel is compiled, on its first run on a machine.
PATIENCE_SECONDS = 2.0


def prepare(client: Client, record: Record, progress: Progress) -> None:
    """Prepare the job's kernel, and say so if it takes a while; its first slice says if it fails.

    An isolated kernel is prepared by its child process, and one with arrays by its first slice,
    which reads them.
    """
    kernel = load(record.kernel)
    if client.settings.isolate or kernel.may_not_return or record.params_chunks:
        return
    line = f"preparing kernel {kernel.name}: on its first run on a machine it is compiled"
    timer = threading.Timer(PATIENCE_SECONDS, progress.say, [line])
    timer.start()
    with suppress(BaseException):  # a foreign kernel may raise anything
        kernel.prepare(kernel.Params.model_validate_json(record.params_json))
    timer.cancel()
    timer.join()
