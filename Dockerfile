# Two images of one job: `gpu` (the default) trains; `cpu` is for smoke runs, `check`, `publish` and `evaluate`.
#
# Both are built in this order: system, locked packages, sample, code. A changed lock rebuilds the packages, changed code
# only one small layer. Installers and compilers stay in the build stages.
#
# hadolint global ignore=DL3008
# DL3008: system packages follow the base release for fixes; what affects results is in the locks.

ARG BASE_IMAGE=docker.io/nvidia/cuda:13.0.1-base-ubuntu24.04
ARG BASE_DIGEST=sha256:f8ef28f579ea42a44b415d2c5d46f788e6a9b395c6c83f2929416e1fc192c143
ARG CPU_BASE_IMAGE=docker.io/library/debian:bookworm-20251229-slim
ARG CPU_BASE_DIGEST=sha256:d5d3f9c23164ea16f31852f95bd5959aad1c5e854332fe00f7b3a20fcc9f635c


# ---- cpu: Python 3.11; installed with pip, because some indexes of PyTorch's CPU builds work only with pip

FROM ${CPU_BASE_IMAGE}${CPU_BASE_DIGEST:+@${CPU_BASE_DIGEST}} AS cpu-system
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* \
 && useradd --uid 10001 --gid 0 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin grpo \
 && install --directory --owner 10001 --group 0 --mode 0775 /cache /outputs

FROM cpu-system AS cpu-packages
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/tools && python3 -m venv /opt/venv
COPY locks/cpu.lock /locks/
RUN /opt/venv/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --requirement /locks/cpu.lock
COPY locks/torch-cpu.lock /locks/
ARG TORCH_INDEX
RUN /opt/venv/bin/python -m pip install --no-cache-dir --no-deps --require-hashes \
    ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --requirement /locks/torch-cpu.lock

FROM cpu-packages AS cpu-code
COPY pyproject.toml setup.py LICENSE NOTICE /source/
COPY docs/package.md /source/docs/
COPY grpo_job /source/grpo_job
RUN /opt/venv/bin/python -m pip install --no-deps --no-build-isolation --root /code /source \
 && find /code/opt/venv/lib/python3.11/site-packages/grpo_job/inputs/sample ! -name "*.py*" -type f -delete

FROM cpu-packages AS cpu-layers
COPY locks/tools.lock /locks/
RUN /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --requirement /locks/tools.lock \
 && /opt/venv/bin/python -m pip uninstall --yes pip \
 && /opt/tools/bin/cyclonedx-py environment --gather-license-texts --output-reproducible --output-file /sbom.cdx.json /opt/venv
# The largest folders become separate layers, which are pulled in parallel.
WORKDIR /opt/venv/lib/python3.11/site-packages
RUN rm -rf torch/test torch/bin/test_* && find . -type d -name tests -prune -exec rm -r {} + \
 && for part in torch pyarrow transformers; do mkdir -p "/layers/$part$PWD" && mv "$part" "/layers/$part$PWD/"; done

FROM cpu-system AS cpu
COPY --from=cpu-layers /layers/torch /
COPY --from=cpu-layers /layers/pyarrow /
COPY --from=cpu-layers /layers/transformers /
COPY --from=cpu-layers /opt/venv /opt/venv
COPY --from=cpu-layers /sbom.cdx.json /app/
COPY grpo_job/inputs/sample /opt/venv/lib/python3.11/site-packages/grpo_job/inputs/sample
COPY LICENSE NOTICE entrypoint.py /app/
COPY --from=cpu-code /code /
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    USER=grpo LOGNAME=grpo HOME=/tmp \
    GRPO_OUTPUT_DIR=/outputs GRPO_CACHE_DIR=/cache/grpo-job HF_HOME=/cache/huggingface GRPO_METRICS_ADDRESS=0.0.0.0 \
    XDG_CACHE_HOME=/cache/xdg XDG_CONFIG_HOME=/cache/xdg MPLCONFIGDIR=/cache/matplotlib
USER 10001:0
WORKDIR /app
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "python", "/app/entrypoint.py"]
# The watchdog ends a hang after minutes; this detects a hang if the watchdog cannot, like the liveness probe of the pods.
HEALTHCHECK --start-period=10m --interval=1m --timeout=10s --retries=3 \
    CMD ["sh", "-c", "find \"$GRPO_OUTPUT_DIR/$GRPO_RUN_ID\" -maxdepth 2 -name heartbeat -mmin -30 | grep --quiet ."]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
