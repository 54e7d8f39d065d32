# sdnet-pl serve on a CPU, as a user without rights; nothing is loaded from a network when it runs.
FROM python:3.12-slim
WORKDIR /sdnet_pl
COPY setup.cfg pyproject.toml constraints.txt README.md LICENSE MODEL_CARD.md ./
COPY experiments experiments
COPY src src
# The address of PyTorch's CPU wheels, as pytorch.org names it; without it PyPI's come, with gigabytes of CUDA.
ARG TORCH_INDEX=
RUN test -z "$TORCH_INDEX" || pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch
RUN pip install --no-cache-dir -c constraints.txt '.[serve,formats]'
RUN useradd --create-home --uid 1000 sdnet
USER sdnet
WORKDIR /home/sdnet
EXPOSE 7000
STOPSIGNAL SIGINT
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7000/health', timeout=5)"]
CMD ["sdnet-pl", "serve", "--host", "0.0.0.0"]
