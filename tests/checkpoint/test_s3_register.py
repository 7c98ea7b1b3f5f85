"""What S3 answers that no emulator does, and the exact conditions that are sent."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from traceback import format_exception
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from outlast.checkpoint.errors import StateTooLarge, StoreFull, StoreUnavailable, VersionConflict
from outlast.checkpoint.registers import open_register
from outlast.checkpoint.registers.s3 import COLLISION_ATTEMPTS, S3Register
from tests.checkpoint.conftest import BUCKET, S3_STORES, create_bucket
from tests.checkpoint.lossy_proxy import LossyProxy
from tests.doctor.between import Answer, between
from tests.servers import HOST, free_ports
from tests.serving import serving
from tests.tls import tls_before

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.doctor.between import Request
    from tests.servers import Server

KEY = "jobs/one"
OBJECT = {"Bucket": "bucket", "Key": "prefix/jobs/one"}
OLD, NEW, THEIRS = '"etag-old"', '"etag-new"', '"etag-theirs"'
OURS = OBJECT | {"Body": b"ours", "ContentMD5": "q9x5PHAKD5EQVmwJI5iYXw=="}
CREATE = OURS | {"IfNoneMatch": "*"}
REPLACE = OURS | {"IfMatch": OLD}


class Script:
    """The calls that are expected of the register, in order, and their answers."""

    def __init__(self) -> None:
        self.client = boto3.client("s3")
        self.stub = Stubber(self.client)
        self.waited_seconds: list[float] = []
        self.register = S3Register(
            "bucket", "/prefix/", client=self.client, sleep=self.waited_seconds.append
        )

    def answers(self, operation: str, request: dict[str, object], answer: dict[str, Any]) -> None:
        """Expect exactly this request, which succeeds."""
        self.stub.add_response(operation, answer, request)

    def refuses(
        self, operation: str, request: dict[str, object], code: str, status: int, message: str = "."
    ) -> None:
        """Expect exactly this request, which is refused."""
        self.stub.add_client_error(
            operation, code, message, http_status_code=status, expected_params=request
        )

    def reads(self, value: bytes, etag: str) -> None:
        """Expect a read of the key."""
        body = StreamingBody(io.BytesIO(value), len(value))
        self.answers("get_object", OBJECT, {"Body": body, "ETag": etag})


@pytest.fixture
def script() -> Iterator[Script]:
    """An S3 that answers by script; at the end every expected call must have come."""
    script = Script()
    with script.stub:
        yield script
        script.stub.assert_no_pending_responses()
    script.client.close()


@pytest.mark.parametrize(("expected", "request_"), [(None, CREATE), (OLD, REPLACE)])
def test_a_write_is_conditional(
    script: Script, expected: str | None, request_: dict[str, object]
) -> None:
    """Two submitters of one id, or two workers of one job, would overwrite each other."""
    script.answers("put_object", request_, {"ETag": NEW})
    assert script.register.put(KEY, b"ours", expected=expected) == NEW


def test_delete_is_conditional(script: Script) -> None:
    """A purge would remove a job that has just been started again."""
    script.answers("delete_object", OBJECT | {"IfMatch": OLD}, {})
    script.register.delete(KEY, expected=OLD)


@pytest.mark.parametrize(("code", "status"), [("PreconditionFailed", 412), ("NoSuchKey", 404)])
def test_a_condition_that_does_not_hold_is_a_conflict(
    script: Script, code: str, status: int
) -> None:
    """A worker would back off and go on with a lease that it has lost."""
    script.refuses("put_object", REPLACE, code, status)
    with pytest.raises(VersionConflict, match="s3://bucket/prefix/jobs/one was written"):
        script.register.put(KEY, b"ours", expected=OLD)


def test_a_collision_is_tried_again(script: Script) -> None:
    """The only writer left after a collision would give up a lease that it holds."""
    script.refuses("put_object", REPLACE, "ConditionalRequestConflict", 409)
    script.reads(b"old", OLD)
    script.refuses("put_object", REPLACE, "ConditionalRequestConflict", 409)
    script.reads(b"old", OLD)
    script.answers("put_object", REPLACE, {"ETag": NEW})
    assert script.register.put(KEY, b"ours", expected=OLD) == NEW
    assert script.waited_seconds == [0.05, 0.1]


def test_a_collision_with_a_winner_is_a_conflict(script: Script) -> None:
    """The loser would go on asking for a version that will never come back."""
    script.refuses("put_object", REPLACE, "ConditionalRequestConflict", 409)
    script.reads(b"theirs", THEIRS)
    with pytest.raises(VersionConflict):
        script.register.put(KEY, b"ours", expected=OLD)


def test_a_collision_of_two_that_create_is_tried_again(script: Script) -> None:
    """A job could not be submitted although nobody else has its id."""
    script.refuses("put_object", CREATE, "ConditionalRequestConflict", 409)
    script.refuses("get_object", OBJECT, "NoSuchKey", 404)
    script.answers("put_object", CREATE, {"ETag": NEW})
    assert script.register.put(KEY, b"ours", expected=None) == NEW


def test_endless_collisions_are_an_error(script: Script) -> None:
    """A worker would hang in one write past its deadline."""
    for _ in range(COLLISION_ATTEMPTS - 1):
        script.refuses("put_object", REPLACE, "ConditionalRequestConflict", 409)
        script.reads(b"old", OLD)
    script.refuses("put_object", REPLACE, "ConditionalRequestConflict", 409)
    with pytest.raises(StoreUnavailable, match=r"^s3://bucket: .*then try again$"):
        script.register.put(KEY, b"ours", expected=OLD)
    assert sum(script.waited_seconds) < 2


def test_a_write_that_meets_itself_has_happened(script: Script) -> None:
    """boto3 repeats a PUT whose answer was lost; its 412 would pass for a lost lease."""
    script.refuses("put_object", REPLACE, "PreconditionFailed", 412)
    script.reads(b"ours", NEW)
    assert script.register.write(KEY, b"ours", expected=OLD) == NEW


def test_a_write_that_meets_another_has_not_happened(script: Script) -> None:
    """The loser of a race would take the winner's version for its own."""
    script.refuses("put_object", REPLACE, "PreconditionFailed", 412)
    script.reads(b"theirs", THEIRS)
    with pytest.raises(VersionConflict):
        script.register.write(KEY, b"ours", expected=OLD)


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [("EntityTooLarge", 400, StateTooLarge), ("413", 413, StateTooLarge), ("507", 507, StoreFull)],
)
def test_what_does_not_fit_is_named(
    script: Script, code: str, status: int, kind: type[Exception]
) -> None:
    """A job would be saved in vain for ever, or a full store take no delete either."""
    script.refuses("put_object", CREATE, code, status)
    with pytest.raises(kind, match=f"^s3://bucket: .*{code}"):
        script.register.put(KEY, b"ours", expected=None)


