"""The alarms of a deployment: who is told, and which of them ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outlast.checkpoint.aws_client import make_client
from outlast.worker.doctor.aws import CONFIG, asking
from outlast.worker.doctor.finding import ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.doctor.finding import Finding

AT_ONCE = 100  # names that DescribeAlarms takes
TARGET = (
    "aws cloudformation deploy … --parameter-overrides AlarmEmail=you@example.com, or "
    "AlarmTopicArn=arn:aws:sns:…"
)


def alarm_findings(names: list[str]) -> Iterator[Finding]:
    """Check the alarms of these names."""
    if not names:
        yield warning(
            "stack.alarms",
            "the stack has no alarms",
            breaks="nobody learns of dead letters and failed jobs",
            mend="deploy it as deploy/template.yaml is, or make those of docs/operations.md",
        )
        return
    alarms = list(_alarms(names))
    yield _targets(alarms)
    yield from _ringing(alarms)
    topics = {action for alarm in alarms for action in alarm["AlarmActions"] if ":sns:" in action}
    for topic in sorted(topics):
        yield _subscribers(topic)


def _alarms(names: list[str]) -> Iterator[Any]:
    client = make_client("cloudwatch", config=CONFIG)
    with asking():
        for start in range(0, len(names), AT_ONCE):
            page = names[start : start + AT_ONCE]
            yield from client.describe_alarms(AlarmNames=page, MaxRecords=AT_ONCE)["MetricAlarms"]


def _targets(alarms: list[Any]) -> Finding:
    silent = [a["AlarmName"] for a in alarms if not (a["AlarmActions"] and a["ActionsEnabled"])]
    if not silent:
        return ok("stack.alarms", f"each of {len(alarms)} alarms tells somebody")
    if all(alarm["AlarmActions"] for alarm in alarms):
        mend = f"aws cloudwatch enable-alarm-actions --alarm-names {' '.join(silent)}"
        fact = f"the actions are off of {', '.join(silent)}"
    else:
        mend, fact = TARGET, f"{len(silent)} of {len(alarms)} alarms have no target"
    breaks = "they show in the console only: nobody learns of dead letters and failed jobs"
    return warning("stack.alarms", fact, breaks=breaks, mend=mend)


def _ringing(alarms: list[Any]) -> Iterator[Finding]:
    for alarm in alarms:
        if alarm["StateValue"] == "ALARM":
            yield warning(
                f"stack.alarm.{alarm['AlarmName']}",
                f"it rings: {alarm['StateReason']}",
                breaks=alarm.get("AlarmDescription") or "what it watches is beyond its threshold",
                mend="docs/operations.md says of each alarm what to do",
            )


def _subscribers(topic: str) -> Finding:
    name = f"stack.topic.{topic.rpartition(':')[2]}"
    with asking():
        client = make_client("sns", config=CONFIG, region_name=topic.split(":")[3])
        attributes = client.get_topic_attributes(TopicArn=topic)["Attributes"]
    confirmed = int(attributes.get("SubscriptionsConfirmed", 0))
    pending = int(attributes.get("SubscriptionsPending", 0))
    if confirmed:
        return ok(name, f"{confirmed} subscribers")
    fact = f"nobody has subscribed; {pending} have not confirmed yet" if pending else "it has none"
    return warning(
        name,
        f"no subscriber hears the alarms: {fact}",
        breaks="alarms ring, and nobody hears",
        mend="follow the link in the mail that AWS sent"
        if pending
        else f"aws sns subscribe --topic-arn {topic} --protocol email "
        "--notification-endpoint you@example.com",
    )
