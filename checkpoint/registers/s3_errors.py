"""What an operator can do about an error that boto3 reports."""

from __future__ import annotations

from botocore import exceptions as boto

CREDENTIALS = "check the credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE, …)"
SMALLER = "make the state smaller, or raise the limit of the store or of a gateway before it"
CONDITIONS = "use a store that honours If-Match and If-None-Match on PUT, as AWS S3 does"
ROOM = "give the store more room, or make some: outlast prune --older-than 30d"
ADVICE_BY_CODE = {
    "NoSuchBucket": "create the bucket or correct the name",
    "AccessDenied": "allow s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket on it",
    "AllAccessDisabled": "enable the account's access to S3",
    "InvalidAccessKeyId": CREDENTIALS,
    "SignatureDoesNotMatch": CREDENTIALS,
    "InvalidToken": CREDENTIALS,
    "ExpiredToken": "renew the credentials",
    "RequestTimeTooSkewed": "set this machine's clock",
    "SlowDown": "the store asks for fewer requests; try again later",
    "EntityTooLarge": SMALLER,
    "413": SMALLER,
    "NotImplemented": CONDITIONS,
    "501": CONDITIONS,
    "QuotaExceeded": ROOM,
    "XMinioStorageFull": ROOM,
    "507": ROOM,
}


def error_code(error: Exception) -> str:
    """Return S3's own code of the error; "": it has none."""
    return (
        str(error.response["Error"].get("Code", "")) if isinstance(error, boto.ClientError) else ""
    )


def advice_for(error: boto.ClientError | boto.BotoCoreError) -> str:
    """Return what to do, as one short clause."""
    if isinstance(error, boto.ClientError):
        return ADVICE_BY_CODE.get(error_code(error), "see the store's log, then try again")
    if isinstance(
        error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.ProfileNotFound
    ):
        return CREDENTIALS
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return "check the network, the region and AWS_ENDPOINT_URL"
    return "check boto3's settings"
