"""Builds the Dockerfile and runs the image as producer and as consumer on local brokers: `python -m tests.image`, or `make image-check`.

It needs root on Debian with buildah and debootstrap, and no container engine. The base image is a stand-in: Debian with its own Python of
the version that the Dockerfile asks for. `buildah run` isolates by chroot only, so the image's command is not process 1.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from labapp.lab import KAFKA, PORTS, Lab, processes
from tests.worker import ROOT, free_port, request, wait_for

# Debian's name for the version whose Python is the Dockerfile's.
DEBIAN, PYTHON = "trixie", "3.13"
BASE = f"docker.io/library/python:{PYTHON}-slim"
IMAGE = "localhost/labapp:checked"
CACHE = Path.home() / ".cache" / "labapp" / "image"
CERTIFICATES = "/etc/ssl/certs"
STOP_SECONDS = 10


def buildah(*arguments: str) -> str:
    """Runs it, and returns what it prints."""
    return subprocess.run(_command(*arguments), check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()


def _command(*arguments: str) -> list[str]:
    return ["buildah", "--root", str(CACHE / "storage"), "--runroot", str(CACHE / "run"), "--storage-driver", "vfs", *arguments]


def say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    if missing := [name for name in ("buildah", "debootstrap") if shutil.which(name) is None]:
        return _cannot(f"{' and '.join(missing)} is not here: as root on Debian, apt install {' '.join(missing)}.")
    if os.geteuid() != 0:
        return _cannot("Only root can make the base image.")
    CACHE.mkdir(parents=True, exist_ok=True)
    assert f"FROM python:{PYTHON}-slim\n" in (ROOT / "Dockerfile").read_text()
    if BASE not in buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        make_base()
    build()
    with tempfile.TemporaryDirectory(prefix="image-") as folder:
        lab = Lab(Path(folder), {name: free_port() for name in PORTS})
        with processes.running(lab, KAFKA, lambda text: None), container() as name:
            run(lab.bootstrap_servers, name)
    return 0


def _cannot(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


def make_base() -> None:
    began = time.monotonic()
    root = CACHE / "root"
    shutil.rmtree(root, ignore_errors=True)
    packages = "--include=ca-certificates,python3,python3-venv"
    subprocess.run(["debootstrap", "--variant=minbase", packages, DEBIAN, root], check=True, stdout=subprocess.DEVNULL)
    # As in the real one: python and pip are in /usr/local/bin.
    subprocess.run(["chroot", root, "python3", "-m", "venv", "/usr/local"], check=True)
    made = buildah("from", "scratch")
    buildah("add", "--quiet", made, str(root), "/")
    buildah("commit", "--quiet", "--rm", made, BASE)
    shutil.rmtree(root)
    say(f"Made a stand-in for {BASE} of Debian {DEBIAN} in {time.monotonic() - began:.0f} s.")


def build() -> None:
    """pip's settings and the certificates are this machine's. They are mounted, so the image does not have them."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as settings:
        settings.write("[global]\n" + "".join(f"{name} = {value}\n" for name, value in pip_settings().items()))
        settings.flush()
        mounts = [f"--volume={CERTIFICATES}:{CERTIFICATES}:ro", f"--volume={settings.name}:/etc/pip.conf:ro"]
        buildah("build", "--quiet", "--isolation=chroot", "--pull-never", "--no-cache", "--format=docker", *mounts, f"--tag={IMAGE}", ".")
    listed = buildah("images", "--format", "{{.Name}}:{{.Tag}}={{.Size}}").splitlines()
    sizes = dict(line.split("=") for line in listed)
    say(f"Built the image in {time.monotonic() - began:.0f} s: {sizes[IMAGE]}, of which the stand-in has {sizes[BASE]}.")


def pip_settings() -> dict[str, str]:
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True).stdout
    found = dict(re.findall(r"^[^.\s]+\.([a-z-]+)='(.*)'$", listed, re.MULTILINE))
    found.pop("find-links", None)  # a folder of this machine
    return found


