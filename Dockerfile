# One image for every server of docker-compose.yaml: which it is, its command says (`ronghe serve ...`).
FROM python:3.11-slim-bookworm

RUN apt-get update \
    && apt-get install -y --no-install-recommends openjdk-17-jre-headless procps \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin ronghe \
    && install -d -o ronghe -g ronghe -m 0750 /data /opt/ronghe

WORKDIR /opt/ronghe
# By uv, as `make setup` does: the lock leaves out what pyproject.toml overrides, which pip does not read.
COPY requirements.lock pyproject.toml ./
RUN pip install --no-cache-dir uv==0.13.9 \
    && uv pip install --system --no-cache --compile-bytecode --require-hashes -r requirements.lock

COPY README.md LICENSE ./
COPY src src
COPY schemas schemas
COPY expectations expectations
COPY plugins plugins
COPY jobs jobs
COPY dags dags
RUN uv pip install --system --no-cache --no-deps --no-build-isolation -e . \
    && python -m ronghe.jars engine s3

USER ronghe
ENV RONGHE_HOME=/data PYTHONUNBUFFERED=1
VOLUME /data
# Files of the servers are for their own user and group only.
ENTRYPOINT ["/bin/sh", "-c", "umask 027 && exec ronghe \"$@\"", "ronghe"]
CMD ["--help"]
