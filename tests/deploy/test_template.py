"""deploy/template.yaml: what makes slices on Lambda work, and no linter looks at."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from outlast.checkpoint.names import JOBS, PARTS
from outlast.worker.costs.prices import read_prices
from outlast.worker.queues.receives import MAX_RECEIVES
from outlast.worker.telemetry.emf import METRICS
from tests.deploy.files import RESOURCES, ROOT, TEMPLATE, actions, properties, statements
from tests.test_security import listed

FUNCTION = RESOURCES["Function"]["Properties"]
QUEUES = ("Queue", "DeadLetterQueue", "FailedInvocations")
ALARMS = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
NAMESPACE = "Outlast/${AWS::StackName}"
NONE = {"Ref": "AWS::NoValue"}
DASHBOARD, OPTIONAL = properties("Overview")["DashboardBody"]["Fn::Sub"]
OF_AWS = {f"Approximate{name}" for name in ("NumberOfMessagesVisible", "AgeOfOldestMessage")}
OF_AWS |= {"Errors", "Throttles", "DatabaseMemoryUsagePercentage"}

# How each type of resource names the key that encrypts it.
KEYS = {
    "AWS::ElastiCache::ReplicationGroup": "KmsKeyId",
    "AWS::ElastiCache::ServerlessCache": "KmsKeyId",
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::S3::Bucket": "KMSMasterKeyID",
    "AWS::SecretsManager::Secret": "KmsKeyId",
    "AWS::Serverless::Function": "KmsKeyArn",
    "AWS::SQS::Queue": "KmsMasterKeyId",
}
# On Redis.
STORES = FUNCTION["Environment"]["Variables"]["OUTLAST_STORE"]["Fn::If"][2]
HOURS_A_MONTH = 730


def test_the_function_itself_gets_logs_and_what_its_event_source_needs():
    """Without them AWS refuses the event source mapping, or nobody sees a log."""
    (policy,) = properties("Role")["Policies"]
    assert actions(policy) == {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}
    _, failed = statements(policy)
    assert failed["Resource"] == {"Fn::GetAtt": "FailedInvocations.Arn"}
    assert {"Ref": "WorkerPolicy"} in properties("Role")["ManagedPolicyArns"]
    event_source = {f"sqs:{name}" for name in ("DeleteMessage", "GetQueueAttributes")}
    assert event_source | {"sqs:ReceiveMessage"} <= actions(properties("WorkerPolicy"))
    assert FUNCTION["Role"] == {"Fn::GetAtt": "Role.Arn"}, "else SAM makes one with more rights"


def test_no_right_is_given_on_everything():
    """A worker must not reach the queues and buckets of others."""
    policies = [
        r["Properties"] for r in RESOURCES.values() if r["Type"] == "AWS::IAM::ManagedPolicy"
    ]
    policies += properties("Role")["Policies"]
    allowed = [statement for policy in policies for statement in statements(policy)]
    on_everything = [each["Action"] for each in allowed if each["Resource"] == "*"]
    without_resources = ["lambda:GetAccountSettings", "lambda:ListEventSourceMappings"]
    assert on_everything == [without_resources], "for which AWS has no resource"
    assert not any("*" in action for policy in policies for action in actions(policy))


@pytest.mark.parametrize("name", ["WorkerPolicy", "SubmitterPolicy", "ViewerPolicy"])
def test_only_an_operator_can_delete_jobs(name: str):
    """Who steals the key of one worker, submitter or viewer could empty the bucket."""
    deleting = [
        each for each in statements(properties(name)) if "s3:DeleteObject" in each["Action"]
    ]
    below = ("open", "parts", "blobs")
    no_jobs = [{"Fn::Sub": f"${{Bucket.Arn}}/jobs/{folder}/*"} for folder in below]
    assert [each["Resource"] for each in deleting] == ([no_jobs] if name == "WorkerPolicy" else [])


def test_one_message_is_one_invocation_and_fails_alone():
    """A batch of many would run one slice after the other within one time-out."""
    source = FUNCTION["Events"]["Slice"]["Properties"]
    assert source["BatchSize"] == 1
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaxConcurrency"}}
    limits = TEMPLATE["Parameters"]["MaxConcurrency"]
    assert (limits["MinValue"], limits["MaxValue"]) == (2, 1000), "AWS takes nothing else"


def test_the_default_bound_on_workers_does_not_surprise_a_bill():
    """A job for a thousand workers would cost its price in minutes, before anyone has looked."""
    parameters = TEMPLATE["Parameters"]
    size = (parameters[name]["Default"] for name in ("Architecture", "MemoryMegabytes"))
    second = read_prices(None).worker_second("/".join(["lambda", *map(str, size)]))
    assert second is not None
    limit = parameters["MaxConcurrency"]
    assert limit["Default"] * second * 3600 < 1
    told = re.findall(r"([\d,]+) cost \$(\d+(?:\.\d+)?)", limit["Description"])
    hours = {int(workers.replace(",", "")): float(dollars) for workers, dollars in told}
    assert hours.keys() == {limit["Default"], limit["MaxValue"]}
    for workers, dollars in hours.items():
        assert workers * second * 3600 == pytest.approx(dollars, rel=0.01)


def test_aws_lets_a_slice_wake_the_next():
    """By default AWS drops the message after some 16 slices, and the job never ends."""
    assert FUNCTION["RecursiveLoop"] == "Allow"


@pytest.mark.parametrize("seconds", TEMPLATE["Parameters"]["TimeoutSeconds"]["AllowedValues"])
def test_messages_stay_hidden_for_six_timeouts(seconds: int):
    """With less, AWS's pollers hand a message that they hold to a second function."""
    assert seconds <= 900
    assert TEMPLATE["Mappings"]["Timeouts"][str(seconds)]["VisibilitySeconds"] >= 6 * seconds
    assert properties("Queue")["VisibilityTimeout"] == {
        "Fn::FindInMap": ["Timeouts", {"Ref": "TimeoutSeconds"}, "VisibilitySeconds"]
    }


