"""outlast submit: hand a job to the workers."""

from __future__ import annotations

from outlast.worker.cli.options import Debug, Json, KernelName, NewJobId, Notify, Params, Tags
from outlast.worker.cli.params import params_for
from outlast.worker.cli.streams import put, put_json, warn_if_apart


def submit(
    kernel: KernelName,
    params: Params = None,
    *,
    job_id: NewJobId = None,
    tags: Tags = None,
    notify: Notify = None,
    as_json: Json = False,
    _debug: Debug = False,
) -> None:
    """Hand a job to the workers and print its id.

    The job is stored in OUTLAST_STORE and a message for it is sent to OUTLAST_QUEUE. With --job-id
    this can be repeated safely: the same id with the same parameters is the same job, with other
    parameters it is an error.

    Each --notify names one, of at most four, that a worker tells once the job has succeeded, failed
    or been cancelled: sqs://queue-name, an SQS queue's https URL, or a webhook, https://host/path,
    which is signed with OUTLAST_NOTIFY_SECRET (set it for the workers, too). It is told at least
    once, with the job as `outlast status --json` shows it; one that does not answer is tried for
    about a day, and `outlast status` shows who was told.

    Examples:
        outlast submit nth-prime position=1_000_000
        outlast submit nth-prime position=1_000_000 --job-id million --tag primes
        outlast submit nth-prime position=1_000_000 --notify https://example.com/done

    Exit codes:
        0  the job is stored and its message sent
        1  the id belongs to another job, or the store or the queue is at fault
        2  the kernel, a parameter, the id, a tag, target or setting is wrong; nothing was stored
    """
    from outlast.worker.jobs.client import Client
    from outlast.worker.jobs.view import view

    client = Client()
    values = params_for(kernel, params or ())
    stored_id = client.submit(kernel, job_id=job_id, tags=tags or (), notify=notify or (), **values)
    warn_if_apart(client.settings)
    if as_json:
        put_json(view(client.status(stored_id)))
    else:
        put(stored_id)