@pytest.mark.parametrize(
    ("code", "status", "advice"),
    [
        ("SlowDown", 503, "fewer requests"),
        ("AccessDenied", 403, "allow s3:GetObject, s3:PutObject"),
        ("NoSuchBucket", 404, "create the bucket or correct the name"),
        ("NotImplemented", 501, "honours If-Match"),
        ("ExpiredToken", 400, "renew the credentials"),
        ("InternalError", 500, "then try again"),
    ],
)
def test_a_refusal_says_the_way_out(script: Script, code: str, status: int, advice: str) -> None:
    """A person would have to look up S3's error codes."""
    script.refuses("get_object", OBJECT, code, status)
    with pytest.raises(StoreUnavailable, match=f"^s3://bucket: .*{code}.*; .*{advice}"):
        script.register.read(KEY)


def test_keys_go_on_over_pages(script: Script) -> None:
    """`outlast list` would end after a thousand jobs."""
    listing = {"Bucket": "bucket", "Prefix": "prefix/jobs/", "StartAfter": "prefix/jobs/a"}
    first = {"Contents": [{"Key": "prefix/jobs/b"}], "IsTruncated": True}
    script.answers("list_objects_v2", listing, first | {"NextContinuationToken": "more"})
    second = {"Contents": [{"Key": "prefix/jobs/c"}], "IsTruncated": False}
    script.answers("list_objects_v2", listing | {"ContinuationToken": "more"}, second)
    assert list(script.register.keys("jobs/", after="jobs/a")) == ["jobs/b", "jobs/c"]


