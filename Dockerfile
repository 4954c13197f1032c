# liftwild serve in a container: docs/deploy.md
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY recipes recipes
COPY src src
# torch's build for CPUs is a tenth of the other one.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
        -c constraints.txt '.[app,openvino,heic,c3d]'

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home liftwild && install -d -m 700 -o liftwild /data
COPY --from=build /venv /venv
USER liftwild
VOLUME /data
EXPOSE 8757
# Without LIFTWILD_TOKEN it makes a token and prints it.
ENTRYPOINT ["/venv/bin/liftwild", "serve", "--host", "0.0.0.0", "--data", "/data"]
HEALTHCHECK --start-period=2m CMD ["/venv/bin/python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8757/healthz', timeout=5)"]
