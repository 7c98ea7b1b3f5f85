"""What the attributes of an SQS queue and of its dead-letter queue mean for jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from outlast.worker.doctor.finding import DEAD_LETTERS, error, ok, warning
from outlast.worker.queues.embedded import MAX_RECEIVES, RECEIVES_A_STALL

if TYPE_CHECKING:
    from outlast.worker.doctor.finding import Finding

DAY_SECONDS = 86_400
LONGEST_RETENTION_SECONDS = 14 * DAY_SECONDS
SET = "aws sqs set-queue-attributes --queue-url {url} --attributes {attributes}"


def _set(url: str, **attributes: str) -> str:
    given = ",".join(f"{name}={value}" for name, value in attributes.items())
    return SET.format(url=url, attributes=given)


def visibility(attributes: dict[str, str], url: str, slice_seconds: float) -> Finding:
    """Judge how long a message is hidden, beside the length of a slice."""
    seconds = int(attributes.get("VisibilityTimeout", 30))
    if seconds >= slice_seconds:
        return ok("queue.visibility", f"visibility timeout {seconds} s")
    return warning(
        "queue.visibility",
        f"visibility timeout {seconds} s, slices take {slice_seconds:g} s",
        breaks="a Lambda function that takes longer gets messages twice; a plain worker sets a "
        "timeout of its own",
        mend=_set(url, VisibilityTimeout=str(min(int(6 * slice_seconds), 43_200))),
    )


def retention(attributes: dict[str, str], url: str) -> Finding:
    """Judge how long a message is kept."""
    seconds = int(attributes.get("MessageRetentionPeriod", 4 * DAY_SECONDS))
    if seconds >= DAY_SECONDS:
        return ok("queue.retention", f"messages are kept for {seconds / DAY_SECONDS:g} days")
    return warning(
        "queue.retention",
        f"messages are kept for {seconds / 3600:.1f} hours",
        breaks="a job that waits for longer loses its message, and only a sweep wakes it",
        mend=_set(url, MessageRetentionPeriod=str(LONGEST_RETENTION_SECONDS)),
    )


def redrive(attributes: dict[str, str], url: str, max_stalls: int) -> Finding:
    """Judge after how many receives a message is given up; a job may have `max_stalls` stalls."""
    if "RedrivePolicy" not in attributes:
        return no_dead_letter_queue("there is no redrive policy", attributes, url)
    policy = json.loads(attributes["RedrivePolicy"])
    receives = int(policy["maxReceiveCount"])
    needed = RECEIVES_A_STALL * max_stalls
    if receives >= needed:
        return ok("queue.dead-letter-queue", f"after {receives} receives: maxReceiveCount")
    return warning(
        "queue.dead-letter-queue",
        f"maxReceiveCount is {receives}",
        breaks="a message is given up after so many crashes, waits for a lease and throttles, "
        f"before its job fails after {max_stalls} stalls in a row (OUTLAST_MAX_STALLS)",
        mend=_redrive_to(policy["deadLetterTargetArn"], url, needed),
    )


def no_dead_letter_queue(found: str, attributes: dict[str, str], url: str) -> Finding:
    """Return the finding that no message is ever given up."""
    is_fifo = attributes.get("FifoQueue") == "true"
    arn = attributes["QueueArn"].removesuffix(".fifo") + ("-dead.fifo" if is_fifo else "-dead")
    options = f"MessageRetentionPeriod={LONGEST_RETENTION_SECONDS}{',FifoQueue=true' * is_fifo}"
    create = f"aws sqs create-queue --queue-name {arn.rpartition(':')[2]} --attributes {options}"
    return error(
        "queue.dead-letter-queue",
        found,
        breaks="a message that no worker can handle comes back for ever, paid for each time",
        mend=f"{create} && {_redrive_to(arn, url)}; or RedrivePolicy in deploy/template.yaml",
    )


def _redrive_to(arn: str, url: str, receives: int = MAX_RECEIVES) -> str:
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": str(receives)})
    return SET.format(url=url, attributes=f"'{json.dumps({'RedrivePolicy': policy})}'")


def encryption(attributes: dict[str, str], url: str) -> Finding:
    """Judge how messages are encrypted at rest."""
    if key := attributes.get("KmsMasterKeyId"):
        rights = "workers need kms:GenerateDataKey and kms:Decrypt on the key"
        return ok("queue.encryption", f"by the KMS key {key}; {rights}")
    if attributes.get("SqsManagedSseEnabled") == "true":
        return ok("queue.encryption", "by SQS's own key")
    return warning(
        "queue.encryption",
        "messages are not encrypted at rest",
        breaks="ids of jobs lie open there; nothing else is in a message",
        mend=_set(url, SqsManagedSseEnabled="true"),
    )


def delay(attributes: dict[str, str], url: str) -> Finding:
    """Judge how late each message is delivered."""
    if not (seconds := int(attributes.get("DelaySeconds", 0))):
        return ok("queue.delay", "none")
    return warning(
        "queue.delay",
        f"DelaySeconds is {seconds}",
        breaks=f"each slice of each job begins {seconds} s late",
        mend=_set(url, DelaySeconds="0"),
    )


def fifo(attributes: dict[str, str]) -> Finding:
    """Tell what is set of a FIFO queue's own options."""
    is_fast = attributes.get("FifoThroughputLimit") == "perMessageGroupId"
    sends = "by job: high throughput" if is_fast else "300 requests a second for all jobs together"
    ids = (
        "on, but each message has an id"
        if (attributes.get("ContentBasedDeduplication") == "true")
        else "off, as each message has an id"
    )
    return ok("queue.fifo", f"limit {sends}; content-based deduplication {ids}")


def dead_retention(living: dict[str, str], dead: dict[str, str], url: str) -> Finding:
    """Judge how long the dead-letter queue keeps what the queue gave up."""
    name = "queue.dead-letter-retention"
    kept, limit = (int(a.get("MessageRetentionPeriod", 4 * DAY_SECONDS)) for a in (dead, living))
    days = f"dead letters are kept for {kept / DAY_SECONDS:g} days"
    if kept > limit or kept == LONGEST_RETENTION_SECONDS:
        return ok(name, days)
    return warning(
        name,
        f"{days}, messages for {limit / DAY_SECONDS:g}",
        breaks="a dead letter's age counts from its first send: one may vanish before it is seen",
        mend=_set(url, MessageRetentionPeriod=str(LONGEST_RETENTION_SECONDS)),
    )


def dead_count(dead: dict[str, str]) -> Finding:
    """Judge what waits in the dead-letter queue."""
    if not (count := int(dead.get("ApproximateNumberOfMessages", 0))):
        return ok("queue.dead-letters", "there are none")
    return warning(
        "queue.dead-letters",
        f"{count} messages were given up",
        breaks="their jobs, where there are such, go on by a sweep only",
        mend=DEAD_LETTERS,
    )
