"""What docs/security.md claims."""

from __future__ import annotations

import ast
import json
import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
import redis
from botocore.client import BaseClient
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.checkpoint.errors import InvalidJobId, StoreUnavailable
from outlast.checkpoint.jobs import JobStore, _key
from outlast.checkpoint.registers import open_register
from outlast.worker.doctor.examine import examine
from outlast.worker.jobs.client import Client
from outlast.worker.loops.consumer import Consumer
from outlast.worker.queues.local import MAX_RECEIVES
from outlast.worker.queues.message import Message
from outlast.worker.queues.sqs_dead import SqsDeadLetters
from outlast.worker.slices.process import make_process
from tests.servers import HOST
from tests.tls import tls_before
from tests.worker.queues import backends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Server

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/security.md").read_text()
OUTSIDE = {"pickle", "marshal", "shelve", "dill", "yaml", "importlib", "runpy", "code"}
# Where S3's right is not named after the operation.
PERMISSIONS = {
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
}
EXECUTING = {"eval", "exec", "compile", "__import__"}


def listed(part: str) -> list[str]:
    """Return what the page's last table lists for a part."""
    return re.findall(r"`([^`]+)`", next(row for row in PAGE.splitlines() if f"| {part} |" in row))


@pytest.mark.parametrize(
    "path",
    [p for f in ("kernel", "checkpoint", "worker") for p in sorted((ROOT / f).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_nothing_that_is_read_is_executed(path: Path) -> None:
    """Who may write to the store or the queue could run code on every worker."""
    imported, called = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names):
                imported |= {name.name for name in names}
            case ast.ImportFrom(module):
                imported.add(module)
            case ast.Call(ast.Name(name)):
                called.add(name)
    allowed = {"pickle"} if path.parent.name == "isolation" else set()
    assert not imported & OUTSIDE - allowed
    assert not called & EXECUTING


@given(job_id=st.text(max_size=140) | st.from_regex(r"[a.{}/\\%\n-]{1,9}"))
@settings(deadline=None)
def test_a_job_id_cannot_leave_its_prefix(job_id: str) -> None:
    """Who may choose an id could overwrite what is not a job."""
    try:
        key = _key(job_id)
    except InvalidJobId as error:
        told = str(error)
        assert told.isprintable()
    else:
        assert re.fullmatch(r"jobs/[A-Za-z0-9][A-Za-z0-9._-]{0,127}", key)
        assert ".." not in Path(key).parts


@pytest.mark.parametrize(
    "kernel", ["os.system", "os:system", "../nth-prime", "outlast.kernel.nth_prime"]
)
def test_a_job_names_an_installed_kernel_only(kernel: str, tmp_path: Path) -> None:
    """A job could make a worker import and run any module that it has."""
    from outlast.kernel import UnknownKernel

    client = Client(f"sqlite:///{tmp_path}/a.db", f"sqlite:///{tmp_path}/a.db")
    with pytest.raises(UnknownKernel):
        client.submit(kernel)


def life_of_a_job(client: Client) -> None:
    """Do with a job what each command does."""
    client.submit("nth-prime", job_id="a", position=5)
    client.jobs.reach()
    process = make_process(client.settings, client.jobs, client.queue)
    Consumer(process, slice_seconds=5.0).run(max_slices=1)
    assert client.result("a") == {"position": 5, "prime": 11}
    client.fork("a", new_id="b")
    client.cancel("b")
    assert [record.job_id for record in client.records()] == ["a", "b"]
    client.sweep(after_seconds=1.0)
    client.delete("b")


def test_the_rights_listed_for_aws_are_enough(
    ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who grants what the page lists would have jobs that fail in production."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with closing(boto3.client("s3")) as storage, closing(boto3.client("sqs")) as queues:
        storage.create_bucket(Bucket="rights")
        queues.create_queue(QueueName="rights")
    used: set[str] = set()
    client = Client("s3://rights/jobs-of-ours", "sqs://rights")
    service_of = {
        "s3": client.jobs._register._client,
        "sqs": client.queue._connection._connect()[0],
    }  # type: ignore[attr-defined]
    for service, aws in service_of.items():
        aws.meta.events.register(
            "before-call.*",
            lambda model, service=service, **_: used.add(f"{service}:{model.name}"),
        )
    life_of_a_job(client)
    used = {name.replace("ListObjectsV2", "ListBucket") for name in used}
    granted = {*listed("all on S3"), *listed("delete, prune on S3"), *listed("worker on SQS")}
    assert used <= granted
    assert used >= granted - {"sqs:GetQueueUrl", "sqs:ChangeMessageVisibility"}


def test_the_rights_listed_for_doctor_on_aws_are_enough(
    ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator who grants what the page lists would be told that doctor may not look."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    with closing(boto3.client("s3")) as storage, closing(boto3.client("sqs")) as queues:
        storage.create_bucket(Bucket="rights")
        arn = "arn:aws:sqs:us-east-1:000000000000:dead"
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES})
        queues.create_queue(QueueName="dead")
        queues.create_queue(QueueName="rights", Attributes={"RedrivePolicy": policy})
    monkeypatch.setenv("OUTLAST_STORE", "s3://rights/jobs")
    monkeypatch.setenv("OUTLAST_QUEUE", "sqs://rights")
    used: set[str] = set()
    call = BaseClient._make_api_call

    def noted(client: BaseClient, operation: str, arguments: dict[str, object]) -> object:
        used.add(f"{client.meta.service_model.service_name}:{operation}")
        if operation == "GetFunctionConfiguration":
            return {"Timeout": 900, "MemorySize": 1769}
        if operation == "ListEventSourceMappings":
            return {"EventSourceMappings": [{"UUID": "u", "EventSourceArn": arn}]}
        return call(client, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    assert len(list(examine(function="f"))) > 20
    for operation, right in PERMISSIONS.items():
        used = {name.replace(operation, right) for name in used}
    parts = ("all on S3", "doctor on S3, more", "worker on SQS", "doctor on SQS")
    granted = {right for part in (*parts, "doctor --function") for right in listed(part)}
    assert used == granted


def test_the_rights_listed_for_dead_letters_are_enough(
    ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator would be refused at the moment in which an alarm rings."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    queue = backends.sqs(ministack.url, "").queue
    for number in range(2):
        queue.send(Message(job_id=f"a{number}"))
    while delivery := queue.receive(visibility_seconds=0, wait_seconds=0):
        queue.hide(delivery, 0)
    dead, used = SqsDeadLetters("sqs://jobs"), set()
    dead._connection._connect()[0].meta.events.register(
        "before-call.*", lambda model, **_: used.add(f"sqs:{model.name}".removesuffix("Batch"))
    )
    with dead.look() as letters:
        for act in (dead.redrive, dead.drop):
            act(next(letters))
    with dead.look() as letters:
        assert list(letters) == []
    queue.send(Message(job_id="a2"))
    while delivery := queue.receive(visibility_seconds=0, wait_seconds=0):
        queue.hide(delivery, 0)
    with dead.look() as letters:
        assert list(letters)
    granted = set(listed("dlq on SQS"))
    assert used <= granted
    assert used >= granted - {"sqs:GetQueueUrl"}


@pytest.fixture
def as_user(valkey_server: Server) -> Iterator[Callable[[list[str]], str]]:
    """Make a user with some rights; return the URL to connect as that user."""
    with closing(redis.Redis.from_url(valkey_server.url)) as admin:

        def make(rights: list[str]) -> str:
            admin.execute_command("ACL", "SETUSER", "outlast", "reset", "on", ">s3cret", *rights)
            return f"redis://outlast:s3cret@{HOST}:{valkey_server.port}/0"

        admin.flushall()
        yield make
        admin.execute_command("ACL", "DELUSER", "outlast")


def use(url: str) -> None:
    """Do with the store what there is to do, as a client that is new to the server."""
    with closing(open_register(url)) as register:
        jobs = JobStore(register)
        version = register.write("jobs/a", b"1", expected=None)
        assert register.read("jobs/a") == (b"1", version)
        assert [*jobs.ids()] == ["a"]
        register.delete("jobs/a", expected=version)


def test_the_rights_listed_for_redis_are_enough_and_each_is_needed(
    as_user: Callable[[list[str]], str], valkey_server: Server
) -> None:
    """An operator would grant too little for the workers to run, or more than they need."""
    (line,) = listed("all on Redis")
    rights = line.split()
    deleting = listed("delete, prune on Redis")
    use(as_user([*rights, *deleting]))
    for missing in rights:
        with closing(redis.Redis.from_url(valkey_server.url)) as admin:
            admin.script_flush()
        left = [right for right in rights if right != missing]
        with pytest.raises(StoreUnavailable, match="permission"):
            use(as_user([*left, *deleting]))


def test_the_rights_listed_for_doctor_on_redis_are_enough_and_each_is_needed(
    as_user: Callable[[list[str]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator would be told that doctor may not look, or grant more than it needs."""
    worker, more = (listed(part)[0].split() for part in ("all on Redis", "doctor on Redis, more"))

    def denied(rights: list[str]) -> list[str]:
        monkeypatch.setenv("OUTLAST_STORE", as_user(rights))
        found = [f for f in examine() if f.check.startswith(("store.", "clock."))]
        return [f.check for f in found if "permission" in f.found]

    assert denied(worker + more) == []
    for missing in more:
        assert denied([*worker, *(right for right in more if right != missing)]), missing


def test_tls_is_verified_unless_told_otherwise(valkey_server: Server, tmp_path: Path) -> None:
    """The password and all progress would go to whoever stands in the way."""
    with tls_before(valkey_server, tmp_path) as (port, authority):
        use(f"rediss://{HOST}:{port}/0?ssl_ca_certs={authority}")
        use(f"rediss://{HOST}:{port}/0?ssl_cert_reqs=none&ssl_check_hostname=false")
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            use(f"rediss://{HOST}:{port}/0")
