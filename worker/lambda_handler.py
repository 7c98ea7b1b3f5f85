"""AWS Lambda: `outlast.worker.lambda_handler.handler`.

It takes batches from an SQS event source that has ReportBatchItemFailures, and the requests of
`outlast.worker.loops.direct_calls`, also on a schedule. It needs OUTLAST_STORE and OUTLAST_QUEUE.

What many invocations share is made when this module is imported: settings, clients, and the process
with what it learns about time. Before the first invocation nothing connects, arms a timer or draws
a random number, so Lambda may take a snapshot (SnapStart).
"""

from __future__ import annotations

import gc

# Modules and classes stay: to look for garbage among them takes a tenth of a cold start.
gc.disable()

import os
from typing import TYPE_CHECKING

from outlast.worker.jobs.client import Client
from outlast.worker.loops.invocations import Handler
from outlast.worker.settings import InvalidSettings, Settings, read_settings, require_remote
from outlast.worker.slices.platforms import lambda_threads
from outlast.worker.slices.worker_process import make_process
from outlast.worker.telemetry.switches import log_on_platform

if TYPE_CHECKING:
    from collections.abc import Mapping

# The rest is for this process and for the interpreter in the child of an isolated kernel.
SHARE_OF_KERNEL = 0.75


def settings_of(environment: Mapping[str, str]) -> Settings:
    """Return the settings; threads and memory follow from the function's memory size if not set.

    Raises:
        InvalidSettings: one is wrong, or the store or the queue is not set.
    """
    settings = require_remote(read_settings())
    if "queue" not in settings.model_fields_set:
        raise InvalidSettings("set OUTLAST_QUEUE: only SQS brings messages to a function")
    if "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" not in environment:
        return settings
    megabytes = int(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
    resources = {
        "threads": lambda_threads(megabytes),
        "memory_bytes": int(SHARE_OF_KERNEL * megabytes) << 20,
    }
    is_set = settings.model_fields_set
    return settings.model_copy(update={k: v for k, v in resources.items() if k not in is_set})


settings = settings_of(os.environ)
log_on_platform(settings)
client = Client(settings=settings)
handler = Handler(client, make_process(settings, client.jobs, client.queue)).handle

gc.freeze()  # Nor does a kernel pay for them, whenever garbage is looked for.
gc.enable()
