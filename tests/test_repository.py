"""Files that say the same thing in two places, and rules about all files."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from labapp.lab import BROKERS, PORTS, kafka

ROOT = Path(__file__).parent.parent

# In two halves, so that this file does not have them.
FORBIDDEN = [a + b for a, b in (("/wo", "rk/"), ("../sha", "red"), ("--index", "-url"), ("--extra-index", "-url"))]
FORBIDDEN += [a + b for a, b in (("pypi", ".org"), ("pythonhosted", ".org"), ("registry.npmjs", ".org"), ("proxy.golang", ".org"))]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# -- settings


def settings() -> dict[str, str]:
    """Name and default, as text, of each setting of settings.py; of the source, so that this machine's environment has no say."""
    found = {}
    for node in ast.parse(read("labapp/settings.py")).body:
        call = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "config":
            name, default = (ast.unparse(argument) for argument in call.args[:2])
            found[ast.literal_eval(name)] = str(eval(default, {"ROLE": "all"}))
    return found


def test_settings_are_found() -> None:
    """The tests below see the settings that everybody knows."""
    assert {"KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPIC", "CONSUMER_GROUP", "PORT", "ROLE"} <= settings().keys()
    assert settings()["PORT"] == "5000"


def test_env_example_has_every_setting_with_its_default() -> None:
    """.env.example lists each setting, commented out, with the default that it has."""
    assert dict(re.findall(r"^#([A-Z_]+)=(.*)$", read(".env.example"), re.MULTILINE)) == settings()


def test_env_example_changes_nothing_as_it_is() -> None:
    """Who copies .env.example to .env and edits nothing gets the defaults."""
    assert [line for line in read(".env.example").splitlines() if line and not line.startswith("#")] == []


