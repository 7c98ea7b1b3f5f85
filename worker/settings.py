"""The settings: environment variables whose names begin with OUTLAST_."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)

from outlast.checkpoint.blobs import default_blobs
from outlast.checkpoint.fields import Platform
from outlast.checkpoint.packed import MAX_STATE_BYTES
from outlast.checkpoint.record_parts import Limits
from outlast.checkpoint.safe_text import first_error, redacted
from outlast.worker.default_urls import default_queue, default_store

PREFIX = "OUTLAST_"

# Beyond 30 years the system's timers overflow.
Seconds = Annotated[float, Field(gt=0, lt=1e9)]

# With the characters that CloudWatch takes in the name of a namespace.
METRICS = r"\Aemf(:[A-Za-z0-9._/#-]+)?\z"

# An empty value is refused: most often someone forgot to set the variable, and that must not lift a
# ceiling on cost.
OR_NONE = BeforeValidator(lambda value: None if value == "none" else value)


def _not_empty(value: object) -> object:
    if value == "":
        raise ValueError("it is empty: give a value, or unset the variable")
    return value


NOT_EMPTY = BeforeValidator(_not_empty)


class InvalidSettings(Exception):
    """A variable is unknown or has a bad value. Correct it; the message names it."""


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# The specification's limits for a secret, before base64.
SECRET_BYTES = range(24, 65)


class Settings(BaseModel):
    """What an operator sets: each field is the variable OUTLAST_ and its name in capitals.

    docs/settings.md is made of the descriptions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str = Field(
        default_factory=default_store,
        description="where jobs are kept: `sqlite:///path`, `redis://...`, `redis+cluster://...`, "
        "`redis+sentinel://.../master`, each of these with TLS as `rediss...`, or "
        "`s3://bucket/prefix`; by default a file in your data folder",
    )
    queue: str = Field(
        default_factory=lambda fields: default_queue(fields["store"]),
        description="what wakes jobs: `sqlite:///path`, Redis as for the store, `sqs://queue-name` "
        "or the queue's https URL; by default the store's file or server, and for a bucket a file "
        "in your data folder that is named after it. Redis may have several queues: "
        "`redis://host:6379/0/name`",
    )
    blobs: Annotated[str, Field(min_length=1)] | None = Field(
        default_factory=lambda fields: default_blobs(fields["store"]),
        description="where the arrays of jobs are kept: `s3://bucket/prefix` or a folder, in which "
        "each store has a part of its own; by default a bucket keeps them beside its jobs, a file "
        "in a folder beside it, and Redis has none",
    )
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(
        default_factory=cores,
        description="how many threads a kernel may use; by default the cores of this process",
    )
    memory_bytes: Annotated[Annotated[int, Field(ge=1)] | None, OR_NONE] = Field(
        default=None,
        description="how much memory a kernel may allocate, enforced if it is isolated; `none` "
        "sets no limit",
    )
    platform: Platform | None = Field(
        default=None,
        description="where this worker runs, as the bill of a job names it: `runpod/A40`; if not "
        "set, the worker detects it",
    )
    prices: Annotated[Path, NOT_EMPTY] | None = Field(
        default=None,
        description="a file of prices that replace those which come with Outlast: "
        "[what a job costs](cost.md)",
    )
    isolate: bool = Field(
        default=False,
        description="whether every kernel runs in a child process, which can be killed when it "
        "does not return",
    )
    slice_seconds: Seconds = Field(
        default=60.0,
        description="how long a worker works on a job before other jobs get a turn; longer for a "
        "job that did not advance",
    )
    checkpoint_seconds: Annotated[Seconds | None, OR_NONE] = Field(
        default=None,
        description="the time between checkpoints, which bounds what a hard kill loses; `none`: 1 "
        "to 20 seconds, from the measured cost of a save",
    )
    sweep_seconds: Seconds = Field(
        default=60.0,
        description="how often one of the workers looks for jobs that lost their message, and how "
        "long such a job must have been silent",
    )
    stop_seconds: Seconds = Field(
        default=8.0,
        description="how long `outlast worker` and `outlast run` may take from a stop signal to "
        "their end; set it below the time after which the platform kills",
    )
    stop_file: Annotated[Path, NOT_EMPTY] | None = Field(
        default=None,
        description="a file: while it is there `outlast worker` stops, as on SIGTERM: "
        "[machines that are taken away](preemption.md)",
    )
    spot: Literal["ec2"] | None = Field(
        default=None,
        description="`ec2`: `outlast worker` asks the metadata of its EC2 instance for the notice "
        "that it is taken away, and stops on it, as on SIGTERM",
    )
    max_state_bytes: Annotated[int, Field(ge=1, le=MAX_STATE_BYTES)] = Field(
        default=64 << 20, description="a state whose JSON is larger fails its job"
    )
    max_blob_bytes: Annotated[int, Field(ge=1)] = Field(
        default=64 << 30, description="a state or result with more bytes of arrays fails its job"
    )
    max_failures: Annotated[int, Field(ge=1)] = Field(
        default=Limits().max_failures,
        description="how many errors in a row without progress fail a job; for new jobs",
    )
    max_stalls: Annotated[int, Field(ge=1)] = Field(
        default=Limits().max_stalls,
        description="how many slices in a row without progress fail a job; for new jobs",
    )
    max_slices: Annotated[Annotated[int, Field(ge=1)] | None, OR_NONE] = Field(
        default=Limits().max_slices,
        description="the ceiling on the slices of a job; `none` sets none; for new jobs",
    )
    max_compute_seconds: Annotated[Seconds | None, OR_NONE] = Field(
        default=None,
        description="the ceiling on the compute time of a job; `none` sets none; for new jobs",
    )
    notify_secret: SecretStr | None = Field(
        default=None,
        description="what webhooks are signed with: the base64 of 24 to 64 bytes, as of "
        "`openssl rand -base64 32`, or several with spaces between; without it there are none",
    )
    notify_hosts: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="the only hosts of webhooks and names of SQS queues that may be notified, with "
        "commas between; without it, any host may",
    )
    dashboard_token: Annotated[SecretStr, NOT_EMPTY] | None = Field(
        default=None, description="what a viewer of `outlast dashboard` must enter"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING",
        description="the lowest level of log lines on standard error: `DEBUG`, `INFO`, `WARNING` "
        "or `ERROR`; a worker logs from `INFO` on unless it is set",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="a worker's log: `text` for people, `json` for an object a line"
    )
    metrics: Annotated[str, Field(pattern=METRICS)] | None = Field(
        default=None,
        description="`emf` prints CloudWatch's embedded metrics, each a JSON line on standard "
        "output, in the namespace `Outlast`; `emf:NAME` in another one",
    )
    traces: Literal["otel"] | None = Field(
        default=None,
        description="`otel` sends a span for each slice, by OpenTelemetry's OTEL_ variables; it "
        "needs `outlast[otel]`",
    )

    @field_validator("notify_secret")
    @classmethod
    def _is_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _keys_of(value.get_secret_value())
        return value

    @property
    def notify_keys(self) -> list[bytes]:
        """The keys in `notify_secret`: several while it is replaced, none where there is none."""
        secret = self.notify_secret
        return _keys_of(secret.get_secret_value()) if secret else []

    @property
    def are_apart(self) -> bool:
        """Whether other machines see the store but not the queue: no message reaches them."""
        return not self.store.startswith("sqlite:") and self.queue.startswith("sqlite:")

    @property
    def limits(self) -> Limits:
        """The limits of a new job."""
        return Limits(
            max_failures=self.max_failures,
            max_stalls=self.max_stalls,
            max_slices=self.max_slices,
            max_compute_seconds=self.max_compute_seconds,
        )


