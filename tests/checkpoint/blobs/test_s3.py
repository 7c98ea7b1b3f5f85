"""What is sent to S3 of a chunk, and what is made of answers that no server here gives."""

from __future__ import annotations

import hashlib
import io
import os
import tracemalloc
from base64 import b64encode
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from outlast.checkpoint.blobs import open_blobs
from outlast.checkpoint.blobs.contract import CHUNK_BYTES, DamagedChunk
from outlast.checkpoint.blobs.s3 import CONFIG_OF_CHUNKS, S3Blobs
from outlast.checkpoint.errors import StateTooLarge, StoreFull, StoreUnavailable
from tests.checkpoint.blobs.conftest import chunk_of, names, put, read
from tests.checkpoint.conftest import create_bucket
from tests.checkpoint.lossy_proxy import LossyProxy
from tests.doctor.between import DENIED_BY_S3, Answer, Request, between
from tests.servers import HOST
from tests.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.checkpoint.blobs.contract import BlobStore
    from tests.servers import Server

DATA = bytes(range(256)) * 2000
CHUNK = chunk_of(DATA)
AT = {"Bucket": "bucket", "Key": "prefix/blobs/job/claim/0"}
WEEK = 7 * 86_400


@pytest.fixture
def stub() -> Iterator[tuple[S3Blobs, Stubber]]:
    """An S3 that answers by script; at the end every expected call must have come."""
    client = boto3.client("s3", config=CONFIG_OF_CHUNKS)
    with closing(S3Blobs("bucket", "/prefix/", client=client)) as blobs, Stubber(client) as stub:
        yield blobs, stub
        stub.assert_no_pending_responses()


@pytest.fixture
def behind(
    ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Request], Answer | None]], Any]:
    """Give a place in a bucket behind a server that answers some requests itself."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)

    def make(answer: Callable[[Request], Answer | None], *drop: str) -> Any:
        monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
        create_bucket("behind")
        return between(answer, ministack.url, drop=drop)

    return make


def opened(url: str, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
    """Return the place behind the server at `url`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    return open_blobs("s3://behind/prefix")


def body_of(data: bytes, length: int | None = None) -> dict[str, object]:
    """Return an answer whose body has these bytes, and should have `length`."""
    return {"Body": StreamingBody(io.BytesIO(data), length or len(data))}


