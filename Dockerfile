# The runtime without a screen: `edgemood run` and its page.
#
# Untested: no Docker daemon was to be had. The install with its constraints, the start and the health
# check were tried in a virtual environment on Debian 12.
#
#     docker build -t edgemood .
#     docker run --rm -p 127.0.0.1:8765:8765 -e EDGEMOOD_TOKEN=0123456789abcdef edgemood
#     docker run --rm -p 127.0.0.1:8765:8765 -e EDGEMOOD_TOKEN=0123456789abcdef \
#         --device /dev/video0 edgemood 0 --headless --serve 0.0.0.0:8765
#     docker run --rm -v "$PWD:/in:ro" edgemood /in/clip.mp4 --headless --jsonl - > faces.jsonl
#
# The page is at http://127.0.0.1:8765/?token=0123456789abcdef; take a token of your own. To reach it
# by another name than localhost or a number, add --allow-host NAME.

FROM python:3.11-slim-bookworm AS build
COPY . /src
RUN python -m venv /opt/edgemood \
    && /opt/edgemood/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint /src/constraints.txt "/src[serve]"

FROM python:3.11-slim-bookworm
# OpenCV's wheel wants these two libraries.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 --groups video edgemood
COPY --from=build /opt/edgemood /opt/edgemood
# ONNX Runtime sends usage events otherwise.
ENV PATH=/opt/edgemood/bin:$PATH PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1
USER edgemood
# Where the page's recordings go.
WORKDIR /home/edgemood
EXPOSE 8765
# 200 while frames come. It needs EDGEMOOD_TOKEN, and does not fit a run without the page: there,
# pass --no-healthcheck to docker run.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request as web; web.urlopen(web.Request('http://127.0.0.1:8765/healthz', headers={'Authorization': 'Bearer ' + os.environ['EDGEMOOD_TOKEN']}), timeout=4)"]
# The program handles SIGTERM as process 1 does: files are finished, then it ends.
ENTRYPOINT ["edgemood", "run"]
CMD ["demo", "--headless", "--serve", "0.0.0.0:8765"]