def read_settings() -> Settings:
    """Return the settings in the environment.

    Raises:
        InvalidSettings: a variable is unknown or has a bad value.
    """
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    # A name in small letters is most likely a slip.
    ours = {name for name in os.environ if name.upper().startswith(PREFIX)}
    unknown = sorted(ours - set(known))
    if unknown:
        raise InvalidSettings(
            f"unknown setting {unknown[0]}; {_nearest(unknown[0], sorted(known))}"
        )
    try:
        return Settings.model_validate_strings({known[name]: os.environ[name] for name in ours})
    except ValidationError as error:
        field, _, reason = first_error(error).partition(": ")
        name = PREFIX + field.upper()
        # Someone may have put a URL with a password into any of them.
        value = "***" if "SECRET" in name else repr(redacted(os.environ.get(name, "")))
        raise InvalidSettings(f"{name}={value}: {reason}") from None


def _nearest(name: str, known: list[str]) -> str:
    """Return which of the `known` names was meant, or all where that is not clear."""
    from difflib import get_close_matches

    ends = [each.removeprefix(PREFIX) for each in known]
    near = get_close_matches(name.upper().removeprefix(PREFIX), ends, n=1, cutoff=0.75)
    return f"did you mean {PREFIX}{near[0]}?" if near else f"the settings are: {', '.join(known)}"


def overridden(settings: Settings, **options: object) -> Settings:
    """Return `settings` with the `options` in place of their values; None leaves a value.

    Where no queue is set, a new store brings its own.
    """
    changes = {name: value for name, value in options.items() if value is not None}
    return Settings(**settings.model_dump(exclude_unset=True) | changes)


def require_remote(settings: Settings) -> Settings:
    """Return `settings` if no default is a file: the disk of such a worker does not last.

    Raises:
        InvalidSettings: the store or the queue is not set, and its default is a file.
    """
    for name in ("store", "queue"):
        is_file = getattr(settings, name).startswith("sqlite:")
        if is_file and name not in settings.model_fields_set:
            raise InvalidSettings(
                f"set {PREFIX}{name.upper()}: its default is a file, which this worker would take "
                "with it when it ends"
            )
    return settings


def _keys_of(secret: str) -> list[bytes]:
    """Return the keys in OUTLAST_NOTIFY_SECRET.

    Each is the base64 of 24 to 64 bytes, with or without `whsec_` before it; spaces separate them.

    Raises:
        ValueError: the secret has another form; the message does not quote it.
    """
    keys = []
    for word in secret.split():
        try:
            key = base64.b64decode(word.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if len(key) not in SECRET_BYTES:
            raise ValueError("give the base64 of 24 to 64 bytes: `openssl rand -base64 32`")
        keys.append(key)
    if not keys:
        raise ValueError("it is empty")
    return keys
