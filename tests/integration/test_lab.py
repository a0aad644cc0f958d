"""The lab as its user has it: real processes, in a folder and on ports of their own."""

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
from pathlib import Path

import psutil
import pytest

from labapp.lab import APP, KAFKA, PORTS, Lab, processes
from tests.worker import PATIENCE, free_port, request, wait_for


class Running:
    """`python -m labapp.lab up` (or `kafka`) under test, in a session of its own as from a terminal."""

    def __init__(self, lab: Lab, command: str = "up", **environment: str) -> None:
        self.lab = lab
        self.output_file = lab.folder / f"{command}.txt"
        with self.output_file.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "labapp.lab", command],
                env=variables(lab) | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def ready(self) -> "Running":
        wait_for(lambda: "Ready after" in self.output or self.process.poll() is not None, f"the lab ready:\n{self.output}", 180)
        assert self.process.poll() is None, self.output
        return self

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Seconds until it ended."""
        began = time.monotonic()
        os.killpg(self.process.pid, number)
        self.process.wait(60 * PATIENCE)
        return time.monotonic() - began


def variables(lab: Lab) -> dict[str, str]:
    ports = ",".join(f"{name}={port}" for name, port in lab.ports.items())
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "FAUST_", "LAB_"))}
    return ours | {"LAB_FOLDER": str(lab.folder), "LAB_PORTS": ports}


def run(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as the user types it."""
    command = [sys.executable, "-m", "labapp.lab", *arguments]
    return subprocess.run(command, env=variables(lab), capture_output=True, text=True, timeout=120 * PATIENCE, check=False)


def done(lab: Lab, *arguments: str) -> str:
    """What a command says that succeeds."""
    result = run(lab, *arguments)
    assert result.returncode == 0, result
    return result.stdout


