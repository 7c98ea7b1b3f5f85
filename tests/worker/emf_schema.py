"""What Amazon's specification of the embedded metric format demands, as a JSON schema.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from typing import Any

_METRIC: dict[str, Any] = {
    "type": "object",
    "required": ["Name"],
    "additionalProperties": False,
    "properties": {
        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
        "Unit": {"enum": ["Seconds", "Milliseconds", "Bytes", "Percent", "Count", "None"]},
        "StorageResolution": {"enum": [1, 60]},
    },
}
_DIMENSION_SET: dict[str, Any] = {
    "type": "array",
    "maxItems": 30,
    "items": {"type": "string", "minLength": 1, "maxLength": 250},
}
_DIRECTIVE: dict[str, Any] = {
    "type": "object",
    "required": ["Namespace", "Dimensions", "Metrics"],
    "additionalProperties": False,
    "properties": {
        "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
        "Dimensions": {"type": "array", "minItems": 1, "items": _DIMENSION_SET},
        "Metrics": {"type": "array", "minItems": 1, "maxItems": 100, "items": _METRIC},
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 10**12},  # milliseconds
                "CloudWatchMetrics": {"type": "array", "minItems": 1, "items": _DIRECTIVE},
            },
        }
    },
}