ARG CPU_BASE_IMAGE
ARG CPU_BASE_DIGEST
LABEL org.opencontainers.image.title="grpo-job" \
      org.opencontainers.image.description="GRPO fine-tuning without a GPU: smoke runs, check, publish and evaluate" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${CPU_BASE_IMAGE}" \
      org.opencontainers.image.base.digest="${CPU_BASE_DIGEST}"


# ---- gpu: Python 3.12; PyTorch includes the CUDA libraries, grpo_job/runtime/cuda_driver.py has the drivers

FROM ${BASE_IMAGE}${BASE_DIGEST:+@${BASE_DIGEST}} AS gpu-system
# Triton compiles a launcher for each kernel: it needs gcc, C headers and, below, Python headers. cuda-compat has CUDA's
# user-mode libraries for older drivers, used only with such a driver; empty for a base without NVIDIA's repository.
ARG CUDA_COMPAT=cuda-compat-13-0
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev python3 tini ${CUDA_COMPAT} \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/* \
 && useradd --uid 10001 --gid 0 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin grpo \
 && install --directory --owner 10001 --group 0 --mode 0775 /cache /outputs

FROM gpu-system AS gpu-packages
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libpython3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/tools && python3 -m venv --without-pip /opt/venv
COPY locks/tools.lock /locks/
RUN /opt/tools/bin/python -m pip install --no-cache-dir --require-hashes --no-deps --requirement /locks/tools.lock
COPY locks/gpu.lock /locks/
RUN /opt/tools/bin/uv pip install --python /opt/venv --no-cache --no-deps --require-hashes --compile-bytecode \
    --requirement /locks/gpu.lock

FROM gpu-packages AS gpu-code
COPY pyproject.toml setup.py LICENSE NOTICE /source/
COPY docs/package.md /source/docs/
COPY grpo_job /source/grpo_job
RUN /opt/tools/bin/uv pip install --python /opt/venv --prefix /code/opt/venv --no-cache --no-deps \
    --no-build-isolation --compile-bytecode /source \
 && rm -f /code/opt/venv/.lock \
 && find /code/opt/venv/lib/python3.12/site-packages/grpo_job/inputs/sample ! -name "*.py*" -type f -delete

FROM gpu-packages AS gpu-layers
COPY tools/name_licences.py /
RUN /opt/tools/bin/cyclonedx-py environment --gather-license-texts --output-reproducible --output-file /sbom.cdx.json /opt/venv \
 && python3 /name_licences.py /sbom.cdx.json
# Not needed to train: an application in Unsloth's wheel, libraries to link with (190 MB together), and the lock of uv,
# which anybody could write to. The largest folders become separate layers, which are pulled in parallel.
WORKDIR /opt/venv/lib/python3.12/site-packages
RUN rm -rf torch/test torch/bin/test_* studio /opt/venv/.lock && find . -name "*.a" -type f -delete \
 && find . -type d -name tests -prune -exec rm -r {} + \
 && for part in nvidia torch vllm triton; do mkdir -p "/layers/$part$PWD" && mv "$part" "/layers/$part$PWD/"; done

FROM gpu-system AS gpu
COPY --from=gpu-layers /layers/nvidia /
COPY --from=gpu-layers /layers/torch /
COPY --from=gpu-layers /layers/vllm /
COPY --from=gpu-layers /layers/triton /
COPY --from=gpu-layers /usr/include/python3.12 /usr/include/python3.12
COPY --from=gpu-layers /usr/include/x86_64-linux-gnu/python3.12 /usr/include/x86_64-linux-gnu/python3.12
COPY --from=gpu-layers /opt/venv /opt/venv
COPY --from=gpu-layers /sbom.cdx.json /app/
COPY grpo_job/inputs/sample /opt/venv/lib/python3.12/site-packages/grpo_job/inputs/sample
COPY LICENSE NOTICE entrypoint.py /app/
COPY --from=gpu-code /code /
# Some clouds mount the driver in /usr/local/nvidia, where neither the shell nor Triton looks for it.
ENV PATH=/opt/venv/bin:/usr/local/nvidia/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib64 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    USER=grpo LOGNAME=grpo HOME=/tmp \
    GRPO_OUTPUT_DIR=/outputs GRPO_CACHE_DIR=/cache/grpo-job HF_HOME=/cache/huggingface GRPO_METRICS_ADDRESS=0.0.0.0 \
    XDG_CACHE_HOME=/cache/xdg XDG_CONFIG_HOME=/cache/xdg MPLCONFIGDIR=/cache/matplotlib
# What a container runtime lets in: driver 580 or newer, or one of the older branches that cuda-compat runs on, except on
# consumer GPUs. NVIDIA's own expression; a test compares it with the table of grpo_job/runtime/cuda_driver.py.
ENV NVIDIA_REQUIRE_CUDA="cuda>=13.0\
 brand=unknown,driver>=535,driver<536 brand=grid,driver>=535,driver<536 brand=tesla,driver>=535,driver<536\
 brand=nvidia,driver>=535,driver<536 brand=quadro,driver>=535,driver<536 brand=quadrortx,driver>=535,driver<536\
 brand=nvidiartx,driver>=535,driver<536 brand=vapps,driver>=535,driver<536 brand=vpc,driver>=535,driver<536\
 brand=vcs,driver>=535,driver<536 brand=vws,driver>=535,driver<536 brand=cloudgaming,driver>=535,driver<536\
 brand=unknown,driver>=550,driver<551 brand=grid,driver>=550,driver<551 brand=tesla,driver>=550,driver<551\
 brand=nvidia,driver>=550,driver<551 brand=quadro,driver>=550,driver<551 brand=quadrortx,driver>=550,driver<551\
 brand=nvidiartx,driver>=550,driver<551 brand=vapps,driver>=550,driver<551 brand=vpc,driver>=550,driver<551\
 brand=vcs,driver>=550,driver<551 brand=vws,driver>=550,driver<551 brand=cloudgaming,driver>=550,driver<551\
 brand=unknown,driver>=565,driver<566 brand=grid,driver>=565,driver<566 brand=tesla,driver>=565,driver<566\
 brand=nvidia,driver>=565,driver<566 brand=quadro,driver>=565,driver<566 brand=quadrortx,driver>=565,driver<566\
 brand=nvidiartx,driver>=565,driver<566 brand=vapps,driver>=565,driver<566 brand=vpc,driver>=565,driver<566\
 brand=vcs,driver>=565,driver<566 brand=vws,driver>=565,driver<566 brand=cloudgaming,driver>=565,driver<566\
 brand=unknown,driver>=570,driver<571 brand=grid,driver>=570,driver<571 brand=tesla,driver>=570,driver<571\
 brand=nvidia,driver>=570,driver<571 brand=quadro,driver>=570,driver<571 brand=quadrortx,driver>=570,driver<571\
 brand=nvidiartx,driver>=570,driver<571 brand=vapps,driver>=570,driver<571 brand=vpc,driver>=570,driver<571\
 brand=vcs,driver>=570,driver<571 brand=vws,driver>=570,driver<571 brand=cloudgaming,driver>=570,driver<571\
 brand=unknown,driver>=575,driver<576 brand=grid,driver>=575,driver<576 brand=tesla,driver>=575,driver<576\
 brand=nvidia,driver>=575,driver<576 brand=quadro,driver>=575,driver<576 brand=quadrortx,driver>=575,driver<576\
 brand=nvidiartx,driver>=575,driver<576 brand=vapps,driver>=575,driver<576 brand=vpc,driver>=575,driver<576\
 brand=vcs,driver>=575,driver<576 brand=vws,driver>=575,driver<576 brand=cloudgaming,driver>=575,driver<576"
USER 10001:0
WORKDIR /app
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "python", "/app/entrypoint.py"]
# The watchdog ends a hang after minutes; this detects a hang if the watchdog cannot, like the liveness probe of the pods.
HEALTHCHECK --start-period=10m --interval=1m --timeout=10s --retries=3 \
    CMD ["sh", "-c", "find \"$GRPO_OUTPUT_DIR/$GRPO_RUN_ID\" -maxdepth 2 -name heartbeat -mmin -30 | grep --quiet ."]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
ARG SOURCE=unknown
ARG BASE_IMAGE
ARG BASE_DIGEST
LABEL org.opencontainers.image.title="grpo-job" \
      org.opencontainers.image.description="GRPO fine-tuning on an NVIDIA GPU, with Unsloth and vLLM" \
      org.opencontainers.image.licenses="Apache-2.0 AND AGPL-3.0-only AND LGPL-3.0-or-later" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
