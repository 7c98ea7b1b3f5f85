"""Switches on what the settings ask for: log lines, metrics and traces made of the events.

Each is a handler of the logger "outlast", or a formatter. One that is off is not imported, and
costs nothing.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.kernel.extras import how_to_install
from outlast.worker.settings import InvalidSettings
from outlast.worker.telemetry.kernel_lines import KernelText, hear_kernels, not_hearing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outlast.worker.settings import Settings
    from outlast.worker.telemetry.sink import Sink

METRICS_HOST = "127.0.0.1"
FLUSH_SECONDS = 30.0


@contextmanager
def switched_on(
    settings: Settings,
    *,
    metrics_port: int | None = None,
    metrics_host: str = METRICS_HOST,
    flush_seconds: Callable[[], float] = lambda: FLUSH_SECONDS,
) -> Iterator[None]:
    """Make metrics and traces as `settings` say; a `metrics_port` serves metrics to Prometheus.

    At the end of the block all that is not sent yet is sent, for as long as `flush_seconds` allows
    then, and the port is closed.

    Raises:
        InvalidSettings: a package is missing, or the port is in use; the message has the way out.
    """
    log = logging.getLogger("outlast")
    level = log.level
    sinks = switch_on(settings, metrics_port=metrics_port, metrics_host=metrics_host)
    try:
        yield
    finally:
        log.setLevel(level)
        for sink in sinks:
            log.removeHandler(sink)
            sink.stop(flush_seconds())


def switch_on(
    settings: Settings, *, metrics_port: int | None = None, metrics_host: str = METRICS_HOST
) -> list[Sink]:
    """Do the same as `switched_on` for the rest of the process; return the handlers."""
    sinks = list(_sinks(settings, metrics_port, metrics_host))
    log = logging.getLogger("outlast")
    if sinks:
        # The sinks need levels that the log does not show.
        level = log.getEffectiveLevel()
        for handler in log.handlers or logging.getLogger().handlers:
            handler.addFilter(
                lambda record: record.levelno >= level or not record.name.startswith("outlast")
            )
        log.setLevel(min(level, *(sink.level for sink in sinks)))
    for sink in sinks:
        log.addHandler(sink)
    return sinks


def log_on_platform(settings: Settings) -> None:
    """Set up log and telemetry on a platform that has set the root logger's handlers.

    The default level is INFO. Where Lambda itself logs JSON, its lines stay as they are: they have
    the fields of the events, too.
    """
    level = settings.log_level if "log_level" in settings.model_fields_set else "INFO"
    logging.getLogger("outlast").setLevel(level)
    handlers = logging.getLogger().handlers
    for handler in handlers:
        # Lambda's handler does not end its lines, and looks for standard output at each.
        end = "" if isinstance(handler, logging.StreamHandler) else "\n"
        handler.handle = not_hearing(handler.handle)  # type: ignore[method-assign, assignment]
        if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
            continue
        if settings.log_format == "json":
            from outlast.worker.telemetry.json_lines import JsonLines

            handler.setFormatter(JsonLines(end=end))
        else:
            handler.setFormatter(KernelText(handler.formatter or logging.Formatter()))
    hear_kernels(handlers, level)
    switch_on(settings)


def _sinks(settings: Settings, metrics_port: int | None, metrics_host: str) -> Iterator[Sink]:
    if settings.metrics is not None:
        from outlast.worker.telemetry.emf import NAMESPACE, EmfHandler

        yield EmfHandler(settings.metrics.partition(":")[2] or NAMESPACE)
    if metrics_port is not None:
        with _extra("metrics", "--metrics-port"):
            from outlast.worker.telemetry.prometheus import PrometheusHandler
        yield PrometheusHandler(metrics_host, metrics_port)
    if settings.traces == "otel":
        with _extra("otel", "OUTLAST_TRACES=otel"):
            from outlast.worker.telemetry.spans import SpanHandler, make_processor
        yield SpanHandler(make_processor(os.environ), queue=settings.queue, environment=os.environ)


@contextmanager
def _extra(name: str, option: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise InvalidSettings(
            f"{option} needs a package that is not installed ({error.name}): {how_to_install(name)}"
        ) from error
