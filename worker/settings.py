"""The settings: environment variables whose names begin with OUTLAST_."""

from __future__ import annotations

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

from outlast.checkpoint.codec import MAX_STATE_BYTES
from outlast.checkpoint.fields import Platform
from outlast.checkpoint.parts import Limits
from outlast.checkpoint.registers import redacted

PREFIX = "OUTLAST_"

# Beyond 30 years the system's timers overflow.
Seconds = Annotated[float, Field(gt=0, lt=1e9)]


# `none` lifts a limit. An empty value is refused: it is mostly that of a variable which someone
# forgot to set, and must not lift a ceiling on cost.
OR_NONE = BeforeValidator(lambda value: None if value == "none" else value)


class InvalidSettings(Exception):
    """A variable is unknown or has a bad value. Correct it; the message names it."""


def _default_url() -> str:
    import platformdirs  # here, as workers on other machines have no such default

    folder = Path(platformdirs.user_data_path("outlast"))
    return f"sqlite:///{folder / 'outlast.db'}"


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Settings(BaseModel):
    """What an operator sets; each field is the variable OUTLAST_ and its name in capitals.

    `none` as a value lifts a limit that may be lifted.

    Attributes:
        store: where jobs are kept: sqlite:///path, redis://..., rediss://... or s3://bucket/prefix.
        queue: what wakes them: sqlite:///path, sqs://queue-name or the queue's https URL.
        threads: how many threads a kernel may use; default: the cores this process may use.
        memory_bytes: how much memory a kernel may allocate, which is enforced where it is isolated;
            None sets no limit.
        platform: where this worker runs, as the bill of a job names it; None: it is found out.
        prices: a file of prices that replace those which come with Outlast; None: those.
        isolate: run every kernel in a child process, which can be killed when it does not return.
        slice_seconds: how long a worker works on a job before it lets others have a turn.
        checkpoint_seconds: time between checkpoints, which bounds what a hard kill loses; None:
            it follows from the measured cost of a save, 1 s to 20 s.
        sweep_seconds: how often a worker looks for jobs that lost their message, and how
            long a job must have been silent for that.
        max_state_bytes: a kernel's state over this size fails its job.
        max_failures, max_stalls, max_slices, max_compute_seconds: guards that a new job is given;
            see `outlast.checkpoint.parts.Limits`.
        notify_secret: what webhooks are signed with: the base64 of 24 to 64 bytes, or a few of them
            with spaces between; None: there are no webhooks.
        notify_hosts: the only hosts of webhooks and names of SQS queues that may be notified, with
            commas between; None: any.
        dashboard_token: what a viewer of `outlast dashboard` must enter.
        log_level: which log lines go to standard error.
        log_format: whether a log line is text for people or one JSON object.
        metrics: "emf" prints CloudWatch's embedded metrics on standard output; None: none.
        traces: "otel" sends a span for each slice, as the OTEL_ variables say; None: none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str = Field(default_factory=_default_url)
    queue: str = Field(default_factory=_default_url)
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(default_factory=cores)
    memory_bytes: Annotated[Annotated[int, Field(ge=1)] | None, OR_NONE] = None
    platform: Platform | None = None
    prices: Path | None = None
    isolate: bool = False
    slice_seconds: Seconds = 60.0
    checkpoint_seconds: Annotated[Seconds | None, OR_NONE] = None
    sweep_seconds: Seconds = 60.0
    max_state_bytes: Annotated[int, Field(ge=1, le=MAX_STATE_BYTES)] = 64 << 20
    max_failures: Annotated[int, Field(ge=1)] = Limits().max_failures
    max_stalls: Annotated[int, Field(ge=1)] = Limits().max_stalls
    max_slices: Annotated[Annotated[int, Field(ge=1)] | None, OR_NONE] = Limits().max_slices
    max_compute_seconds: Annotated[Seconds | None, OR_NONE] = None
    notify_secret: SecretStr | None = None
    notify_hosts: Annotated[str, Field(min_length=1)] | None = None
    dashboard_token: SecretStr | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    log_format: Literal["text", "json"] = "text"
    metrics: Literal["emf"] | None = None
    traces: Literal["otel"] | None = None

    @field_validator("notify_secret")
    @classmethod
    def _is_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            from outlast.worker.notify.signing import keys_of

            keys_of(value.get_secret_value())
        return value

    @property
    def are_apart(self) -> bool:
        """Whether other machines see the store but not the queue: its messages reach nobody."""
        return not self.store.startswith("sqlite:") and self.queue.startswith("sqlite:")

    @property
    def limits(self) -> Limits:
        """The guards that a new job is given."""
        return Limits(
            max_failures=self.max_failures,
            max_stalls=self.max_stalls,
            max_slices=self.max_slices,
            max_compute_seconds=self.max_compute_seconds,
        )


def read_settings() -> Settings:
    """Return the settings that the environment holds.

    Raises:
        InvalidSettings: a variable is unknown or has a bad value.
    """
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    # In small letters, too, where somebody may have meant one of them.
    ours = {name for name in os.environ if name.upper().startswith(PREFIX)}
    unknown = sorted(ours - set(known))
    if unknown:
        raise InvalidSettings(
            f"unknown setting {unknown[0]}; the settings are: {', '.join(sorted(known))}"
        )
    try:
        return Settings.model_validate_strings({known[name]: os.environ[name] for name in ours})
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        # What belongs into OUTLAST_STORE may have been put elsewhere.
        value = "***" if "SECRET" in name else repr(redacted(os.environ.get(name, "")))
        raise InvalidSettings(f"{name}={value}: {first['msg']}") from None


def overridden(settings: Settings, **options: object) -> Settings:
    """Return `settings` with those of the `options` that were given; None is one that was not."""
    given = {name: value for name, value in options.items() if value is not None}
    return settings.model_copy(update=given)


def require_remote(settings: Settings) -> Settings:
    """Return `settings` if they name a store and a queue, for workers whose disk does not last.

    Raises:
        InvalidSettings: they do not; the default is a file.
    """
    for name in ("store", "queue"):
        if name not in settings.model_fields_set:
            raise InvalidSettings(
                f"set {PREFIX}{name.upper()}: its default is a file, which this worker would take "
                "with it when it ends"
            )
    return settings
