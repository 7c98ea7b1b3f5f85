"""A bucket of a test server, for what runs in this process and in those that it starts."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import boto3

from tests import servers

if TYPE_CHECKING:
    from tests.servers import Server

STORE = "s3://bench/prefix"


def create_bucket(server: Server) -> None:
    """Create the bucket of `STORE`, and put into the environment what finds it."""
    os.environ |= {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": servers.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": servers.SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with closing(boto3.client("s3")) as client:
        client.create_bucket(Bucket="bench")