def test_hopeless_messages_go_to_the_dead_letter_queue():
    """A poisoned message would be delivered for two weeks, and nobody told."""
    redrive = properties("Queue")["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": "DeadLetterQueue.Arn"}
    assert redrive["maxReceiveCount"] == MAX_RECEIVES
    allow = properties("DeadLetterQueue")["RedriveAllowPolicy"]
    assert allow["redrivePermission"] == "byQueue"
    assert allow["sourceQueueArns"][0]["Fn::Sub"].endswith(":${AWS::StackName}")
    assert properties("Queue")["QueueName"] == {"Ref": "AWS::StackName"}


def test_a_dead_letter_outlives_its_first_days():
    """Its age counts from the first send: with equal retentions it may die as it arrives."""
    assert properties("DeadLetterQueue")["MessageRetentionPeriod"] == 14 * 86_400


@pytest.mark.parametrize("name", QUEUES)
def test_queues_are_encrypted(name: str):
    """Job ids are nobody else's business."""
    assert properties(name)["SqsManagedSseEnabled"] == {"Fn::If": ["HasKey", NONE, True]}


@pytest.mark.parametrize("name", RESOURCES)
def test_a_key_of_the_account_encrypts_all_that_is_kept(name: str):
    """One place would keep the key of the service, and an audit fail."""
    resource = RESOURCES[name]
    if resource["Type"] in KEYS:
        assert str(resource["Properties"]).count("'HasKey', {'Ref': 'KmsKeyArn'}") == 1
        assert KEYS[resource["Type"]] in str(resource["Properties"])


@pytest.mark.parametrize("name", ["WorkerPolicy", "SubmitterPolicy", "ViewerPolicy"])
def test_who_reads_or_writes_jobs_may_use_the_key(name: str):
    """With a key of the account, S3 and SQS would refuse everyone."""
    (key,) = [each for each in statements(properties(name)) if "kms:Decrypt" in each["Action"]]
    assert key["Resource"] == {"Ref": "KmsKeyArn"}
    assert ("kms:GenerateDataKey" in key["Action"]) == (name != "ViewerPolicy")


LASTING = {"Bucket": "Retain", "Redis": "Snapshot"}
KEPT_OR_LOST = ("S3::Bucket", "SQS::Queue", "SecretsManager::Secret", "ReplicationGroup")


@pytest.mark.parametrize("name", RESOURCES)
def test_what_a_deletion_takes_is_decided(name: str):
    """A default of AWS would decide about jobs."""
    resource = RESOURCES[name]
    if resource["Type"].endswith((*KEPT_OR_LOST, "LogGroup", "SNS::Topic")):
        assert resource["DeletionPolicy"].startswith(LASTING.get(name, "Delete"))
        assert resource["UpdateReplacePolicy"] == LASTING.get(name, "Delete")


@pytest.mark.parametrize("name", ["QueuesByTlsOnly", "BucketByTlsOnly"])
def test_nothing_is_asked_or_told_without_tls(name: str):
    """A state could be read on its way."""
    (statement,) = statements(properties(name))
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Action"] in {"s3:*", "sqs:*"}


