"""Settings that are valid one by one, and wrong together or on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from outlast.worker.doctor.finding import error, ok, warning
from outlast.worker.settings import cores

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from outlast.worker.doctor.finding import Finding
    from outlast.worker.settings import Settings

# The platforms set these on machines whose disk does not last.
SERVERLESS = ("AWS_LAMBDA_FUNCTION_NAME", "RUNPOD_WEBHOOK_GET_JOB")

STORES = ("sqlite:", "redis", "s3:")
QUEUES = ("sqlite:", "redis", "sqs:", "http:", "https:")

# How the system names the process that starts first, in a container or on a machine; Linux only.
FIRST_PROCESS = Path("/proc/1/comm")


def settings_findings(
    settings: Settings, *, is_remote: bool, environment: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """Check the settings together; with `is_remote`, workers on a platform use them, too."""
    yield from _locations(settings, is_remote=is_remote, environment=environment)
    if settings.threads > cores():
        yield warning(
            "settings.threads",
            f"OUTLAST_THREADS is {settings.threads}, this process may use {cores()} cores",
            breaks="kernels share the cores and get slower",
            mend="unset OUTLAST_THREADS, or set it where the workers are only",
        )
    if FIRST_PROCESS.exists() and FIRST_PROCESS.read_text().startswith(("outlast", "python")):
        yield warning(
            "settings.init",
            "the first process of this container is no init",
            breaks="a process that a kernel leaves behind, not isolated, stays as a zombie",
            mend="docker run --init, or `init: true` in Compose",
        )


def _locations(
    settings: Settings, *, is_remote: bool, environment: Mapping[str, str]
) -> Iterator[Finding]:
    if not (settings.store.startswith(STORES) and settings.queue.startswith(QUEUES)):
        return  # An unknown kind is reported when it is opened.
    files = [name for name in ("store", "queue") if getattr(settings, name).startswith("sqlite:")]
    platform = next((name for name in SERVERLESS if name in environment), None)
    if files and (is_remote or platform):
        where = f"on this machine ({platform} is set)" if platform else "for workers on a platform"
        names = " and ".join(f"OUTLAST_{name.upper()}" for name in files)
        yield error(
            "settings.places",
            f"a file {where}: {names}",
            breaks="each worker has its own disk, which ends with it: jobs are lost",
            mend="set OUTLAST_STORE to redis://, rediss:// or s3://, OUTLAST_QUEUE to redis://, "
            "rediss:// or sqs://",
        )
    elif settings.are_apart:
        yield warning(
            "settings.places",
            "the store is shared, but the queue is a file on this machine",
            breaks="workers elsewhere find jobs by their sweep only",
            mend="set OUTLAST_QUEUE to sqs://queue-name, redis:// or rediss://",
        )
    elif files == ["store"]:
        yield error(
            "settings.places",
            "the queue is shared, but the store is a file on this machine",
            breaks="workers elsewhere receive messages of jobs that they do not know: these end in "
            "the dead-letter queue",
            mend="set OUTLAST_STORE to redis://, rediss:// or s3://",
        )
    else:
        yield ok("settings.places", "store and queue are on one machine" if files else "shared")
