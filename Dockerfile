FROM python:3.13-slim

WORKDIR /app
# Before the code, so that a change of the code does not install them again. On ARM faust-streaming has no wheel: pip then
# builds it, which works without a compiler and leaves out Faust's compiled parts.
COPY requirements.txt .
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements.txt
COPY docs docs
COPY labapp labapp
RUN python -m compileall -q labapp && useradd --system --no-create-home --shell /usr/sbin/nologin labapp

USER labapp
ENV PYTHONUNBUFFERED=1 WEB_BIND=0.0.0.0
EXPOSE 5000 8000
HEALTHCHECK --interval=10s --timeout=5s --retries=6 --start-period=2m CMD ["python", "-c", \
    "from urllib.request import urlopen; from labapp.settings import PORT; urlopen(f'http://127.0.0.1:{PORT}/health/ready', timeout=4)"]
# Without a shell, which would keep SIGTERM to itself.
CMD ["faust", "-A", "labapp.app", "worker", "-l", "info"]