def test_the_tls_policies_cover_all_queues_and_objects():
    """A policy on the bucket alone leaves the objects open."""
    assert properties("QueuesByTlsOnly")["Queues"] == [{"Ref": name} for name in QUEUES]
    (statement,) = statements(properties("BucketByTlsOnly"))
    assert statement["Resource"] == [{"Fn::GetAtt": "Bucket.Arn"}, {"Fn::Sub": "${Bucket.Arn}/*"}]


def test_the_bucket_is_private_encrypted_and_kept():
    """It holds every job there is."""
    bucket = properties("Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    algorithm = rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
    assert algorithm == {"Fn::If": ["HasKey", "aws:kms", "AES256"]}
    assert RESOURCES["Bucket"]["DeletionPolicy"].startswith("Retain")
    assert RESOURCES["Bucket"]["UpdateReplacePolicy"] == "Retain"


def test_the_bucket_forgets_jobs_and_nothing_else():
    """Elsewhere the rule would do nothing; with a shorter prefix it deletes arrays in use."""
    rules = properties("Bucket")["LifecycleConfiguration"]["Rules"]
    expiring = [rule for rule in rules if "ExpirationInDays" in rule]
    assert [rule["Prefix"] for rule in expiring] == [f"jobs/{JOBS}", f"jobs/{PARTS}"]
    # Sooner, a job would lose parts that are done while others of it are still to be.
    assert {str(rule["ExpirationInDays"]) for rule in expiring} == {"{'Ref': 'JobDays'}"}
    store = FUNCTION["Environment"]["Variables"]["OUTLAST_STORE"]["Fn::If"][1]
    assert store == {"Fn::Sub": "s3://${Bucket}/jobs"}


def test_redis_never_evicts_and_never_speaks_plainly():
    """Its default policy would drop jobs to make room."""
    assert properties("RedisParameters")["Properties"] == {"maxmemory-policy": "noeviction"}
    redis = properties("Redis")
    assert redis["TransitEncryptionEnabled"] is True
    assert redis["AtRestEncryptionEnabled"] is True
    assert redis["AutomaticFailoverEnabled"] is True
    assert RESOURCES["Redis"]["DeletionPolicy"] == "Snapshot"


def test_redis_has_a_password_that_no_output_shows():
    """Whatever else gets into the VPC could read and replace all jobs."""
    password = "{{resolve:secretsmanager:${RedisSecret}}}"
    assert properties("Redis")["AuthToken"] == {"Fn::Sub": password}
    _, on_server, serverless = STORES["Fn::If"]
    assert on_server["Fn::Sub"].startswith(f"rediss://:{password}@")
    assert serverless["Fn::Sub"].startswith(f"rediss+cluster://outlast:{password}@")
    (user,) = properties("ServerlessUser")["AuthenticationMode"]["Passwords"]
    assert user == {"Fn::Sub": password}
    assert properties("Serverless")["UserGroupId"] == {"Ref": "ServerlessUsers"}
    assert properties("ServerlessUsers")["UserIds"] == [{"Ref": "ServerlessUser"}]
    assert "resolve:secretsmanager" not in str(TEMPLATE["Outputs"])


def test_the_user_of_a_serverless_cache_has_the_rights_of_the_page():
    """The function would be refused, or whoever takes its password could do more than it."""
    rights = set(properties("ServerlessUser")["AccessString"].split())
    worker = ("all on Redis", "worker, sweep, delete, prune on Redis")
    parts = (*worker, "all on a cluster of Redis", "doctor on Redis, more")
    page = " ".join(right for part in parts for right in listed(part)).split()
    # AWS has no such command, and refuses a user who may call it.
    assert rights == {"on", "-@all", "+time", *page} - {"+config|get"}


def test_a_serverless_cache_is_bounded_kept_and_open_to_the_function_only():
    """A loop would fill it for thousands of dollars, or a deleted stack take all jobs with it."""
    cache = properties("Serverless")
    bound = {"DataStorage": {"Maximum": {"Ref": "RedisGigabytes"}, "Unit": "GB"}}
    assert cache["CacheUsageLimits"] == bound
    assert cache["SnapshotRetentionLimit"] > 0
    assert "FinalSnapshotName" in cache
    (way_in,) = properties("RedisSecurityGroup")["SecurityGroupIngress"]
    assert way_in["SourceSecurityGroupId"] == {"Fn::GetAtt": "FunctionSecurityGroup.GroupId"}
    assert (way_in["FromPort"], way_in["ToPort"]) == (6379, 6380)


def test_what_redis_costs_a_month_is_right():
    """A person would find out by the bill."""
    page = (ROOT / "docs/deploy-lambda.md").read_text()
    node, stored, endpoint = (
        float(re.search(pattern, page)[1])
        for pattern in (
            r"`cache.t4g.small` \$([\d.]+) an hour",
            r"\$([\d.]+) for a GB and hour",
            r"an endpoint \$([\d.]+) an hour",
        )
    )
    parameters = TEMPLATE["Parameters"]
    assert parameters["RedisNodeType"]["Default"] == "cache.t4g.small"
    nodes = round(properties("Redis")["NumCacheClusters"] * node * HOURS_A_MONTH)
    least, full = (round(gigabytes * stored * HOURS_A_MONTH) for gigabytes in (0.1, 1))
    described = "".join(parameter.get("Description", "") for parameter in parameters.values())
    for dollars in (nodes, least, full, round(endpoint * HOURS_A_MONTH)):
        assert f"${dollars} a month" in described
        assert f"${dollars}" in page


def test_what_a_month_without_work_costs_is_right():
    """A person would find out by the bill."""
    page = (ROOT / "docs/deploy-lambda.md").read_text()
    table = page.partition("## What it costs without work")[2].partition("In an account")[0]
    rows = re.findall(r"\| (.+?) \|.*\| \W*\$([\d.]+)\W* \|", table)
    cost = {what: float(dollars) for what, dollars in rows}
    total = cost.pop("**in all**")
    assert sum(cost.values()) == pytest.approx(total)
    of_all = [name for name in ALARMS if RESOURCES[name].get("Condition") != "OnServer"]
    watched = sum(len(metrics_of(ALARMS[name])) for name in of_all)
    assert cost[f"{len(of_all)} alarms"] == pytest.approx(0.10 * watched)
    assert f"{watched} in all" in table
    plain = [name for name in of_all if "Condition" not in RESOURCES[name]]
    assert f"{len(plain)} alarms with `Metrics=none`" in table
    prices = read_prices(None)
    polls = 5 * 3 * 60 * HOURS_A_MONTH
    assert f"{polls:,}" in table
    assert cost["requests to the queue"] == pytest.approx(polls * 0.4 / 1e6, abs=0.005)
    minutes = TEMPLATE["Parameters"]["SweepMinutes"]["Default"]
    sweeps = HOURS_A_MONTH * 60 // minutes
    second = prices.worker_second("lambda/arm64/1769")
    assert f"{sweeps:,}" in table
    assert second is not None
    # With the requests to Lambda and its schedule, of a dollar and twenty cents a million.
    assert cost["sweeps"] == pytest.approx(sweeps * (second + 1.2e-6), abs=0.005)


# They name what is there already, a metric or a service of AWS, or what is in a group of its own.
NO_OWN_NAMES = {"MetricName", "ServiceName", "UserName"}


@pytest.mark.parametrize("name", RESOURCES)
def test_nothing_has_the_same_name_in_every_stack(name: str):
    """A second stack in the region could not be made, or would take a part of the first."""
    resource = RESOURCES[name]["Properties"]
    events = resource.get("Events", {}).values()
    for each in [resource, *(event["Properties"] for event in events)]:
        for key, value in each.items():
            if re.search(r"(Name|Identifier|GroupId|UserId)$", key) and key not in NO_OWN_NAMES:
                follows = key == "OmitName" or "Ref" in value or "AWS::Stack" in str(value)
                assert follows, f"{key} is {value!r} in every stack"
    # SAM gives a schedule a fixed name unless it is asked not to.
    schedules = [event for event in events if event["Type"] == "ScheduleV2"]
    assert all(event["Properties"].get("OmitName") is True for event in schedules)


def test_nothing_is_exported():
    """An export has one name in a region: of two stacks the second could not be made."""
    assert not any("Export" in output for output in TEMPLATE["Outputs"].values())


def test_lost_messages_are_looked_for():
    """Without the sweep a job whose message was lost sleeps for ever."""
    sweep = FUNCTION["Events"]["Sweep"]
    assert sweep["Type"] == "ScheduleV2"
    assert sweep["Properties"]["Input"] == '{"sweep": true}'


def metrics_of(alarm: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the namespaces and names of the metrics that an alarm watches."""
    if "Metrics" not in alarm:
        return [(sub(alarm["Namespace"]), alarm["MetricName"])]
    stats = [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]
    return [(sub(each["Namespace"]), each["MetricName"]) for each in stats]


def sub(value: Any) -> str:
    """Return a text, with or without !Sub."""
    return value if isinstance(value, str) else value["Fn::Sub"]


def test_there_is_an_alarm_for_what_nobody_would_notice():
    """Jobs that failed or wait, workers that die, a store that is away."""
    watched = {metric for alarm in ALARMS.values() for metric in metrics_of(alarm)}
    assert watched == {
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        ("AWS/Lambda", "Errors"),
        ("AWS/Lambda", "Throttles"),
        ("AWS/ElastiCache", "DatabaseMemoryUsagePercentage"),
        *((NAMESPACE, name) for name in ("JobsFailed", "JobsWoken", "CheckpointsQuarantined")),
        *(
            (NAMESPACE, name)
            for name in ("SlicesLost", "SlicesEnded", "StoreErrors", "QueueErrors")
        ),
    }


@pytest.mark.parametrize("name", ALARMS)
def test_alarms_reach_somebody(name: str):
    """An alarm that only shows rings for nobody; one that waits for data rings in quiet hours."""
    alarm = ALARMS[name]
    assert alarm["AlarmActions"] == [
        {"Fn::If": ["HasTopic", {"Ref": "AlarmTopicArn"}, NONE]},
        {"Fn::If": ["HasEmail", {"Ref": "AlarmTopic"}, NONE]},
    ]
    assert alarm["TreatMissingData"] == "notBreaching"
    ours = any(namespace == NAMESPACE for namespace, _ in metrics_of(alarm))
    condition = {"StoreFullAlarm": "OnServer"}.get(name, "HasMetrics" if ours else None)
    assert RESOURCES[name].get("Condition") == condition


def test_the_metrics_of_alarms_and_dashboard_are_those_of_the_function():
    """A name that is off by a letter shows nothing, and its alarm never rings."""
    variable = FUNCTION["Environment"]["Variables"]["OUTLAST_METRICS"]
    assert variable["Fn::If"][:2] == ["HasMetrics", {"Fn::Sub": f"emf:{NAMESPACE}"}]
    emitted = {name: unit for metrics in METRICS.values() for name, unit, _ in metrics}
    of_alarms = {each[1] for alarm in ALARMS.values() for each in metrics_of(alarm)}
    shown = re.findall(rf'\["{re.escape(NAMESPACE)}", "(\w+)"', DASHBOARD)
    assert set(shown) == set(emitted) - {"Checkpoints"}
    assert of_alarms <= {*emitted, *OF_AWS}


def test_the_dashboard_is_json_with_all_alarms_and_no_overlap():
    """CloudWatch refuses a body that is not JSON, and with it the whole stack."""
    text = DASHBOARD
    for name, (_, alarms, nothing) in ((n, each["Fn::If"]) for n, each in OPTIONAL.items()):
        text = text.replace(f"${{{name}}}", sub(alarms))
        assert nothing == ""
    body = json.loads(text)
    first, *rest = body["widgets"]
    assert set(first["properties"]["alarms"]) == {f"${{{name}.Arn}}" for name in ALARMS}
    assert all(widget["properties"]["region"] == "${AWS::Region}" for widget in rest)
    places = [
        (x, y)
        for widget in body["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) == 23, "CloudWatch has 24 columns"


def test_an_event_that_nobody_waits_for_is_not_lost():
    """A direct call that failed three times would be gone without a trace."""
    failed = FUNCTION["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]
    assert failed == {"Type": "SQS", "Destination": {"Fn::GetAtt": "FailedInvocations.Arn"}}
    (dimension,) = ALARMS["FailedInvocationAlarm"]["Dimensions"]
    assert dimension["Value"] == {"Fn::GetAtt": "FailedInvocations.QueueName"}


@pytest.mark.parametrize("name", TEMPLATE["Parameters"])
def test_each_parameter_says_what_it_is_and_what_it_takes(name: str):
    """A typo would come to light when AWS has made half of the stack, and rolls it back."""
    parameter = TEMPLATE["Parameters"][name]
    assert parameter["Description"]
    bounded = {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter)
    assert bounded or parameter["Type"] == "CommaDelimitedList"
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sum(group["Parameters"].count(name) for group in groups) == 1


def test_every_role_has_the_boundary_that_an_account_asks_for():
    """Such an account refuses the stack otherwise."""
    boundary = {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, NONE]}
    assert properties("Role")["PermissionsBoundary"] == boundary
    assert FUNCTION["Events"]["Sweep"]["Properties"]["PermissionsBoundary"] == boundary
