"""The claims of docs/security.md."""

from __future__ import annotations

import ast
import json
import re
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import redis
from botocore.client import BaseClient
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast.checkpoint.errors import InvalidJobId, StoreUnavailable
from outlast.checkpoint.job_store import JobStore
from outlast.checkpoint.names import job_key
from outlast.checkpoint.redis_client import connect
from outlast.checkpoint.registers import open_register
from outlast.worker.doctor.examine import examine
from outlast.worker.doctor.redis_queue import try_queue
from outlast.worker.jobs.client import Client
from outlast.worker.loops.consumer import Consumer
from outlast.worker.queues import open_dead_letters, open_queue
from outlast.worker.queues.contract import QueueUnavailable
from outlast.worker.queues.dead_letters import DeadLetter
from outlast.worker.queues.message import Message
from outlast.worker.queues.receives import MAX_RECEIVES
from outlast.worker.queues.redis import RedisQueue
from outlast.worker.queues.redis_scripts import Keys
from outlast.worker.queues.sqs_dead_letters import SqsDeadLetters
from outlast.worker.slices.worker_process import make_process
from tests.deploy.files import actions, properties
from tests.doctor.test_stack import CLIENTS, deploy
from tests.kernels import Dividing, expected, install
from tests.servers import HOST
from tests.tls import tls_before
from tests.worker.queues import backends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.redis_groups import Group
    from tests.servers import Server

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/security.md").read_text()
OUTSIDE = {"pickle", "marshal", "shelve", "dill", "yaml", "importlib", "runpy", "code"}
# Where a right has another name than the operation.
RIGHTS = {
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "ListObjectsV2": "ListBucket",
    "DeleteObjects": "DeleteObject",
    "SendMessageBatch": "SendMessage",
    "HeadBucket": "ListBucket",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
}
LETTER = DeadLetter("17", "{}", 30, 0.0, "")
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
    # Between a process and one that it has started itself.
    is_ours = path.parent.name == "isolation" or path.name == "another_process.py"
    # Modules of a table in the same file.
    is_command = path == ROOT / "worker" / "cli" / "app.py"
    allowed = {"pickle"} if is_ours else {"importlib"} if is_command else set()
    assert not imported & OUTSIDE - allowed
    assert not called & EXECUTING


@given(job_id=st.text(max_size=140) | st.from_regex(r"[a.{}/\\%\n-]{1,9}"))
@settings(deadline=None)
def test_a_job_id_cannot_leave_its_prefix(job_id: str) -> None:
    """Who may choose an id could overwrite what is not a job."""
    try:
        key = job_key(job_id)
    except InvalidJobId as error:
        message = str(error)
        assert message.isprintable()
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


class Rights(set[str]):
    """The rights that were needed so far; `deleted` are the keys that were deleted on S3."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[str] = []


@pytest.fixture
def rights(ministack: Server, monkeypatch: pytest.MonkeyPatch) -> Rights:
    """The rights that all clients of boto3 have needed so far, on an emulator that grants them."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    used = Rights()
    call = BaseClient._make_api_call

    def record(client: BaseClient, operation: str, arguments: dict[str, Any]) -> object:
        right = RIGHTS.get(operation, operation)
        used.deleted += _keys(operation, arguments)
        used.add(f"{client.meta.service_model.service_name}:{right}")
        if operation == "GetFunctionConfiguration":
            return {"Timeout": 900, "MemorySize": 1769}
        if operation == "GetFunctionConcurrency":
            return {}
        if operation == "ListEventSourceMappings":
            mapping = {"UUID": "u", "EventSourceArn": "arn"}
            return {"EventSourceMappings": [mapping | {"ScalingConfig": {"MaximumConcurrency": 2}}]}
        return call(client, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    return used


def _keys(operation: str, arguments: dict[str, Any]) -> list[str]:
    """Return the keys that a request to S3 deletes."""
    if operation == "DeleteObject":
        return [arguments["Key"]]
    if operation == "DeleteObjects":
        return [entry["Key"] for entry in arguments["Delete"]["Objects"]]
    return []


@pytest.fixture
def dividing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a kernel that can be divided, installed."""
    install(tmp_path, Dividing)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Dividing.name


@pytest.fixture
def deployment(rights: set[str], monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The URLs of a bucket and of a queue with a dead-letter queue; nobody has used them yet."""
    with closing(boto3.client("s3")) as s3, closing(boto3.client("sqs")) as sqs:
        s3.create_bucket(Bucket="rights")
        arn = "arn:aws:sqs:us-east-1:000000000000:dead"
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES})
        sqs.create_queue(QueueName="dead")
        sqs.create_queue(QueueName="rights", Attributes={"RedrivePolicy": policy})
    rights.clear()
    urls = ("s3://rights/jobs", "sqs://rights")
    for name, url in zip(("OUTLAST_STORE", "OUTLAST_QUEUE"), urls, strict=True):
        monkeypatch.setenv(name, url)
    return urls


