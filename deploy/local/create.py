"""Makes the queue, its dead-letter queue and the bucket in the local emulator. May be repeated."""

from __future__ import annotations

import json
import os

import boto3

# As deploy/template.yaml has them.
VISIBILITY_TIMEOUTS = 6  # in time-outs of the function, as AWS advises
MAX_RECEIVES = 30
RETENTION_SECONDS = 14 * 24 * 3600


def main() -> None:
    """Make them; what exists already stays as it is."""
    queue = os.environ["OUTLAST_QUEUE"].removeprefix("sqs://")
    timeout_seconds = int(os.environ["LAMBDA_TIMEOUT_SECONDS"])
    sqs = boto3.client("sqs")
    dead = sqs.create_queue(
        QueueName=f"{queue}-dead", Attributes={"MessageRetentionPeriod": str(RETENTION_SECONDS)}
    )["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": attributes["Attributes"]["QueueArn"],
        "maxReceiveCount": MAX_RECEIVES,
    }
    url = sqs.create_queue(QueueName=queue)["QueueUrl"]
    sqs.set_queue_attributes(
        QueueUrl=url,
        Attributes={
            "VisibilityTimeout": str(VISIBILITY_TIMEOUTS * timeout_seconds),
            "MessageRetentionPeriod": str(RETENTION_SECONDS),
            "RedrivePolicy": json.dumps(redrive),
        },
    )
    s3 = boto3.client("s3")
    bucket = os.environ["BUCKET"]
    if bucket not in {entry["Name"] for entry in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket)
    print(f"queue {url}, dead letters in {dead}, bucket {bucket}")


if __name__ == "__main__":
    main()
