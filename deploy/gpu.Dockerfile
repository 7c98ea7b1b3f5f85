# A RunPod serverless worker for kernels that use a GPU: torch with CUDA, and the example train-text.
#
#   docker build -f deploy/gpu.Dockerfile -t outlast-gpu .
#   docker run --gpus all outlast-gpu outlast worker      # a plain worker
#
# CUDA comes with torch's wheels; of the machine it needs the driver alone, which the runtime for
# containers of NVIDIA brings in.

ARG PYTHON_IMAGE=python:3.13.16-slim-trixie

# ---- From here to the next line of dashes the four Dockerfiles are the same, so that Docker builds
# ---- it once for all that have one PYTHON_IMAGE; tests/deploy/test_dockerfiles.py compares them.
# What `outlast warmup` compiles is kept where every user of the container can read it. pydantic need
# not look through all packages for plugins, of which there are none.
FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/outlast/bin:${PATH} \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/opt/outlast/compiled \
    PYDANTIC_DISABLE_PLUGINS=__all__

# Machine code made on one CPU serves on another only if both are told to be the same: the oldest
# that the image may meet. x86-64-v3 has AVX2, as all x86 of Lambda have and all that carry today's
# GPUs; Neoverse N1 is Graviton2. A CPU older than that ends with SIGILL. Empty features: those of
# the named CPU, not those found.
FROM base AS base-amd64
ENV NUMBA_CPU_NAME=x86-64-v3 NUMBA_CPU_FEATURES=
FROM base AS base-arm64
ENV NUMBA_CPU_NAME=neoverse-n1 NUMBA_CPU_FEATURES=

FROM base-${TARGETARCH} AS build
WORKDIR /src
RUN python3 -m venv /opt/outlast && python3 -m venv /opt/build
COPY deploy/requirements.txt deploy/requirements-build.txt deploy/
# Only wheels with a known hash: a source package would run whatever builds it.
ENV PIP_NO_CACHE_DIR=1 PIP_NO_DEPS=1
RUN pip install --require-hashes --only-binary :all: -r deploy/requirements.txt \
 && /opt/build/bin/pip install --require-hashes --only-binary :all: -r deploy/requirements-build.txt \
 && rm -rf /opt/outlast/lib/python3*/site-packages/numba/tests
COPY . .
RUN /opt/build/bin/pip wheel --no-build-isolation --wheel-dir /wheels . \
 && pip install /wheels/*.whl && outlast warmup
# ---- The end of what is the same.

FROM build AS with-torch
RUN pip install --require-hashes --only-binary :all: -r deploy/requirements-runpod.txt
RUN pip install --require-hashes --only-binary :all: -r deploy/requirements-gpu.txt
RUN /opt/build/bin/pip wheel --no-build-isolation --wheel-dir /wheels examples/train \
 && pip install /wheels/train_text-*.whl

FROM base-${TARGETARCH}
# Not pinned: Debian's mirrors have the newest build alone, which apt checks by Debian's signature.
RUN apt-get update && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/*
COPY --from=with-torch /opt/outlast /opt/outlast
# The driver is to give its compute part and nvidia-smi to the container, and no graphics. And cuBLAS
# is to sum in one order, as deterministic kernels need.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    CUBLAS_WORKSPACE_CONFIG=:4096:8
USER 10001:10001
# The first process inherits what kernels leave behind, and must reap it; a worker does not. SIGTERM
# goes on to the worker alone, and its exit code comes back. -s: also where this is not the first.
ENTRYPOINT ["/usr/bin/tini", "-s", "--"]
CMD ["python", "-m", "outlast.worker.runpod_handler"]
