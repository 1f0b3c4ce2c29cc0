# An image with what jobs import, and `rewind`: docker build -t rewind . ; docs/deploying.md says how a profile uses it.
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends procps && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/rewind
COPY pyproject.toml constraints.txt environment.yml README.md LICENSE ./
COPY pipeline_lib pipeline_lib
COPY workflow workflow
COPY config config
RUN pip install --no-cache-dir --constraint constraints.txt ".[report,slurm]"
WORKDIR /work
CMD ["rewind", "--help"]