def documented(*parts: str) -> set[str]:
    """Return what the page's table lists for these parts."""
    return {right for part in parts for right in listed(part)}


def test_a_submitter_has_exactly_the_rights_it_uses_on_aws(
    rights: Rights, deployment: tuple[str, str]
) -> None:
    """A right too few refuses a command; one too many is what a stolen key would use."""
    client = Client(*deployment)
    client.submit("nth-prime", job_id="a", position=5)
    client.fork("a", new_id="b")
    client.pause("b")
    client.resume("b")
    client.cancel("b")
    assert [record.job_id for record in client.records()] == ["a", "b"]
    assert rights == documented("all on S3", "submit, steer on SQS")
    assert client.queue.backlog().dead == 0
    assert rights == actions(properties("SubmitterPolicy"))
    assert rights == documented("all on S3", "submit, steer on SQS", "dashboard on SQS")


def test_a_viewer_has_exactly_the_rights_it_uses_on_aws(
    rights: Rights, deployment: tuple[str, str]
) -> None:
    """Whoever may look at jobs could change them, too."""
    Client(*deployment).submit("nth-prime", job_id="a", position=5)
    rights.clear()
    viewer = Client(*deployment, read_only=True)
    assert [record.job_id for record in viewer.records()] == [viewer.status("a").job_id]
    assert rights == actions(properties("ViewerPolicy"))
    assert rights == documented("list, status, wait on S3")


def test_a_worker_has_exactly_the_rights_it_uses_on_aws(
    rights: Rights, deployment: tuple[str, str], dividing: str
) -> None:
    """A right too few stops every job; one too many is what a stolen key would use."""
    client = Client(*deployment)
    client.submit("nth-prime", job_id="a", position=5)
    client.jobs.reach()
    process = make_process(client.settings, client.jobs, client.queue)
    Consumer(process, slice_seconds=5.0).run(max_slices=1)
    assert client.result("a") == {"position": 5, "prime": 11}
    client.submit(dividing, job_id="d", parallel=1, steps=30)
    Consumer(process, slice_seconds=5.0).run(max_idle_seconds=1.0)
    assert client.result("d") == expected(30)
    client.fork("a", new_id="b")
    delivery = client.queue.receive(visibility_seconds=60, wait_seconds=1)
    client.queue.hide(delivery, 0)
    client.create("nth-prime", {"position": 6}, job_id="c")
    client.cancel("b")
    client.sweep(after_seconds=0.001)
    assert rights == actions(properties("WorkerPolicy"))
    assert rights == documented("all on S3", "worker, sweep on S3", "worker on SQS")
    # Where the policy lets it delete, beside arrays: see `tests/deploy/test_template.py`.
    assert {key.split("/")[1] for key in rights.deleted} == {"open", "parts"}