@contextmanager
def container() -> Iterator[str]:
    name = buildah("from", "--pull-never", IMAGE)
    try:
        yield name
    finally:
        buildah("rm", name)


class Run:
    """The image's own command, by its own user, with these settings."""

    def __init__(self, container: str, command: list[str], port: int, **settings: str) -> None:
        self.port, self._settings, self._container = port, {"PORT": str(port), **settings}, container
        self._log = tempfile.NamedTemporaryFile("w+", suffix=".log")  # noqa: SIM115 (open as long as the process)
        self.began = time.monotonic()
        self._buildah = subprocess.Popen(self._run(*command), stdout=self._log, stderr=self._log)

    def _run(self, *command: str) -> list[str]:
        given = [f"--env={name}={value}" for name, value in self._settings.items()]
        return _command("run", "--isolation=chroot", *given, self._container, "--", *command)

    @property
    def process(self) -> psutil.Process:
        """What `buildah run` runs in the end."""
        *_, last = psutil.Process(self._buildah.pid).children(recursive=True)
        return last

    def is_ready(self) -> bool:
        assert self._buildah.poll() is None, Path(self._log.name).read_text()
        with suppress(OSError):
            return request(self.port, "GET", "/health/ready").status == 200
        return False

    def passes(self, check: list[str]) -> bool:
        return subprocess.run(self._run(*check), stdout=subprocess.DEVNULL).returncode == 0

    def stop(self) -> tuple[int, float]:
        """Exit code after SIGTERM, and seconds until then."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self._buildah.wait(STOP_SECONDS), time.monotonic() - began

    def close(self) -> None:
        if self._buildah.poll() is None:
            self.process.kill()
            self._buildah.wait(STOP_SECONDS)


def run(bootstrap: str, name: str) -> None:
    config = json.loads(buildah("inspect", "--type=image", IMAGE))["Docker"]["config"]
    assert config["User"] == "labapp"
    kind, *check = config["Healthcheck"]["Test"]
    assert kind == "CMD"
    folder = Path(buildah("mount", name))
    assert_lean(folder)
    runs = {role: Run(name, config["Cmd"], free_port(), ROLE=role, KAFKA_BOOTSTRAP_SERVERS=bootstrap) for role in ("producer", "consumer")}
    try:
        for role, one in runs.items():
            wait_for(one.is_ready, f"{role} ready", 60)
            assert one.process.uids().effective != 0
            assert one.passes(check), "the image's health check"
            seconds, user = time.monotonic() - one.began, one.process.uids().effective
            say(f"{role}: ready after {seconds:.1f} s, as user {user}, healthy by the image's own check.")
        body, headers = b'{"id":1}', {"Content-Type": "application/json", "Idempotency-Key": "first"}
        assert request(runs["producer"].port, "POST", "/", body, headers).status == 200
        row = wait_for(lambda: (found := request(runs["consumer"].port, "GET", "/events/first")).status == 200 and found, "the row")
        say(f"first event: {row.body.decode()}")
        for role, one in runs.items():
            code, seconds = one.stop()
            say(f"{role}: SIGTERM, exit code {code} after {seconds:.1f} s.")
            assert code == 0
    finally:
        for one in runs.values():
            one.close()


def assert_lean(root: Path) -> None:
    """The image has no compiler, no package cache and no lab."""
    programs = {path.name for folder in ("usr/bin", "usr/local/bin") for path in (root / folder).iterdir()}
    assert not programs & {"cc", "gcc", "g++", "make", "ld"}, programs
    assert not (root / "root/.cache").exists()
    assert sorted(path.name for path in (root / "app").iterdir()) == ["labapp", "requirements.txt"]
    assert not (root / "app/labapp/lab").exists()


if __name__ == "__main__":
    sys.exit(main())