def begun(lab: Lab, *arguments: str) -> subprocess.Popen[str]:
    """A command that goes on, once it has printed its first line."""
    command = [sys.executable, "-m", "labapp.lab", *arguments]
    process = subprocess.Popen(command, env=variables(lab), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def status(lab: Lab, name: str) -> processes.Status:
    return next(found for found in processes.statuses(lab) if found.name == name)


def pids(lab: Lab) -> set[int]:
    """All processes of the lab: they carry its folder in their environment."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(Lab.MARK) == str(lab.folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A folder and ports for labs, one after the other: later ones keep the data of the first."""
    folder = Path(tempfile.mkdtemp(prefix="lab-"))
    ours = Lab(folder, {name: free_port() for name in PORTS})
    yield ours
    for pid in pids(ours):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def up(lab: Lab) -> Iterator[Running]:
    """The whole lab, up and ready."""
    running = Running(lab).ready()
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def whole(up: Running) -> Iterator[Running]:
    """The whole lab, which the next test finds again as this one found it."""
    yield up
    for name in APP:
        processes.start(up.lab, name, lambda text: None)
    for name in ("second-consumer", "fan-out"):
        processes.stop(up.lab, name)


class TestUp:
    def test_where(self, whole: Running) -> None:
        """The lab says where the page is, how to send an event, and where the logs are; what it says works."""
        producer = whole.lab.ports["producer"]

        assert f"http://localhost:{producer}/\n" in whole.output
        curl = next(line for line in whole.output.splitlines() if "curl" in line)
        assert curl.endswith(f"curl -X POST http://localhost:{producer}/ -H 'Content-Type: application/json' -d '{{\"id\": 1}}'")
        answer = request(producer, "POST", "/", b'{"id": 1}', {"Content-Type": "application/json"})
        assert answer.status == 200, answer
        path = f"/events/{answer.json['key']}"
        wait_for(lambda: request(whole.lab.ports["consumer"], "GET", path).status == 200, "the event is consumed")

    def test_status(self, whole: Running) -> None:
        """Status lists each process with its state, and says the same to people and to programs."""
        found = json.loads(done(whole.lab, "status", "--json"))

        assert [one["name"] for one in found] == list(PORTS)
        assert {one["name"]: one["port"] for one in found} == whole.lab.ports
        for one in found:
            assert one["state"] == ("running" if one["name"] in APP else "stopped")
            assert (one["pid"] in pids(whole.lab)) == (one["name"] in APP)
        rows = done(whole.lab, "status").splitlines()[1:]
        assert [row.split()[:2] for row in rows] == [[one["name"], one["state"]] for one in found]

    def test_loopback(self, whole: Running) -> None:
        """No process of the lab can be reached from another machine."""
        bound = {
            connection.laddr.ip
            for pid in pids(whole.lab)
            for connection in psutil.Process(pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }

        assert bound <= {"127.0.0.1", "::ffff:127.0.0.1"}

    def test_second_lab(self, whole: Running) -> None:
        """A second lab in the same folder, one on the same ports, and forgetting the data are refused, each in one sentence."""
        same_folder, forget = run(whole.lab, "up"), run(whole.lab, "clean-data")
        with tempfile.TemporaryDirectory(prefix="lab-") as folder:
            same_ports = run(Lab(Path(folder), whole.lab.ports), "kafka")

        assert (same_folder.returncode, forget.returncode, same_ports.returncode) == (1, 1, 1)
        assert same_folder.stderr == forget.stderr
        assert same_folder.stderr.startswith(f"A lab already runs in {whole.lab.folder} (pid {whole.process.pid})")
        assert same_ports.stderr.startswith(f"Port {whole.lab.ports['controller']}, which is for controller, can't be used")


class TestOne:
    @pytest.mark.parametrize("name", ["broker-1", "consumer"])
    def test_stop(self, whole: Running, name: str) -> None:
        """A process that was stopped is down when the command ends, and ready again when its start ends."""
        assert done(whole.lab, "stop", name) == f"{name} is stopped.\n"
        down = status(whole.lab, name)
        assert (down.state, down.pid) == ("stopped", None)
        assert done(whole.lab, "stop", name) == f"{name} is already down.\n"
        assert run(whole.lab, "kill", name).stderr == f"{name} is not running, so there is nothing to kill.\n"

        assert f"{name} is ready on port {whole.lab.ports[name]}" in done(whole.lab, "start", name)
        assert status(whole.lab, name).state == "running"

    @pytest.mark.parametrize("name", ["controller", "broker-2", "producer"])
    def test_kill(self, whole: Running, name: str) -> None:
        """A process that was killed comes back by itself, as another one."""
        before = status(whole.lab, name).pid

        done(whole.lab, "kill", name)

        wait_for(lambda: status(whole.lab, name).state == "running" and status(whole.lab, name).pid != before, f"{name} is back", 60)
        assert not psutil.pid_exists(before)

    def test_both_brokers_killed(self, whole: Running) -> None:
        """After both brokers were killed at once, events are taken again and none is lost."""
        producer, consumer = whole.lab.ports["producer"], whole.lab.ports["consumer"]
        before = request(producer, "POST", "/", b'{"id": 2}', {"Content-Type": "application/json"})
        assert before.status == 200, before

        for name in ("broker-1", "broker-2"):
            done(whole.lab, "kill", name)

        def taken() -> bool:
            return request(producer, "POST", "/", b'{"id": 3}', {"Content-Type": "application/json"}).status == 200

        wait_for(taken, "events are taken", 60)
        path = f"/events/{before.json['key']}"
        wait_for(lambda: request(consumer, "GET", path).status == 200, "the event from before", 60)

    @pytest.mark.parametrize(("name", "group"), [("second-consumer", "first-group"), ("fan-out", "second-group")])
    def test_more_consumers(self, whole: Running, name: str, group: str) -> None:
        """The two consumers that are down at first can be started: one shares the first one's group, one has its own."""
        done(whole.lab, "start", name)

        assert request(whole.lab.ports[name], "GET", "/ping").body.decode() == f"pong:{group}"


class TestSettings:
    def test_one_start(self, whole: Running) -> None:
        """A worker that is started with settings has them, also after a kill, until it is started anew; a broker takes none."""
        port = whole.lab.ports["fan-out"]
        done(whole.lab, "start", "fan-out", "CONSUMER_GROUP=first-group")
        before = status(whole.lab, "fan-out").pid
        assert request(port, "GET", "/ping").body.decode() == "pong:first-group"
        done(whole.lab, "kill", "fan-out")
        wait_for(lambda: status(whole.lab, "fan-out").pid not in (before, None), "it is back")
        done(whole.lab, "start", "fan-out")  # which waits until it is ready
        assert request(port, "GET", "/ping").body.decode() == "pong:first-group"

        done(whole.lab, "restart", "fan-out")
        assert request(port, "GET", "/ping").body.decode() == "pong:second-group"
        done(whole.lab, "stop", "fan-out")
        for setting in ("CONSUMER_GROUP", "CONSUMER_GROUP=$(id)", "CONSUMER_GROUP=a b", "*=1"):
            assert "is not a setting" in run(whole.lab, "start", "fan-out", setting).stderr
        done(whole.lab, "stop", "broker-2")
        assert run(whole.lab, "start", "broker-2", "A=1").stderr == "broker-2 takes no settings: only workers do.\n"

    def test_slow(self, whole: Running) -> None:
        """A consumer that is slow says so; one that starts is not slow; what is no running consumer can't be."""
        port = whole.lab.ports["consumer"]
        assert done(whole.lab, "slow", "consumer", "30") == "consumer takes 30 ms more for each event.\n"
        wait_for(lambda: request(port, "GET", "/status").json["slow_ms"] == 30, "it is slow")

        done(whole.lab, "restart", "consumer")
        assert request(port, "GET", "/status").json["slow_ms"] == 0
        assert run(whole.lab, "slow", "producer", "30").stderr.startswith("producer can't be slow: choose one of broker-1, ")
        assert run(whole.lab, "slow", "fan-out", "30").stderr == "fan-out is not running, so there is nothing to slow down.\n"

    def test_slow_broker(self, whole: Running) -> None:
        """A slow broker stands still again and again, and runs on as the same process when its time is up."""
        before = status(whole.lab, "broker-1").pid

        with begun(whole.lab, "slow", "broker-1", "200", "--seconds", "5") as slowing:
            seen = set[str]()
            wait_for(lambda: seen.add(psutil.Process(before).status()) or psutil.STATUS_STOPPED in seen, "it stands still")
            assert slowing.wait(20 * PATIENCE) == 0
        assert (status(whole.lab, "broker-1").state, status(whole.lab, "broker-1").pid) == ("running", before)

    def test_slow_broker_whose_command_ends(self, whole: Running) -> None:
        with begun(whole.lab, "slow", "broker-1", "500", "--seconds", "60") as slowing:
            wait_for(lambda: status(whole.lab, "broker-1").state == "frozen", "it stands still")
            slowing.terminate()
            slowing.wait(10 * PATIENCE)
        assert status(whole.lab, "broker-1").state == "running"


class TestFreeze:
    def test_time_is_up(self, whole: Running) -> None:
        """A frozen broker goes on by itself when its time is up, as the same process."""
        before = status(whole.lab, "broker-1").pid

        with begun(whole.lab, "freeze", "broker-1", "--seconds", "2") as freezing:
            assert status(whole.lab, "broker-1").state == "frozen"
            assert freezing.wait(20 * PATIENCE) == 0
        after = status(whole.lab, "broker-1")
        assert (after.state, after.pid) == ("running", before)

    @pytest.mark.parametrize(("action", "same"), [("thaw", True), ("start", True), ("stop", False), ("kill", False)])
    def test_thawed_before(self, whole: Running, action: str, same: bool) -> None:
        """Each of these ends a freeze, whose command then ends. A stop is a clean one."""
        before = status(whole.lab, "consumer").pid

        with begun(whole.lab, "freeze", "consumer", "--seconds", "60") as freezing:
            assert run(whole.lab, "freeze", "consumer").stderr == "consumer is frozen already.\n"
            done(whole.lab, action, "consumer")
            assert freezing.wait(10 * PATIENCE) == 0
        wait_for(lambda: status(whole.lab, "consumer").state == ("stopped" if action == "stop" else "running"), action)
        assert (status(whole.lab, "consumer").pid == before) == same
        if action == "stop":
            last = [line for line in whole.lab.log("supervisord").read_text().splitlines() if "stopped: consumer" in line][-1]
            assert "SIGKILL" not in last

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_command_ended(self, whole: Running, number: int) -> None:
        """A freeze whose command is ended is over."""
        with begun(whole.lab, "freeze", "broker-2", "--seconds", "60") as freezing:
            freezing.send_signal(number)
            freezing.wait(10 * PATIENCE)
        assert status(whole.lab, "broker-2").state == "running"


class TestEnd:
    """These end the lab, so they come last; the data stays."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_stop(self, up: Running, number: int) -> None:
        """Ctrl+C, and the two other ways to end a command, stop workers, brokers, controller in this order within 20 s, leaving nothing."""
        running = Running(up.lab, "up" if number == signal.SIGINT else "kafka").ready() if up.process.poll() is not None else up
        started = APP if running.output_file.name == "up.txt" else KAFKA

        assert running.stop(number) < 20 * PATIENCE

        assert (running.process.returncode, pids(up.lab)) == (0, set())
        lines = up.lab.log("supervisord").read_text().splitlines()
        stopped = [name for line in lines if "stopped: " in line for name in PORTS if f"stopped: {name} (" in line][-len(started) :]
        assert stopped[-1] == "controller"
        assert set(stopped[-3:-1]) == {"broker-1", "broker-2"}
        assert set(stopped) == set(started)

    def test_frozen(self, lab: Lab) -> None:
        """Ctrl+C of a lab with a frozen broker stops that broker in order too, within the same time, and leaves nothing."""
        running = Running(lab, "kafka").ready()
        with begun(lab, "freeze", "broker-1", "--seconds", "60") as freezing:
            assert running.stop(signal.SIGINT) < 20 * PATIENCE
            assert freezing.wait(10 * PATIENCE) == 0

        assert pids(lab) == set()
        last = [line for line in lab.log("supervisord").read_text().splitlines() if "stopped: broker-1" in line][-1]
        assert "SIGKILL" not in last

    def test_killed(self, lab: Lab) -> None:
        """If the lab itself is killed, the next one ends what it left, says so, and runs with the data kept."""
        first = Running(lab, "kafka").ready()
        first.process.kill()
        first.process.wait()
        left = pids(lab)
        assert left

        second = Running(lab, "kafka").ready()

        assert "was not stopped completely" in second.output
        assert not left & pids(lab)
        assert "Preparing an empty cluster" not in second.output
        second.stop()

    def test_supervisord_killed(self, lab: Lab) -> None:
        """If supervisord is killed, the lab says so and ends the rest."""
        running = Running(lab, "kafka").ready()

        os.kill(int((lab.folder / "supervisord.pid").read_text()), signal.SIGKILL)

        assert running.process.wait(30 * PATIENCE) == 1
        assert "supervisord, which runs the lab's processes, has ended" in running.output
        assert pids(lab) == set()

    def test_bad_setting(self, lab: Lab) -> None:
        """A worker that can't start ends the lab, which shows what the worker said."""
        running = Running(lab, KAFKA_PARTITIONS="many")

        assert running.process.wait(60 * PATIENCE) == 1
        assert re.search("(producer|consumer) does not stay up. Its last lines, from", running.output)
        assert "The setting KAFKA_PARTITIONS='many' can't be used" in running.output
        assert pids(lab) == set()

    def test_clean_data(self, lab: Lab) -> None:
        """The data of a lab that is down can be forgotten."""
        assert done(lab, "clean-data") == f"The data in {lab.data} is deleted.\n"
        assert not lab.data.exists()
