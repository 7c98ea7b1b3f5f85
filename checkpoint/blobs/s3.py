"""Chunks as objects in an S3 bucket."""

from __future__ import annotations

from base64 import b64encode
from contextlib import closing, suppress
from functools import cached_property
from hashlib import md5
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from urllib3.exceptions import HTTPError

from outlast.checkpoint.blobs.contract import BlobStore, Chunk, DamagedChunk, Found
from outlast.checkpoint.s3_bucket import CONFIG, Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client

CHUNKS = "blobs/"  # below the prefix, where the jobs of a store may be, too
CONFIG_OF_CHUNKS = CONFIG.merge(
    Config(
        # The digest is sent as a signed header, and compared when a chunk is read: more would hash
        # each byte twice.
        s3={"payload_signing_enabled": False},
        response_checksum_validation="when_required",
        signature_version="s3v4",  # Else links have a form that regions and keys of KMS refuse.
    )
)
DELETE_KEYS = 1000  # S3 takes no more at once
LINK_SECONDS = 7 * 86_400  # nor a link that is longer valid
READ_ATTEMPTS = 3  # of a body whose connection breaks: botocore repeats what comes before it only


class S3Blobs(BlobStore):
    """Chunks in one bucket, for any number of workers.

    Their keys begin with `prefix`, blobs/ and the `part` of `open_blobs`. A chunk is one PUT, never
    a multipart upload. A store that knows `ChecksumSHA256`, as AWS does, compares what came; of
    others a chunk is compared when it is read.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        part: Callable[[], str] = lambda: "",
        client: S3Client | None = None,
    ) -> None:
        self._part = part
        self._bucket = Bucket(bucket, prefix, client=client, config=CONFIG_OF_CHUNKS)
        self._client = self._bucket.client
        self._client.meta.events.register("before-call.s3.DeleteObjects", _add_md5)

    def put(self, chunk: Chunk, data: memoryview) -> None:
        """Write a chunk as one object; see `BlobStore.put`."""
        with self._bucket.translated_errors():
            body: Any = _Body(data)
            digest = b64encode(bytes.fromhex(chunk.digest)).decode()
            self._client.put_object(**self.at(chunk.name), Body=body, ChecksumSHA256=digest)

    def read_into(self, chunk: Chunk, memory: memoryview) -> None:
        """Read the object; see `BlobStore.read_into`."""
        with self._bucket.translated_errors():
            for attempt in range(1, READ_ATTEMPTS + 1):
                try:
                    self._read(chunk, memory)
                except BotoCoreError:
                    if attempt == READ_ATTEMPTS:
                        raise
                except HTTPError as error:  # of the connection, in the middle of a body
                    if attempt == READ_ATTEMPTS:
                        raise HTTPClientError(error=error) from error
                else:
                    return

    def _read(self, chunk: Chunk, memory: memoryview) -> None:
        try:
            answer = self._client.get_object(**self.at(chunk.name))
        except self._client.exceptions.NoSuchKey:
            raise DamagedChunk(f"{self._url(chunk.name)} is missing") from None
        body: Any = answer["Body"]
        with closing(body):
            if not chunk.fills(memory, body):
                raise DamagedChunk(f"{self._url(chunk.name)} is not what was written")

    def delete(self, names: Iterable[str]) -> None:
        """Remove the objects, a thousand at a time; see `BlobStore.delete`."""
        left = iter(names)
        while keys := [self._key(name) for name in islice(left, DELETE_KEYS)]:
            with self._bucket.translated_errors():
                self._bucket.delete(keys)

    def names(self, prefix: str = "") -> Iterator[Found]:
        """Yield the objects, read a thousand at a time; see `BlobStore.names`."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.name, Prefix=self._key(prefix)
        )
        start = self._key("")
        with self._bucket.translated_errors():
            for page in pages:
                for entry in page.get("Contents", []):
                    name = entry["Key"].removeprefix(start)
                    yield Found(name, entry["LastModified"].timestamp())

    def link(self, chunk: Chunk, seconds: float) -> str:
        """Return a URL that these credentials have signed; see `BlobStore.link`."""
        with self._bucket.translated_errors():
            return self._client.generate_presigned_url(
                "get_object",
                Params=self.at(chunk.name),
                ExpiresIn=max(1, min(int(seconds), LINK_SECONDS)),
            )

    def copy(self, chunk: Chunk, name: str, source: BlobStore) -> Chunk:
        """Have the store copy the object if it has both, else send it; see `BlobStore.copy`."""
        if isinstance(source, S3Blobs) and source.endpoint == self.endpoint:
            # What is refused here is read and sent, which may work, or tell what is wrong.
            with suppress(ClientError, BotoCoreError):
                self._client.copy_object(**self.at(name), CopySource=source.at(chunk.name))
                return chunk._replace(name=name)
        return super().copy(chunk, name, source)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def endpoint(self) -> str:
        """The URL of the store that has the bucket."""
        return self._client.meta.endpoint_url

    def _key(self, name: str) -> str:
        return self._start + name

    @cached_property
    def _start(self) -> str:
        return f"{self._bucket.prefix}{CHUNKS}{self._part()}"

    def at(self, name: str) -> Any:
        """Return where a chunk's object is, as botocore's requests name it."""
        return {"Bucket": self._bucket.name, "Key": self._key(name)}

    def _url(self, name: str) -> str:
        return f"s3://{self._bucket.name}/{self._key(name)}"


class _Body:
    """Memory as the open file that botocore wants; it is read in views, and never copied."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int = -1) -> memoryview:
        start = self._at
        self._at = len(self._data) if size < 0 else min(start + size, len(self._data))
        return self._data[start : self._at]

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place: botocore does to learn the length, and before it sends once more."""
        self._at = (0, self._at, len(self._data))[whence] + offset
        return self._at


def _add_md5(params: dict[str, Any], **_: object) -> None:
    """Send the old checksum of a list of keys beside botocore's, as some stores know no other."""
    digest = md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = b64encode(digest).decode()
