"""Configures and starts supervisord, which runs the lab's processes, and connects to its control socket."""

import http.client
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from configparser import RawConfigParser
from contextlib import contextmanager
from typing import Any
from xmlrpc.client import ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from labapp.lab import BROKERS, PORTS, WORKERS, Lab, LabError

SOCKET_PATH_MAX = 95  # macOS allows 104, and supervisor appends its pid for a moment

# Groups stop one after another, the last one first. Each process has its seconds before SIGKILL, together less than 20 s. The controller
# stops last, because a broker without a controller can't hand over its partitions and would wait for minutes.
GROUPS = {"controller": ("controller",), "brokers": BROKERS, "workers": WORKERS}
STOP_SECONDS = {"controller": 3, "brokers": 6, "workers": 8}

# The lab sets these for each worker. All other settings that the user exported reach the worker.
CONSUMERS = tuple(name for name in WORKERS if name != "producer")
CONSUMER_GROUPS = {"fan-out": "second-group"}

WORKER = [sys.executable, "-m", "faust", "-A", "labapp.app", "worker", "-l", "info"]
# Runs the command with the settings of a file in its environment. supervisor could change settings only for all workers at once.
WITH_SETTINGS = ["sh", "-c", 'exec env $(cat "$0") "$@"']


def full_name(name: str) -> str:
    """supervisor's name for a process: its group and itself."""
    return next(f"{group}:{name}" for group, names in GROUPS.items() if name in names)


def launch(lab: Lab, commands: Mapping[str, Sequence[str]]) -> subprocess.Popen[bytes]:
    """Starts supervisord, which starts nothing yet. Returns once it answers; the caller waits for its end.

    It gets a session of its own, so that a terminal's Ctrl+C reaches the lab alone, which then stops everything in order.
    """
    control = lab.folder / "socket"
    if len(os.fsencode(control)) > SOCKET_PATH_MAX:
        raise LabError(f"The path {control} is too long for a socket: choose a shorter folder with LAB_FOLDER.")
    if "%" in str(lab.folder):
        raise LabError(f"supervisor can't take the % in {lab.folder}: choose another folder with LAB_FOLDER.")
    control.unlink(missing_ok=True)
    for name in WORKERS:
        lab.settings_file(name).write_text("")
    with (lab.folder / "supervisord.conf").open("w") as file:
        _configuration(lab, commands).write(file)
    with (lab.logs / "supervisord.err").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-s", "-c", str(lab.folder / "supervisord.conf")],
            env=lab.environment(),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
    deadline = time.monotonic() + 20
    while True:
        try:
            with connected(lab) as supervisor:
                supervisor.getState()
            return process
        except LabError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"supervisord did not start: {(lab.logs / 'supervisord.err').read_text().strip()}") from None
        time.sleep(0.05)


@contextmanager
def connected(lab: Lab) -> Iterator[Any]:
    """supervisor's methods (its documentation: XML-RPC API) over the socket in the lab's folder. Raises LabError if no lab runs."""
    try:
        with ServerProxy("http://lab", transport=SupervisorTransport(serverurl=f"unix://{lab.folder / 'socket'}")) as proxy:
            yield proxy.supervisor
    except (FileNotFoundError, ConnectionError, http.client.HTTPException):
        raise LabError(f"No lab runs in {lab.folder}: `make run` or `make kafka` starts one.") from None


def _configuration(lab: Lab, commands: Mapping[str, Sequence[str]]) -> RawConfigParser:
    sections: dict[str, dict[str, str]] = {
        "supervisord": {"logfile": f"{lab.log('supervisord')}", "pidfile": f"{lab.folder / 'supervisord.pid'}", "logfile_backups": "1"},
        "unix_http_server": {"file": f"{lab.folder / 'socket'}", "chmod": "0700"},
        "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
    }
    for place, (group, names) in enumerate(GROUPS.items()):
        sections[f"group:{group}"] = {"programs": ",".join(names), "priority": str(place)}
        for name in names:
            program = {"stopwaitsecs": str(STOP_SECONDS[group]), **_program(lab, name)}
            if group == "workers":
                # Workers run in the current folder, as if started by hand.
                program |= {
                    "command": shlex.join([*WITH_SETTINGS, str(lab.settings_file(name)), *WORKER]),
                    "environment": _worker_environment(lab, name),
                }
            else:
                program |= {"command": shlex.join(commands[name]), "directory": str(lab.folder)}
            sections[f"program:{name}"] = program
    configuration = RawConfigParser()
    configuration.read_dict({title: {key: text.replace("%", "%%") for key, text in body.items()} for title, body in sections.items()})
    return configuration


def _program(lab: Lab, name: str) -> dict[str, str]:
    return {
        "autostart": "false",  # the lab starts each itself, and waits until it is ready
        "autorestart": "true",
        # A process that ends within startsecs is started again after 1 s, 2 s, 3 s, ... All 20 tries take 3.5 minutes.
        "startsecs": "2",
        "startretries": "20",
        "stopasgroup": "true",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": str(lab.log(name)),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "1",
    }


def _worker_environment(lab: Lab, name: str) -> str:
    port = lab.ports[name]
    environment = {
        "ROLE": "consumer" if name in CONSUMERS else "producer",
        "PORT": str(port),
        "CONSUMER_GROUP": CONSUMER_GROUPS.get(name, "first-group"),
        "KAFKA_BOOTSTRAP_SERVERS": lab.bootstrap_servers,
        "WEB_BIND": "127.0.0.1",
        "WEB_HOST": "",
        "CONSUMERS": ",".join(f"{consumer}=http://localhost:{lab.ports[consumer]}" for consumer in CONSUMERS),
        "PYTHONUNBUFFERED": "1",
        # A worker starts together with the brokers, which take long on a busy machine.
        "START_TIMEOUT_SECONDS": os.environ.get("START_TIMEOUT_SECONDS") or "90",
    }
    if lab.ports["producer"] != PORTS["producer"]:  # the app's default has the page's own origin on the usual port only
        own = [f"http://{host}:{lab.ports['producer']}" for host in ("localhost", "127.0.0.1")]
        environment["CORS_ORIGINS"] = ",".join(["http://localhost:3000", *own])
    if name in CONSUMERS:
        environment["LAB_SLOW"] = str(lab.slow_file(name))
    if name == "producer":  # its page offers experiments with this lab
        environment["LAB_CONTROL"] = str(lab.folder)
        environment["LAB_PORTS"] = ",".join(f"{process}={number}" for process, number in lab.ports.items())
    environment.update(lab.overrides.get(name, {}))
    return ",".join(f'{key}="{value}"' for key, value in environment.items())