def test_keys_written_long_ago_are_left_out(script: Script) -> None:
    """The daily look at every job would read all that were ever finished."""
    listing = {"Bucket": "bucket", "Prefix": "prefix/jobs/"}
    times = {"old": datetime(2026, 11, 1, tzinfo=UTC), "new": datetime(2026, 11, 3, tzinfo=UTC)}
    contents = [{"Key": f"prefix/jobs/{k}", "LastModified": time} for k, time in times.items()]
    script.answers("list_objects_v2", listing, {"Contents": contents, "IsTruncated": False})
    since = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
    assert list(script.register.keys("jobs/", since=since)) == ["jobs/new"]


def test_a_lost_answer_is_no_lost_lease(seaweedfs: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, on a real server and with boto3's own repetition: the slice would be lost."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with serving(LossyProxy(seaweedfs)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{proxy.port}")
        create_bucket("lossy")
        with closing(open_register("s3://lossy/prefix")) as register:
            first = register.write(KEY, b"first", expected=None)
            proxy.lose(b"PUT /", count=1)
            second = register.write(KEY, b"second", expected=first)
            assert proxy.lost == 1
            assert register.read(KEY) == (b"second", second)


def test_a_value_is_sent_without_a_framing(
    ministack: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A store that does not know boto3's would keep it in each record, or refuse every job."""

    def refuse_framing(request: Request) -> Answer | None:
        is_framed = "aws-chunked" in request.headers.get("content-encoding", "")
        return Answer(501) if is_framed else None

    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    create_bucket("plain")
    with between(refuse_framing, ministack.url) as url:
        behind = replace(ministack, port=int(url.rpartition(":")[2]))
        with tls_before(behind, tmp_path) as (port, authority):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{HOST}:{port}")
            monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
            with closing(open_register("s3://plain")) as register:
                version = register.put(KEY, b"value", expected=None)
                assert register.read(KEY) == (b"value", version)


@pytest.mark.parametrize("name", S3_STORES)
def test_a_missing_bucket_is_named(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who mistyped the bucket would look for a job that was lost."""
    server: Server = request.getfixturevalue(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    with (
        closing(open_register("s3://no-such-bucket")) as register,
        pytest.raises(StoreUnavailable, match=r"^s3://no-such-bucket: .*; create the bucket"),
    ):
        register.read(KEY)


def test_a_wrong_key_is_named(seaweedfs: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would look for a fault in the store instead of in the credentials."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", seaweedfs.url)
    create_bucket("guarded")
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    with (
        closing(open_register("s3://guarded")) as register,
        pytest.raises(StoreUnavailable, match=r"; check the credentials") as caught,
    ):
        register.read(KEY)
    assert "a-wrong-secret" not in str(caught.value)


@pytest.mark.usefixtures("new_aws_session")
def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person on a fresh machine would get a traceback."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with (
        closing(open_register(f"s3://{BUCKET}")) as register,
        pytest.raises(
            StoreUnavailable, match=f"^s3://{BUCKET}: .*; set AWS_PROFILE, or AWS_ACCESS"
        ),
    ):
        register.read(KEY)


@pytest.mark.usefixtures("new_aws_session")
def test_a_missing_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who mistyped AWS_PROFILE would get a traceback."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.raises(StoreUnavailable, match=r"no-such-profile.*; correct AWS_PROFILE"):
        open_register(f"s3://{BUCKET}")


@pytest.mark.parametrize("password", ["s3cret", "s3/cret"], ids=["a URL", "almost a URL"])
def test_an_endpoint_is_shown_without_its_password(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would stand in a log, or in the traceback that RunPod stores with a job."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    port = free_ports(1)[0]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:{password}@{HOST}:{port}")
    with (
        closing(open_register(f"s3://{BUCKET}")) as register,
        pytest.raises(StoreUnavailable, match=f"{port}.*; check") as caught,
    ):
        register.read(KEY)
    assert "cret" not in "".join(format_exception(caught.value))


def test_an_unreachable_store_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person would not learn that the endpoint is wrong."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    port = free_ports(1)[0]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{port}")
    with (
        closing(open_register(f"s3://{BUCKET}")) as register,
        pytest.raises(StoreUnavailable, match=f"{port}.*; check the network, the region"),
    ):
        register.write(KEY, b"first", expected=None)