def test_only_settings_reads_the_environment() -> None:
    """Every setting is in settings.py: no other file of the app asks the environment, and no import is relative."""
    checked = subprocess.run(
        [Path(sys.executable).with_name("ruff"), "check", "--select=SLF,TID", "labapp"], cwd=ROOT, capture_output=True, text=True
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_app_json_names_settings_only() -> None:
    """What app.json offers to be set is a setting, with its default where it gives one."""
    offered = json.loads(read("app.json"))["env"]

    assert offered.keys() <= settings().keys()
    values = {name: e["value"] for name, e in offered.items() if "value" in e}
    assert values.pop("ALLOWED_HOSTS") == "*"  # the platform's router passes on only the app's own names, which nobody knows beforehand
    assert values.pop("KAFKA_REPLICATION") == "3"  # Heroku takes no fewer
    assert values.items() <= settings().items()
    assert offered["API_TOKEN"]["generator"] == "secret"  # in public nobody may send events without it


# -- platforms


def procfile() -> dict[str, str]:
    return dict(line.split(": ", 1) for line in read("Procfile").splitlines())


def test_procfile_types() -> None:
    """The process types that platforms are told to start, each worker reachable by the others."""
    worker = "faust -A labapp.app worker -l info"

    assert procfile() == {
        "web": f"{worker} --web-port $PORT --web-bind 0.0.0.0",
        "producer": f"ROLE=producer {worker} --web-bind 0.0.0.0",
        "consumer": f"ROLE=consumer {worker} --web-bind 0.0.0.0",
        "release": "faust -A labapp.app release",
    }


def test_app_json_names_process_types_only() -> None:
    """What app.json says about a process type is about one of the Procfile's."""
    manifest = json.loads(read("app.json"))

    assert manifest["formation"].keys() <= procfile().keys()
    assert manifest["healthchecks"].keys() <= procfile().keys()


def test_one_python_version() -> None:
    """Image and platform run the same Python, one that the project supports."""
    version = read(".python-version").strip()

    assert re.search(r"^FROM python:(.+)-slim$", read("Dockerfile"), re.MULTILINE).group(1) == version
    assert tuple(map(int, version.split("."))) >= (3, 11)


# -- packages


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", read(name), re.MULTILINE))


def wanted(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9._-]+", one).group().lower() for one in requirements}


def test_requirements_are_the_projects() -> None:
    """Each requirement of pyproject.toml is pinned: the app's in requirements.txt, tracing's in one more, all in the last."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    app, otel, dev = pins("requirements.txt"), pins("requirements-otel.txt"), pins("requirements-dev.txt")
    extra = set().union(*map(wanted, project["optional-dependencies"].values()))

    assert wanted(project["dependencies"]) <= app.keys()
    assert not extra & app.keys()
    assert extra <= dev.keys()
    assert wanted(project["optional-dependencies"]["otel"]) <= otel.keys()
    assert app.items() <= otel.items() <= dev.items(), "run: make requirements"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-otel.txt", "requirements-dev.txt"])
def test_every_pin_has_hashes(name: str) -> None:
    """Nothing can be installed but what was looked at."""
    pinned = re.split(r"\n(?=[a-z])", read(name))[1:]

    assert len(pinned) == len(pins(name))
    assert [one.splitlines()[0] for one in pinned if "--hash=sha256:" not in one] == []


# -- compose


def compose() -> dict[str, Any]:
    return yaml.safe_load(read("docker-compose.yml"))


def test_compose_kafka_has_the_labs_settings() -> None:
    """The brokers in containers behave as the local ones: same version, same settings, same ids."""
    services = compose()["services"]

    for name, node_id in kafka.NODE_IDS.items():
        environment = {key: str(value) for key, value in services[name]["environment"].items()}
        assert services[name]["image"] == f"apache/kafka:{kafka.USUAL_VERSION}"
        assert environment["CLUSTER_ID"] == kafka.CLUSTER_ID
        assert environment["KAFKA_NODE_ID"] == str(node_id)
        assert {variable(key): value for key, value in kafka.SETTINGS.items()}.items() <= environment.items()


def variable(setting: str) -> str:
    """The environment variable that the image turns into a broker's setting."""
    return "KAFKA_" + setting.upper().replace("-", "___").replace("_", "__").replace(".", "_")


def test_compose_has_the_labs_processes_on_its_ports() -> None:
    """What a README, a script or the page says about ports is true in containers too; all of them on loopback."""
    services = compose()["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published.pop("kafka-ui") == ["127.0.0.1:8080:8080"]
    published["consumer"] = published.pop("consumer-port")  # which stands in front of it
    assert published == {name: [f"127.0.0.1:{port}:{port}"] for name, port in PORTS.items() if name != "controller"}
    for name in BROKERS:
        assert services[name]["environment"]["KAFKA_ADVERTISED_LISTENERS"].endswith(f"OUTSIDE://localhost:{PORTS[name]}")


def test_compose_consumer_can_be_scaled() -> None:
    """Nothing that only one container can have; port 8000 leads to the service, whose containers announce their own host names."""
    consumer, front = (compose()["services"][name] for name in ("consumer", "consumer-port"))

    assert not {"ports", "container_name", "hostname", "networks"} & consumer.keys()
    assert not {"PORT", "WEB_BIND", "WEB_HOST"} & consumer["environment"].keys()
    assert re.search(r"^ENV .*\bWEB_BIND=0\.0\.0\.0$", read("Dockerfile"), re.MULTILINE)
    assert front["volumes"] == ["./haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro"]
    assert re.search(r"^ *bind :8000$", read("haproxy.cfg"), re.MULTILINE)
    assert re.search(r"^ *server-template \S+ \d+ consumer:8000$", read("haproxy.cfg"), re.MULTILINE)


def test_compose_workers_answer_to_their_services_names() -> None:
    """A container asks another one by the name of its service. Each worker allows all of them."""
    services = compose()["services"]
    workers = {name for name, service in services.items() if service["image"].startswith("labapp:")} - {"release"}

    assert workers == {"producer", "consumer", "second-consumer", "fan-out"}
    for name in workers:
        assert workers | {"consumer-port"} == set(services[name]["environment"]["ALLOWED_HOSTS"].split(","))


def test_compose_names_versions() -> None:
    """The same file starts the same programs next year."""
    for name, service in compose()["services"].items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name


COMPOSE_SCHEMA = Draft7Validator(json.loads(read("tests/vendor/compose-spec-170098b/compose-spec.json")))


def test_compose_file_is_as_specified() -> None:
    """The Compose specification's own schema allows it, and `docker compose config` does where there is one."""
    assert [f"{error.json_path}: {error.message}" for error in COMPOSE_SCHEMA.iter_errors(compose())] == []
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            config = [*command, "-f", "docker-compose.yml", "config", "--quiet"]
            checked = subprocess.run(config, cwd=ROOT, capture_output=True, text=True)
            assert checked.returncode == 0, checked.stderr


def test_a_compose_file_with_a_mistake_is_noticed() -> None:
    """A name that the specification does not know is an error, at the top and in a service."""
    wrong = compose()
    wrong["servises"] = {}
    wrong["services"]["producer"]["port"] = [5000]

    assert {error.json_path for error in COMPOSE_SCHEMA.iter_errors(wrong)} == {"$", "$.services.producer"}


def test_compose_names_what_it_has() -> None:
    """Each service that another one waits for, and each volume, is in the file. The schema can't tell."""
    whole = compose()
    for name, service in whole["services"].items():
        assert set(service.get("depends_on", {})) <= whole["services"].keys(), name
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {volume for volume in volumes if not volume.startswith(".")} <= whole["volumes"].keys(), name


# -- all files


def test_imports_have_one_direction() -> None:
    """pyproject.toml lists the layers of labapp. A new package or module needs a place there."""
    checked = subprocess.run([Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_view_is_loaded() -> None:
    """The app names each module of labapp/views. One that it does not name would not be served."""
    modules = {f"labapp.views.{path.stem}" for path in (ROOT / "labapp" / "views").glob("*.py") if path.stem != "__init__"}

    assert modules == set(re.findall(r'"(labapp\.views\.\w+)"', read("labapp/app.py")))


def files() -> Iterator[Path]:
    """All files of the repository: what .gitignore names is left out. A copy without git has the same."""
    ignored = {line.strip("/") for line in read(".gitignore").splitlines()} | {".git"}
    for folder, folders, names in os.walk(ROOT):
        here = Path(folder).relative_to(ROOT)
        folders[:] = [name for name in folders if name not in ignored and str(here / name) not in ignored]
        yield from (ROOT / here / name for name in names if name not in ignored)


def test_forbidden_words() -> None:
    """No file names a place that only its author's machine has, or where packages come from: that is for each machine to say."""
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in files()
        if path.is_file()
        for word in FORBIDDEN
        if word.encode() in path.read_bytes()
    ]

    assert found == []
