# syntax=docker/dockerfile:1
# The gateway for those who prefer a container: docs/install.md says how to run it. No secret is ever in a layer.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt
RUN python -m venv /opt/gateway && /opt/gateway/bin/pip install --require-hashes --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY handlers handlers
COPY infra infra
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /opt/wheels .
RUN /opt/gateway/bin/pip install --no-deps --no-index /opt/wheels/*.whl
RUN /opt/gateway/bin/python -m pip uninstall --yes pip && /opt/gateway/bin/python -m compileall -q /opt/gateway/lib

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="copilot-gateway" \
      org.opencontainers.image.description="Your own OpenAI- and Anthropic-compatible endpoint in front of a GitHub Copilot subscription" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /opt/gateway /opt/gateway
# Inside a container every address is the container's own; who may reach it is decided by the port that is published.
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    COPILOT_GATEWAY_DATA_DIR=/data \
    COPILOT_GATEWAY_HOST=0.0.0.0 \
    COPILOT_GATEWAY_PORT=4141 \
    COPILOT_GATEWAY_ALLOW_PLAIN_HTTP=true
RUN install --directory --owner=10001 --group=10001 --mode=0700 /data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 4141
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "infra.healthcheck"]
ENTRYPOINT ["copilot-gateway"]
CMD ["start"]