def test_an_operator_has_exactly_the_rights_it_uses_on_aws(
    rights: Rights, deployment: tuple[str, str]
) -> None:
    """Old jobs would stay, or a stolen key could do more than to remove them."""
    client = Client(*deployment)
    client.create("nth-prime", {"position": 5}, job_id="a")
    client.cancel("a")
    rights.clear()
    client.delete("a")
    assert rights == documented("all on S3", "delete, prune on S3")  # It looks for arrays.
    more = ("delete, prune on S3", "doctor on S3, more", "dlq on SQS", "doctor on SQS")
    of_stack = ("doctor --stack, more", "doctor --stack with a cache, more")
    every = documented(*more, "doctor --function", *of_stack)
    worker = actions(properties("WorkerPolicy"))
    assert actions(properties("OperatorPolicy")) | worker == every | worker


@pytest.mark.usefixtures("deployment")
def test_the_rights_listed_for_doctor_on_aws_are_exactly_those_it_uses(rights: set[str]) -> None:
    """An operator who grants what the page lists would be told that doctor may not look."""
    assert len(list(examine(function="f"))) > 20
    assert rights == documented(
        *("all on S3", "doctor on S3, more", "worker on SQS", "doctor on SQS"),
        "doctor --function",
    )


def test_the_rights_listed_for_a_stack_are_exactly_those_that_doctor_uses(
    rights: set[str],
) -> None:
    """The operator of the template would see half of the deployment."""
    with ExitStack() as stack:
        deploy({name: stack.enter_context(closing(boto3.client(name))) for name in CLIENTS})
    rights.clear()
    assert len(list(examine(stack="jobs"))) > 30
    assert rights == documented(
        *("all on S3", "doctor on S3, more", "worker on SQS", "doctor on SQS"),
        *("doctor --function", "doctor --stack, more"),
    )


def test_the_rights_listed_for_dead_letters_are_exactly_those_it_uses(
    rights: set[str], ministack: Server
) -> None:
    """An operator would be refused at the moment in which an alarm rings."""
    queue = backends.sqs(ministack.url, "").queue
    for number in range(3):
        queue.send(Message(job_id=f"a{number}"))
    while delivery := queue.receive(visibility_seconds=0, wait_seconds=0):
        queue.hide(delivery, 0)
    rights.clear()
    dead = SqsDeadLetters("sqs://jobs")
    with dead.look() as messages:
        dead.redrive(next(messages))
        dead.drop(next(messages))
        assert next(messages).body
    assert rights == documented("dlq on SQS")


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
        register.remove(["parts/a/0/1"])


def test_the_rights_listed_for_redis_are_enough_and_each_is_needed(
    as_user: Callable[[list[str]], str], valkey_server: Server
) -> None:
    """An operator would grant too little for the workers to run, or more than they need."""
    (line,) = listed("all on Redis")
    rights = line.split()
    deleting = listed("worker, sweep, delete, prune on Redis")
    use(as_user([*rights, *deleting]))
    for missing in rights:
        with closing(redis.Redis.from_url(valkey_server.url)) as admin:
            admin.flushall()
            admin.script_flush()
        left = [right for right in rights if right != missing]
        with pytest.raises(StoreUnavailable, match="permission"):
            use(as_user([*left, *deleting]))


def on_a_queue(part: str) -> list[str]:
    """Return what the page's table lists for a part on a queue in Redis."""
    return listed(f"{part} on a queue in Redis")[0].split()


