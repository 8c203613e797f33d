# The requirements come from pyproject.toml alone, so that a change of our code does not install them again.
FROM python:3.11-slim-bookworm AS requirements
WORKDIR /requirements
COPY pyproject.toml README.md ./
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 dynamo && install -d -o dynamo -m 700 /data
COPY --from=requirements /venv /venv
WORKDIR /dynamo
COPY manage.py pyproject.toml ./
COPY dynamo dynamo
COPY ocpp16 ocpp16
COPY chargepoints chargepoints
COPY apikeys apikeys
COPY templates templates
RUN python -m compileall -q .
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 DYNAMO_NO_BOOTSTRAP=1 DYNAMO_DATA_DIR=/data
USER dynamo
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
# In exec form, so that Dynamo itself is told to end.
ENTRYPOINT ["python", "manage.py"]
CMD ["serve", "--host", "0.0.0.0"]
