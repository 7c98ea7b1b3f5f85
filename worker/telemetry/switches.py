"""What is made of the events of `outlast.worker.telemetry.events`: log lines, metrics and traces.

Each is a handler of the logger "outlast", or a formatter, that is there only where it was switched
on: what is off is not imported, and costs nothing.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outlast.worker.settings import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outlast.worker.settings import Settings
    from outlast.worker.telemetry.sink import Sink

METRICS_HOST = "127.0.0.1"


@contextmanager
def switched_on(
    settings: Settings, *, metrics_port: int | None = None, metrics_host: str = METRICS_HOST
) -> Iterator[None]:
    """Give the events to what `settings` want, and serve metrics to Prometheus on a port.

    At the end of the block what is still to be sent is sent, and the port is closed.

    Raises:
        InvalidSettings: a package is missing, or the port is taken; the message says what to do.
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
            sink.stop()


def switch_on(
    settings: Settings, *, metrics_port: int | None = None, metrics_host: str = METRICS_HOST
) -> list[Sink]:
    """Do as `switched_on` does, for good; return the handlers."""
    sinks = list(_sinks(settings, metrics_port, metrics_host))
    log = logging.getLogger("outlast")
    if sinks:
        # The sinks see more than the log is to show.
        shown = log.getEffectiveLevel()
        for handler in log.handlers or logging.getLogger().handlers:
            handler.addFilter(
                lambda record: record.levelno >= shown or not record.name.startswith("outlast")
            )
        log.setLevel(min(shown, *(sink.level for sink in sinks)))
    for sink in sinks:
        log.addHandler(sink)
    return sinks


def log_on_platform(settings: Settings) -> None:
    """Set up log and telemetry where the platform has given the root logger its handlers.

    The default level is INFO. Where Lambda itself is set to JSON its lines are left as they are:
    they have the fields of the events, too.
    """
    level = settings.log_level if "log_level" in settings.model_fields_set else "INFO"
    logging.getLogger("outlast").setLevel(level)
    if settings.log_format == "json" and os.environ.get("AWS_LAMBDA_LOG_FORMAT") != "JSON":
        from outlast.worker.telemetry.json_lines import JsonLines

        for handler in logging.getLogger().handlers:
            # Lambda's handler is none that ends its lines.
            end = "" if isinstance(handler, logging.StreamHandler) else "\n"
            handler.setFormatter(JsonLines(end=end))
    switch_on(settings)


def _sinks(settings: Settings, metrics_port: int | None, metrics_host: str) -> Iterator[Sink]:
    if settings.metrics == "emf":
        from outlast.worker.telemetry.emf import EmfHandler

        yield EmfHandler()
    if metrics_port is not None:
        with _extra("metrics", "--metrics-port"):
            from outlast.worker.telemetry.prometheus import PrometheusHandler
        yield PrometheusHandler(metrics_host, metrics_port)
    if settings.traces == "otel":
        with _extra("otel", "OUTLAST_TRACES=otel"):
            from outlast.worker.telemetry.spans import SpanHandler, exporting
        yield SpanHandler(exporting(os.environ), queue=settings.queue, environment=os.environ)


@contextmanager
def _extra(name: str, wanted_by: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise InvalidSettings(
            f"{wanted_by} needs a package that is not installed ({error.name}): "
            f"pip install 'outlast[{name}]'"
        ) from error