def test_the_rights_listed_for_a_queue_in_redis_are_enough_and_each_is_needed(
    as_user: Callable[[list[str]], str], valkey_server: Server
) -> None:
    """An operator would grant too little for messages to pass, or more than they need."""

    def submit(rights: list[str]) -> None:
        with closing(open_queue(as_user(rights))) as queue:
            queue.send(Message(job_id="a"))

    def be_anyone(rights: list[str]) -> None:
        url = as_user(rights)
        with closing(connect(url)) as client, closing(open_dead_letters(url)) as dead:
            try_queue(client, "try")
            assert RedisQueue(client, "jobs").is_empty()
            with dead.look() as letters:
                assert list(letters) == []
            dead.redrive(LETTER)
            dead.drop(LETTER)

    def look(rights: list[str]) -> None:
        with closing(open_queue(as_user(rights))) as queue:
            assert queue.backlog()

    submitter, more = on_a_queue("submit, steer"), on_a_queue("worker, sweep, dlq, doctor")
    viewer = on_a_queue("dashboard")
    for act, rights in ((submit, submitter), (be_anyone, [*submitter, *more]), (look, viewer)):
        act(rights)
        for missing in rights:
            with closing(redis.Redis.from_url(valkey_server.url)) as admin:
                admin.flushall()
                admin.script_flush()
                admin.zadd(Keys.of("jobs").dead, {LETTER.letter_id: 1})
            with pytest.raises(QueueUnavailable, match="permission"):
                act([right for right in rights if right != missing])


WORKER = (
    *listed("all on Redis")[0].split(),
    *listed("worker, sweep, delete, prune on Redis"),
    *on_a_queue("submit, steer"),
    *on_a_queue("worker, sweep, dlq, doctor"),
)


def test_the_rights_listed_for_a_cluster_are_enough_and_each_is_needed(three_nodes: Group) -> None:
    """An operator would grant too little for the workers to run, or more than they need."""
    (line,) = listed("all on a cluster of Redis")
    more = line.split()
    url = three_nodes.url.replace("//", "//outlast:s3cret@")
    three_nodes.flush()
    with three_nodes.user([*WORKER, *more]), closing(connect(url)) as client:
        use(url)
        try_queue(client, "try")
    for missing in more:
        left = [right for right in more if right != missing]
        with (
            three_nodes.user([*WORKER, *left]),
            pytest.raises(StoreUnavailable, match=r"permission.*; allow this user"),
        ):
            use(url)


def test_the_rights_listed_for_sentinels_are_enough_and_each_is_needed(
    watched: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator would grant too little for the workers to find the master, or too much."""
    (right,) = listed("all by sentinels, there")
    url = f"{watched.url}?sentinel_username=outlast&sentinel_password=s3cret"
    monkeypatch.setenv("OUTLAST_STORE", url)
    watched.flush()
    with watched.user([right]):
        use(url)
        assert [f for f in examine() if "permission" in f.found] == []
    with watched.user([]), pytest.raises(StoreUnavailable, match=r"permission.*masters"):
        use(url)


def test_the_rights_listed_for_a_worker_on_redis_are_enough_for_a_job_of_parts(
    as_user: Callable[[list[str]], str], dividing: str
) -> None:
    """Its parts would be computed, and their records stay: each message a dead letter."""
    rights = [*listed("all on Redis")[0].split(), *listed("worker, sweep, delete, prune on Redis")]
    rights += on_a_queue("submit, steer") + on_a_queue("worker, sweep, dlq, doctor")
    client = Client(as_user(rights))
    client.submit(dividing, job_id="d", parallel=1, steps=30)
    process = make_process(client.settings, client.jobs, client.queue)
    Consumer(process, slice_seconds=5.0).run(max_idle_seconds=0.1)
    assert client.result("d") == expected(30)
    assert [*client.jobs.nodes.job_ids()] == []


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


def test_tls_is_verified_unless_switched_off(valkey_server: Server, tmp_path: Path) -> None:
    """The password and all progress would go to whoever stands in the way."""
    with tls_before(valkey_server, tmp_path) as (port, authority):
        use(f"rediss://{HOST}:{port}/0?ssl_ca_certs={authority}")
        use(f"rediss://{HOST}:{port}/0?ssl_cert_reqs=none&ssl_check_hostname=false")
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            use(f"rediss://{HOST}:{port}/0")
