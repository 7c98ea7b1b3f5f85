"""Where this process runs, as far as its price depends on it.

    lambda/x86_64/1769   AWS Lambda: the processor's kind and the function's memory in MB
    runpod               RunPod serverless
    container            a container of any other kind
    local                anything else: a laptop, a server

OUTLAST_PLATFORM can name it more precisely: "runpod/A40", "spot/c7g.large".
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL = "local"

MB_PER_CORE = 1769  # AWS: "At 1,769 MB, a function has the equivalent of one vCPU"

# What Docker and Podman put into a container's root, and what Kubernetes and ECS set.
CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
CONTAINER_VARIABLES = ("KUBERNETES_SERVICE_HOST", "ECS_CONTAINER_METADATA_URI_V4")

NAMES = {"lambda": "Lambda", "runpod": "RunPod"}


def title_of(platform: str) -> str:
    """Return a platform as a person calls it: "Lambda arm64 1769 MB", "RunPod A40", "local".

    One that a person has named keeps that name, by which it has a price.
    """
    name, *rest = platform.split("/")
    if name not in NAMES:
        return platform
    if name == "lambda" and rest:
        rest[-1] += " MB"
    return " ".join([NAMES[name], *rest])


def platform_of(environment: Mapping[str, str]) -> str:
    """Return the platform of a process with these environment variables, in the words above."""
    if "AWS_LAMBDA_FUNCTION_MEMORY_SIZE" in environment:
        return f"lambda/{platform.machine()}/{environment['AWS_LAMBDA_FUNCTION_MEMORY_SIZE']}"
    if "RUNPOD_ENDPOINT_ID" in environment or "RUNPOD_WEBHOOK_GET_JOB" in environment:
        return "runpod"
    if any(name in environment for name in CONTAINER_VARIABLES):
        return "container"
    return "container" if any(file.exists() for file in CONTAINER_FILES) else LOCAL


def lambda_threads(megabytes: int) -> int:
    """Return how many threads suit a Lambda function of this memory size: one a core."""
    return max(1, round(megabytes / MB_PER_CORE))
