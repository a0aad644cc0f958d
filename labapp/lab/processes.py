"""Starts, stops and kills the lab's processes through supervisor, and waits until they are ready or have ended."""

import fcntl
import http.client
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

import psutil
from supervisor.xmlrpc import Faults

from labapp.lab import BROKERS, PORTS, WORKERS, Lab, LabError, kafka, supervisord
from labapp.lab.kafka import Say

READY_SECONDS = 90  # since the last process became ready, which leaves more CPU for the others
ROOM_MEGABYTES = 500
UP = ("STARTING", "RUNNING", "BACKOFF")  # supervisor's states of a process that it keeps running


@dataclass(frozen=True)
class Status:
    name: str
    state: str
    pid: int | None
    port: int
    since: str | None


@contextmanager
def running(lab: Lab, names: Sequence[str], say: Say = print) -> Iterator[None]:
    """A lab with these processes up and ready. At the end none of the lab's processes is left, even after an error."""
    with _only_one(lab):
        if left := end(lab):
            say(f"An earlier lab in {lab.folder} was not stopped completely. Its remaining processes ({left}) are ended now.")
        _check_room(lab)
        for name in names:
            _check_port(lab, name)
        process = None
        try:
            process = supervisord.launch(lab, kafka.prepare(lab, say))
            with supervisord.connected(lab) as supervisor:
                _start(lab, supervisor, names, say)
            yield
        finally:
            if _processes(lab):
                say("Stopping workers, then brokers, then the controller ...")
                began = time.monotonic()
                end(lab)
                say(f"Stopped after {time.monotonic() - began:.1f} s.")
            if process is not None:
                process.wait()


def statuses(lab: Lab) -> list[Status]:
    """Each process of the running lab. This and the next functions raise LabError if no lab runs."""
    with supervisord.connected(lab) as supervisor:
        found = {info["name"]: info for info in supervisor.getAllProcessInfo()}
    return [_status(lab, found[name]) for name in PORTS]


def start(lab: Lab, name: str, say: Say = print, settings: Sequence[str] = ()) -> None:
    """Starts a process that is down, or thaws one that is frozen. Returns when it is ready.

    A worker that is down gets these settings (NAME=VALUE) beside the lab's, until its next start.
    """
    if name not in WORKERS and settings:
        raise LabError(f"{name} takes no settings: only workers do.")
    with supervisord.connected(lab) as supervisor:
        if supervisor.getProcessInfo(supervisord.full_name(name))["statename"] not in UP:
            _check_port(lab, name)
            if name in WORKERS:
                lab.settings_file(name).write_text(" ".join(map(_setting, settings)))
        signal(supervisor, name, "CONT")
        _start(lab, supervisor, [name], say)


def stop(lab: Lab, name: str) -> bool:
    """Stops a process cleanly, and returns when it is down. It stays down. Returns False if it was down before."""
    with supervisord.connected(lab) as supervisor:
        signal(supervisor, name, "CONT")
        return _unless(Faults.NOT_RUNNING, supervisor.stopProcess, supervisord.full_name(name))


def kill(lab: Lab, name: str) -> None:
    """Kills a process with SIGKILL, frozen or not. After a moment, supervisor starts it again."""
    with supervisord.connected(lab) as supervisor:
        if not signal(supervisor, name, "KILL"):
            raise LabError(f"{name} is not running, so there is nothing to kill.")


def end(lab: Lab) -> int:
    """Ends all processes of the lab in order: supervisord, which ends the others, then what is left. Returns how many there were."""
    found = _processes(lab)
    for process in found:
        with suppress(psutil.Error):
            process.resume()  # a frozen process can't stop in order
    for names, seconds in (((None,), 18.0), (WORKERS, 3.0), (BROKERS, 3.0), (("controller",), 1.0)):
        stage = [process for process, name in found.items() if name in names and process.is_running()]
        for process in stage:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(stage, timeout=seconds)[1]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    psutil.wait_procs(found, timeout=5)
    return len(found)


def forget(lab: Lab) -> None:
    """Deletes the cluster's data. Raises LabError while the lab runs."""
    with _only_one(lab):
        end(lab)
        shutil.rmtree(lab.data, ignore_errors=True)