def test_a_body_is_sent_whole_once_more(behind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is busy for a moment would keep the end of a chunk, or nothing."""
    failures = iter([Answer(500), Answer(503)])

    def fail(request: Request) -> Answer | None:
        return next(failures, None) if request.method == "PUT" else None

    with behind(fail) as url, closing(opened(url, monkeypatch)) as blobs:
        assert read(blobs, put(blobs, DATA)) == DATA
    assert next(failures, None) is None


def test_an_answer_that_is_lost_costs_nothing(
    seaweedfs: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that breaks would end the save, or store a chunk by half."""
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    with serving(LossyProxy(seaweedfs)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{proxy.port}")
        create_bucket("lossy")
        with closing(open_blobs("s3://lossy/blobs-of-a-test")) as blobs:
            proxy.lose(b"PUT /", count=1)
            chunk = put(blobs, DATA)
            assert proxy.lost == 1
            assert read(blobs, chunk) == DATA


def test_a_chunk_is_one_put_with_its_digest(behind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte would be hashed twice, or sent in a framing that some stores keep."""
    seen: list[Request] = []
    with behind(seen.append) as url, closing(opened(url, monkeypatch)) as blobs:
        put(blobs, DATA)
    (request,) = seen
    assert (request.method, request.path) == ("PUT", "/behind/prefix/blobs/job/claim/0")
    digest = b64encode(hashlib.sha256(DATA).digest()).decode()
    assert request.headers["x-amz-checksum-sha256"] == digest
    assert "x-amz-checksum-sha256" in request.headers["authorization"], "it is not signed"
    assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert "content-encoding" not in request.headers


def test_a_store_that_knows_no_digest_keeps_chunks(
    behind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only AWS could keep arrays."""
    drop = ("x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm", "x-amz-checksum-mode")
    with behind(lambda _: None, *drop) as url, closing(opened(url, monkeypatch)) as blobs:
        assert read(blobs, put(blobs, DATA)) == DATA


def test_what_is_damaged_on_its_way_is_refused(
    seaweedfs: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint would list a chunk that can never be read."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", seaweedfs.url)
    create_bucket("compared")
    with closing(open_blobs("s3://compared")) as blobs:
        with pytest.raises(StoreUnavailable, match=r"^s3://compared: .*BadDigest"):
            blobs.put(CHUNK, memoryview(bytes(CHUNK.size)))
        assert names(blobs) == []


def test_a_chunk_is_sent_and_read_without_a_copy(
    seaweedfs: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four threads would need 64 MiB or more beside the state, which may be all there is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", seaweedfs.url)
    create_bucket("copies")
    data = os.urandom(CHUNK_BYTES)
    chunk, memory = chunk_of(data), memoryview(bytearray(CHUNK_BYTES))
    with closing(open_blobs("s3://copies")) as blobs:
        names(blobs)  # boto3's own tables
        tracemalloc.start()
        try:
            blobs.put(chunk, memoryview(data))
            blobs.read_into(chunk, memory)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert memory == data
    assert peak < 6 << 20


def test_a_body_that_breaks_is_read_again(stub: tuple[S3Blobs, Stubber]) -> None:
    """A gigabyte would be read once more from its beginning, for one broken connection."""
    blobs, script = stub
    script.add_response("get_object", body_of(b"short", len(DATA)), AT)
    script.add_response("get_object", body_of(DATA), AT)
    assert read(blobs, CHUNK) == DATA


def test_a_body_that_always_breaks_is_no_damage(stub: tuple[S3Blobs, Stubber]) -> None:
    """A job would lose its checkpoint to a network that is down."""
    blobs, script = stub
    for _ in range(3):
        script.add_response("get_object", body_of(b"short", len(DATA)), AT)
    with pytest.raises(StoreUnavailable, match=r"^s3://bucket: .*5 read.*; check"):
        read(blobs, CHUNK)


@pytest.mark.parametrize(
    ("code", "status", "kind", "advice"),
    [
        ("AccessDenied", 403, StoreUnavailable, "allow s3:GetObject, s3:PutObject"),
        ("NoSuchBucket", 404, StoreUnavailable, "create the bucket or correct the name"),
        ("QuotaExceeded", 403, StoreFull, "give the store more room"),
        ("413", 413, StateTooLarge, "make the state smaller, or raise the limit of the store"),
    ],
)
def test_a_refusal_says_the_way_out(
    code: str, status: int, kind: type[Exception], advice: str, stub: tuple[S3Blobs, Stubber]
) -> None:
    """A person would have to look up S3's error codes."""
    blobs, script = stub
    script.add_client_error("put_object", code, ".", http_status_code=status)
    with pytest.raises(kind, match=f"^s3://bucket: .*{code}.*; {advice}[^\n]*$"):
        put(blobs, DATA)


def test_a_chunk_that_may_not_be_deleted_is_told(stub: tuple[S3Blobs, Stubber]) -> None:
    """S3 answers 200 with the refusals inside: all would be paid for and nobody know."""
    blobs, script = stub
    keys = [{"Key": f"prefix/blobs/job/claim/{number}"} for number in range(2)]
    request = {"Bucket": "bucket", "Delete": {"Objects": keys, "Quiet": True}}
    missing = keys[0] | {"Code": "NoSuchKey", "Message": "gone"}
    denied = keys[1] | {"Code": "AccessDenied", "Message": "Access Denied"}
    script.add_response("delete_objects", {"Errors": [missing, denied]}, request)
    with pytest.raises(StoreUnavailable, match=r"^s3://bucket: .*AccessDenied.*; allow s3:"):
        blobs.delete(["job/claim/0", "job/claim/1"])
    script.add_response("delete_objects", {"Errors": [missing]}, request)
    blobs.delete(["job/claim/0", "job/claim/1"])


def test_a_list_of_chunks_is_sent_with_the_old_checksum(
    behind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stores that know no other would refuse every deletion."""
    sums: list[str | None] = []

    def look(request: Request) -> None:
        if request.method == "POST":
            sums.append(request.headers.get("content-md5"))

    with behind(look) as url, closing(opened(url, monkeypatch)) as blobs:
        blobs.delete([put(blobs, b"bytes").name])
        assert names(blobs) == []
    assert len(sums) == 1
    assert sums[0]


def refuse_copies(request: Request) -> Answer | None:
    """Answer as a store that copies nothing itself."""
    return Answer(403, DENIED_BY_S3) if "x-amz-copy-source" in request.headers else None


@pytest.mark.parametrize("refuses", [False, True])
def test_a_store_copies_by_itself_where_it_can(
    refuses: bool, behind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork would send each gigabyte twice through the person's network, or fail."""
    seen: list[Request] = []

    def look(request: Request) -> Answer | None:
        seen.append(request)
        return refuse_copies(request) if refuses else None

    with behind(look) as url, closing(opened(url, monkeypatch)) as blobs:
        chunk = put(blobs, DATA)
        seen.clear()
        copy = blobs.copy(chunk, "fork/claim/0", blobs)
        expected = ["PUT", "GET", "PUT"] if refuses else ["PUT"]
        assert [request.method for request in seen] == expected
        assert read(blobs, copy) == DATA


def test_a_store_elsewhere_is_read(
    seaweedfs: Server, ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork would take what has the same name in the other store, or find nothing."""
    stores = []
    for server in (seaweedfs, ministack):
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        create_bucket("same-name")
        stores.append(open_blobs("s3://same-name"))
    source, target = stores
    with closing(source), closing(target):
        put(target, b"another one of this name")
        copy = target.copy(put(source, DATA), "fork/claim/0", source)
        assert read(target, copy) == DATA


def test_what_was_damaged_in_another_store_is_not_copied(
    stub: tuple[S3Blobs, Stubber], ministack: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork of a damaged job would look sound until its first slice."""
    source, script = stub
    script.add_response("get_object", body_of(b"other" * 10), AT)
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack.url)
    create_bucket("target")
    with closing(open_blobs("s3://target")) as target:
        with pytest.raises(DamagedChunk):
            target.copy(CHUNK, "fork/claim/0", source)
        assert names(target) == []


@pytest.mark.parametrize(("seconds", "expected"), [(0.5, 1), (90.5, 90), (1e9, WEEK)])
def test_a_link_lasts_as_long_as_s3_allows(
    seconds: float, expected: int, stub: tuple[S3Blobs, Stubber]
) -> None:
    """S3 refuses a link that is valid for no time, or for longer than a week."""
    query = parse_qs(urlsplit(stub[0].link(CHUNK, seconds)).query)
    assert query["X-Amz-Expires"] == [str(expected)]
