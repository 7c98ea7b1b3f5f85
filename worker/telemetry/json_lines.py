"""Log records as JSON, one object a line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from outlast.worker.telemetry.events import EVENTS
from outlast.worker.telemetry.kernel_lines import Source, is_of_kernel


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object, with the names of Lambda's own JSON logs.

    It has "timestamp" (UTC, RFC 3339), "level", "logger" and "message"; for an event also "event"
    and its fields; for a kernel's line those of its `Source`; "requestId" on Lambda; "traceback" if
    the record has one.
    """

    def __init__(self, *, end: str = "") -> None:
        """Append `end` to each object."""
        super().__init__()
        self._end = end

    def format(self, record: logging.LogRecord) -> str:
        """Return the object as JSON text without line breaks."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        values: dict[str, Any] = {
            "timestamp": at.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (name := getattr(record, "event", None)) in EVENTS:
            values["event"] = name
            values |= {field: getattr(record, field, None) for field in EVENTS[name].fields}
        elif is_of_kernel(record):
            values |= {field: getattr(record, field) for field in Source._fields}
        if request_id := getattr(record, "aws_request_id", None):
            values["requestId"] = request_id
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        elif record.exc_text:  # from another process
            values["traceback"] = record.exc_text
        return json.dumps(values, default=str) + self._end
