# One image for every service: `docker build -t freerun:0.2.0 .`
#
# The base is pinned by its full version. To pin it to the byte as well, append the digest that
# `docker buildx imagetools inspect python:3.11.15-slim-bookworm` prints, as NAME:TAG@sha256:DIGEST.
FROM python:3.11.15-slim-bookworm AS build

# The index of torch's CPU builds (pytorch.org names it under "Get started", pip, CPU). Left empty,
# torch comes from pip's own index, whose Linux build brings some GB of CUDA libraries.
ARG TORCH_INDEX_URL=""

WORKDIR /source
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/freerun
ENV PATH=/opt/freerun/bin:$PATH

# Before the sources are copied, so that a change of code does not install torch again. Byte code is
# compiled here, unlike in a checkout: an image is built once and started by many workers, read-only.
COPY constraints.txt .
RUN pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} --no-deps -c constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY freerun freerun
COPY models models
COPY search search
RUN pip install -c constraints.txt .


FROM python:3.11.15-slim-bookworm

RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin freerun
COPY --from=build /opt/freerun /opt/freerun
COPY docker/entrypoint.sh /usr/local/bin/freerun-entrypoint

# /tmp may be the only place that can be written to: the password file, matplotlib's font list and the
# machine code of kernels.
ENV PATH=/opt/freerun/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PGPASSFILE=/tmp/pgpass \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba
WORKDIR /home/freerun
USER freerun
ENTRYPOINT ["freerun-entrypoint"]
CMD ["freerun", "--help"]
