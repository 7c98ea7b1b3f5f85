"""The attributes of an SQS queue and of its dead-letter queue, and what they mean for jobs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from outlast.worker.doctor.finding import DEAD_LETTERS, error, ok, warning
from outlast.worker.queues.receives import MAX_RECEIVES, RECEIVES_A_STALL

if TYPE_CHECKING:
    from outlast.worker.doctor.finding import Finding

DAY_SECONDS = 86_400
LONGEST_RETENTION_SECONDS = 14 * DAY_SECONDS
SET = "aws sqs set-queue-attributes --queue-url {url} --attributes {attributes}"


def _set(url: str, **attributes: str) -> str:
    pairs = ",".join(f"{name}={value}" for name, value in attributes.items())
    return SET.format(url=url, attributes=pairs)


def visibility(attributes: dict[str, str], url: str, slice_seconds: float) -> Finding:
    """Compare the time for which a message is hidden with the length of a slice."""
    seconds = int(attributes.get("VisibilityTimeout", 30))
    if seconds >= slice_seconds:
        return ok("queue.visibility", f"visibility timeout {seconds} s")
    return warning(
        "queue.visibility",
        f"visibility timeout {seconds} s, slices take {slice_seconds:g} s",
        breaks="a Lambda function that takes longer gets messages twice; a plain worker sets its "
        "own timeout",
        mend=_set(url, VisibilityTimeout=str(min(int(6 * slice_seconds), 43_200))),
    )


def retention(attributes: dict[str, str], url: str) -> Finding:
    """Check how long a message is kept."""
    seconds = int(attributes.get("MessageRetentionPeriod", 4 * DAY_SECONDS))
    if seconds >= DAY_SECONDS:
        return ok("queue.retention", f"messages are kept for {seconds / DAY_SECONDS:g} days")
    return warning(
        "queue.retention",
        f"messages are kept for {seconds / 3600:.1f} hours",
        breaks="a job that waits longer loses its message, and only a sweep wakes it",
        mend=_set(url, MessageRetentionPeriod=str(LONGEST_RETENTION_SECONDS)),
    )


def redrive(attributes: dict[str, str], url: str, max_stalls: int) -> Finding:
    """Check that a job fails after `max_stalls` stalls before its message is given up."""
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


def no_dead_letter_queue(fact: str, attributes: dict[str, str], url: str) -> Finding:
    """Return the finding that no message is ever given up."""
    is_fifo = attributes.get("FifoQueue") == "true"
    arn = attributes["QueueArn"].removesuffix(".fifo") + ("-dead.fifo" if is_fifo else "-dead")
    options = f"MessageRetentionPeriod={LONGEST_RETENTION_SECONDS}{',FifoQueue=true' * is_fifo}"
    create = f"aws sqs create-queue --queue-name {arn.rpartition(':')[2]} --attributes {options}"
    return error(
        "queue.dead-letter-queue",
        fact,
        breaks="a message that no worker can handle comes back for ever, paid for each time",
        mend=f"{create} && {_redrive_to(arn, url)}; or RedrivePolicy in deploy/template.yaml",
    )


def _redrive_to(arn: str, url: str, receives: int = MAX_RECEIVES) -> str:
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": str(receives)})
    return SET.format(url=url, attributes=f"'{json.dumps({'RedrivePolicy': policy})}'")


def encryption(attributes: dict[str, str], url: str) -> Finding:
    """Check how messages are encrypted at rest."""
    if key := attributes.get("KmsMasterKeyId"):
        rights = "workers need kms:GenerateDataKey and kms:Decrypt on the key"
        return ok("queue.encryption", f"by the KMS key {key}; {rights}")
    if attributes.get("SqsManagedSseEnabled") == "true":
        return ok("queue.encryption", "by SQS's own key")
    return warning(
        "queue.encryption",
        "messages are not encrypted at rest",
        breaks="job ids can be read there; a message has nothing else",
        mend=_set(url, SqsManagedSseEnabled="true"),
    )


def delay(attributes: dict[str, str], url: str) -> Finding:
    """Check that messages are delivered without delay."""
    if not (seconds := int(attributes.get("DelaySeconds", 0))):
        return ok("queue.delay", "none")
    return warning(
        "queue.delay",
        f"DelaySeconds is {seconds}",
        breaks=f"each slice of each job begins {seconds} s late",
        mend=_set(url, DelaySeconds="0"),
    )


def fifo(attributes: dict[str, str]) -> Finding:
    """Report the options that only a FIFO queue has."""
    is_fast = attributes.get("FifoThroughputLimit") == "perMessageGroupId"
    limit = "by job: high throughput" if is_fast else "300 requests a second for all jobs together"
    by_content = attributes.get("ContentBasedDeduplication") == "true"
    ids = "on, but each message has an id" if by_content else "off, as each message has an id"
    return ok("queue.fifo", f"limit {limit}; content-based deduplication {ids}")


def dead_retention(living: dict[str, str], dead: dict[str, str], url: str) -> Finding:
    """Check that the dead-letter queue keeps messages longer than the queue."""
    name = "queue.dead-letter-retention"
    ours, theirs = (int(a.get("MessageRetentionPeriod", 4 * DAY_SECONDS)) for a in (living, dead))
    days = f"dead letters are kept for {theirs / DAY_SECONDS:g} days"
    if theirs > ours or theirs == LONGEST_RETENTION_SECONDS:
        return ok(name, days)
    return warning(
        name,
        f"{days}, messages for {ours / DAY_SECONDS:g}",
        breaks="a dead letter's age counts from its first send: one may vanish before it is seen",
        mend=_set(url, MessageRetentionPeriod=str(LONGEST_RETENTION_SECONDS)),
    )


def dead_count(dead: dict[str, str]) -> Finding:
    """Check that the dead-letter queue is empty."""
    if not (count := int(dead.get("ApproximateNumberOfMessages", 0))):
        return ok("queue.dead-letters", "there are none")
    return warning(
        "queue.dead-letters",
        f"{count} messages were given up",
        breaks="if their jobs are not over, only a sweep wakes them",
        mend=DEAD_LETTERS,
    )