@contextmanager
def _only_one(lab: Lab) -> Iterator[None]:
    """Holds a lock, which the system releases even if this process is killed."""
    lab.folder.mkdir(parents=True, exist_ok=True)
    with (lab.folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise LabError(f"A lab already runs in {lab.folder} (pid {lock.read()}): stop that one first, with Ctrl+C.") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _check_room(lab: Lab) -> None:
    if (free := shutil.disk_usage(lab.folder).free // 1_000_000) < ROOM_MEGABYTES:
        raise LabError(f"The disk has no room for the lab in {lab.folder}: {ROOM_MEGABYTES} MB are needed and {free} MB are free.")


def _setting(text: str) -> str:
    if not re.fullmatch(r"[A-Z_]+=[\w.,:/-]*", text, re.ASCII):
        raise LabError(f"{text!r} is not a setting: write NAME=VALUE, with a value of letters, digits and the signs . , : / - and _.")
    return text


def _check_port(lab: Lab, name: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignores connections that were just closed
        try:
            probe.bind(("127.0.0.1", lab.ports[name]))
        except OSError as exc:
            why = f"Port {lab.ports[name]}, which is for {name}, can't be used ({exc.strerror})"
            raise LabError(f"{why}: stop the program that uses it, or choose another port with LAB_PORTS.") from None


def _unless(fault: int, method: Any, *arguments: Any) -> bool:
    """Calls the method. Returns False if it answers with this fault, and raises LabError for another fault."""
    try:
        method(*arguments)
    except Fault as exc:
        if exc.faultCode != fault:
            raise LabError(f"supervisor failed ({exc.faultString}).") from None
        return False
    return True


def signal(supervisor: Any, name: str, word: str) -> bool:
    """Sends a signal, such as KILL. False if the process is not running."""
    return _unless(Faults.NOT_RUNNING, supervisor.signalProcess, supervisord.full_name(name), word)


def is_frozen(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def _start(lab: Lab, supervisor: Any, names: Sequence[str], say: Say) -> None:
    """Starts all at once, because each waits for those that it needs. Returns when all are ready. Raises LabError if one fails."""
    began, since = time.monotonic(), int(time.time())
    said = {name: lab.log(name).stat().st_size if lab.log(name).exists() else 0 for name in names}
    for name in names:
        _unless(Faults.ALREADY_STARTED, supervisor.startProcess, supervisord.full_name(name), False)
    say(f"Starting {', '.join(names)} ...")
    ends: dict[str, set[int]] = {name: set() for name in names}  # of those that are not ready yet
    deadline = began + READY_SECONDS
    while ends:
        for name in list(ends):
            info = supervisor.getProcessInfo(supervisord.full_name(name))
            failure, missing = _failure(info, since, ends[name]), _missing(lab, name, names)
            if failure is None and time.monotonic() > deadline:
                failure = f"is not ready after {time.monotonic() - began:.0f} s ({missing})"
            if failure is not None:
                raise LabError(f"{name} {failure}. Its last lines, from {lab.log(name)}:\n{_last_lines(lab.log(name), said[name])}")
            if missing is None and info["statename"] == "RUNNING":
                say(f"  {name} is ready on port {lab.ports[name]} ({time.monotonic() - began:.1f} s)")
                del ends[name]
                deadline = time.monotonic() + READY_SECONDS
        time.sleep(0.1)


def _failure(info: Mapping[str, Any], since: int, ends: set[int]) -> str | None:
    """Why the process can't become ready, or None. A process that ended twice would end again. `ends`: the end times seen so far."""
    if info["stop"] >= since:
        ends.add(info["stop"])
    if info["statename"] == "STOPPED":
        return "was stopped before it was ready"
    return "does not stay up" if info["statename"] == "FATAL" or len(ends) > 1 else None


def _missing(lab: Lab, name: str, together: Sequence[str]) -> str | None:
    """What a process lacks to be ready, None if nothing."""
    if name in WORKERS:
        return _not_ready(lab.ports[name])
    if name in BROKERS:
        unseen = [other for other in together if other in BROKERS and kafka.NODE_IDS[other] not in kafka.listed_brokers(lab.ports[name])]
        return f"it does not see {' and '.join(unseen)}" if unseen else None
    with socket.socket() as probe:
        return "it does not listen" if probe.connect_ex(("127.0.0.1", lab.ports[name])) else None


def _not_ready(port: int) -> str | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        return None if answer.status == 200 else f"/health/ready: {answer.status} {answer.read(300).decode(errors='replace')}"
    except (OSError, http.client.HTTPException) as exc:
        return f"/health/ready: {exc}"
    finally:
        connection.close()


def _last_lines(log: Path, start: int, lines: int = 8) -> str:
    """The last lines from byte `start` on, each once. A process that was started twice writes everything twice."""
    if not log.exists():
        return "  (nothing)"
    with log.open("rb") as file:
        size = log.stat().st_size
        file.seek(max(start if start <= size else 0, size - 16384))  # a smaller file is a new one, because logs rotate
        text = file.read().decode(errors="replace")
    return "\n".join(f"  {line}" for line in list(dict.fromkeys(text.splitlines()))[-lines:])


def _status(lab: Lab, info: dict[str, Any]) -> Status:
    since = info["start"] if info["pid"] else info["stop"]  # in whole seconds; 0 means never
    when = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z") if since else None
    state = "frozen" if info["pid"] and is_frozen(info["pid"]) else info["statename"].lower()
    return Status(info["name"], state, info["pid"] or None, lab.ports[info["name"]], when)


def _processes(lab: Lab) -> dict[psutil.Process, str | None]:
    """All processes of the lab, with supervisor's name of each. They are found by the mark in their environment."""
    found = {}
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:  # another user's, or just ended
            continue
        if environment.get(lab.MARK) == str(lab.folder) and process.pid != os.getpid():
            found[process] = environment.get("SUPERVISOR_PROCESS_NAME")
    return found
