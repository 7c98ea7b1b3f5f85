"""Values as objects in an S3 bucket, each replaced by a conditional PUT."""

from __future__ import annotations

import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from hashlib import md5
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from outlast.checkpoint.aws_client import error_code
from outlast.checkpoint.errors import VersionConflict
from outlast.checkpoint.register import Register, Stored
from outlast.checkpoint.s3_bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        GetObjectOutputTypeDef,
        ListObjectsV2RequestPaginateTypeDef,
        PutObjectRequestTypeDef,
    )

T = TypeVar("T")

# S3 answers 409 when two conditional writes collide, perhaps to both.
COLLISION = "ConditionalRequestConflict"
COLLISION_ATTEMPTS = 6
COLLISION_WAIT_SECONDS = 0.05  # doubled after each attempt: 1.55 s in all
PEEK_THREADS = 10  # as many connections as a client of botocore keeps
# The condition does not hold. AWS answers If-Match with 404 where the key is gone.
CONFLICTS = {"PreconditionFailed", "412", "NoSuchKey"}


class S3Register(Register):
    """A register in one bucket, for any number of workers; its keys begin with `prefix`.

    The version is the object's ETag, a hash of its bytes, which is why no two values may be the
    same. The store must honour If-Match and If-None-Match on PUT and If-Match on DELETE, as AWS
    does; if it ignored them, two workers could overwrite each other. A value is one PUT, never a
    multipart upload. A read must return the last write.

    `keys` has the store's own order: by bytes on AWS. SeaweedFS sorts folder by folder: there `a/b`
    comes before `a-b`, and `after` follows that order.

    `sleep` waits between attempts.
    """

    forgets_seconds = 0.0

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        client: S3Client | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._bucket = Bucket(bucket, prefix, client=client)
        self._client = self._bucket.client
        self._sleep = sleep

    def read(self, key: str) -> Stored | None:
        """Return the current value and its version; see `Register.read`."""
        with self._translate_errors():
            try:
                answer = self._client.get_object(
                    Bucket=self._bucket.name, Key=self._bucket.prefix + key
                )
            except self._client.exceptions.NoSuchKey:
                return None
            self._see_time(answer)
            return Stored(answer["Body"].read(), answer["ETag"])

    def _see_time(self, answer: GetObjectOutputTypeDef) -> None:
        if self.clock.is_due:
            with suppress(KeyError, ValueError):  # an answer without a time, or with another form
                date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
                self.clock.saw(parsedate_to_datetime(date).timestamp())

    def put(self, key: str, value: bytes, *, expected: str | None) -> str:
        """Make one attempt to replace the value, more if writes collide; see `Register.put`."""
        request: PutObjectRequestTypeDef = {
            "Bucket": self._bucket.name,
            "Key": self._bucket.prefix + key,
            "Body": value,
            # Without it a store may keep what came before a connection broke.
            "ContentMD5": b64encode(md5(value, usedforsecurity=False).digest()).decode(),
        }
        if expected is None:
            request["IfNoneMatch"] = "*"
        else:
            request["IfMatch"] = expected
        with self._translate_errors(key):
            return self._repeated(
                lambda: self._client.put_object(**request)["ETag"], key, expected=expected
            )

    def delete(self, key: str, *, expected: str) -> None:
        """Remove the value; see `Register.delete`.

        Where the answer is lost and botocore asks again, the key is gone, a VersionConflict.
        """
        name = self._bucket.prefix + key
        with self._translate_errors(key):
            self._repeated(
                lambda: self._client.delete_object(
                    Bucket=self._bucket.name, Key=name, IfMatch=expected
                ),
                key,
                expected=expected,
            )

    def remove(self, keys: Sequence[str]) -> None:
        """Remove these values in one request; see `Register.remove`."""
        with self._translate_errors():
            self._bucket.delete([self._bucket.prefix + key for key in keys])

    def keys(self, prefix: str, *, after: str = "", since: float = 0.0) -> Iterator[str]:
        """Yield keys in order, read a thousand at a time; see the class for SeaweedFS's order."""
        request: ListObjectsV2RequestPaginateTypeDef = {
            "Bucket": self._bucket.name,
            "Prefix": self._bucket.prefix + prefix,
        }
        if after:
            request["StartAfter"] = self._bucket.prefix + after
        pages = self._client.get_paginator("list_objects_v2").paginate(**request)
        with self._translate_errors():
            for page in pages:
                entries = page.get("Contents", [])
                if since:
                    entries = [x for x in entries if x["LastModified"].timestamp() >= since]
                yield from (entry["Key"].removeprefix(self._bucket.prefix) for entry in entries)

    def peek(self, keys: Sequence[str], limit_bytes: int) -> list[bytes | None]:
        """Return the values' first bytes, several at a time; see `Register.peek`."""
        with self._translate_errors(), ThreadPoolExecutor(PEEK_THREADS) as pool:
            return list(pool.map(lambda key: self._start(key, limit_bytes), keys))

    def _start(self, key: str, limit_bytes: int) -> bytes | None:
        try:
            answer = self._client.get_object(
                Bucket=self._bucket.name,
                Key=self._bucket.prefix + key,
                Range=f"bytes=0-{limit_bytes - 1}",
            )
        except self._client.exceptions.NoSuchKey:
            return None
        except ClientError as error:
            if error_code(error) == "InvalidRange":  # An empty object has no first byte.
                return b""
            raise
        return answer["Body"].read()

    def close(self) -> None:
        """Close the connections; the register cannot be used again."""
        self._client.close()

    def _repeated(self, call: Callable[[], T], key: str, *, expected: str | None) -> T:
        """Call again after each collision, while the version is still the expected one."""
        wait_seconds = COLLISION_WAIT_SECONDS
        for _ in range(COLLISION_ATTEMPTS - 1):
            try:
                return call()
            except ClientError as error:
                if error_code(error) != COLLISION:
                    raise
            self._sleep(wait_seconds)
            wait_seconds *= 2
            current = self.read(key)
            if (current and current.version) != expected:
                raise VersionConflict(self._conflict(key))
        return call()

    def _conflict(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{self._bucket.prefix}{key} was written by someone else"

    @contextmanager
    def _translate_errors(self, key: str | None = None) -> Iterator[None]:
        """Turn botocore's errors into Outlast's; a `key` means that a conflict is possible."""
        with self._bucket.translated_errors():
            try:
                yield
            except ClientError as error:
                if key is not None and error_code(error) in CONFLICTS:
                    raise VersionConflict(self._conflict(key)) from error
                raise
