"""deploy/kubernetes: what Kubernetes and Kustomize would refuse, and what these files say about the app. No cluster is needed."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.test_repository import procfile, settings
from tests.unit.served import served

FOLDER = Path(__file__).parent.parent.parent / "deploy" / "kubernetes"
# The oldest, because of preStop's `sleep`, and the newest whose schemas are here.
VERSIONS = ["1.30", kubernetes_validate.latest_version()]
Manifest = dict[str, Any]


def documents(path: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(path.read_text()))


def manifests() -> dict[str, Manifest]:
    """Each by its kind and name."""
    found = [manifest for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml" for manifest in documents(path)]
    by_name = {f"{manifest['kind']} {manifest['metadata']['name']}": manifest for manifest in found}
    assert len(by_name) == len(found)
    return by_name


MANIFESTS = manifests()
WORKERS = ["Deployment labapp-producer", "Deployment labapp-consumer"]


def pod(name: str) -> Manifest:
    return MANIFESTS[name]["spec"]["template"]["spec"]


def container(name: str) -> Manifest:
    [only] = pod(name)["containers"]
    return only


def variables(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def seconds(setting: str) -> float:
    return float(settings()[setting])


# -- what Kubernetes takes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [name for name, manifest in MANIFESTS.items() if "keda" not in manifest["apiVersion"]])
def test_manifests_have_the_schema(name: str, version: str) -> None:
    """Kubernetes, the oldest version and the newest, knows each field and takes its value."""
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_the_schema_refuses_what_is_wrong() -> None:
    """A field that does not exist, and a value of another type, are found."""
    unknown, wrong = copy.deepcopy(MANIFESTS[WORKERS[0]]), copy.deepcopy(MANIFESTS[WORKERS[0]])
    unknown["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
    wrong["spec"]["replicas"] = "two"

    for manifest in (unknown, wrong):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_keda_gets_texts() -> None:
    """All that a trigger says is text, and each variable that it takes from the consumer is one that the consumer has."""
    scaled = MANIFESTS["ScaledObject labapp-consumer"]["spec"]
    [trigger] = scaled["triggers"]
    taken = [value for field, value in trigger["metadata"].items() if field.endswith("FromEnv")]

    assert scaled["scaleTargetRef"]["name"] == MANIFESTS[WORKERS[1]]["metadata"]["name"]
    assert {type(value) for value in trigger["metadata"].values()} == {str}
    assert len(taken) == 3
    assert set(taken) <= variables(FOLDER / "base" / "settings.env").keys()


def test_keda_logs_in_as_the_consumer() -> None:
    """The secrets that it takes from the consumer's container are in the example's Secret."""
    taken = MANIFESTS["TriggerAuthentication labapp-kafka"]["spec"]["env"]

    assert {one["containerName"] for one in taken} == {container(WORKERS[1])["name"]}
    assert {one["name"] for one in taken} <= variables(FOLDER / "overlays" / "example" / "secrets.env").keys()


# -- what Kustomize takes


def named(kustomization: Path) -> Iterator[Path]:
    """The files and folders that it names."""
    [content] = documents(kustomization)
    names = [*content.get("resources", []), *content.get("components", [])]
    for generator in (*content.get("configMapGenerator", []), *content.get("secretGenerator", [])):
        names += generator["envs"]
    yield from ((kustomization.parent / name).resolve() for name in names)


def test_kustomizations_name_every_file() -> None:
    """Each file or folder that one names exists, and each file here is named by one."""
    kustomizations = list(FOLDER.rglob("kustomization.yaml"))
    all_named = {path for one in kustomizations for path in named(one)}
    folders = {path for path in all_named if path.is_dir()}

    assert len(kustomizations) == 3
    assert [str(path) for path in all_named if not path.exists()] == []
    assert all((folder / "kustomization.yaml") in kustomizations for folder in folders)
    assert {path for path in FOLDER.rglob("*") if path.is_file()} == (all_named - folders) | set(kustomizations)


def test_overlay_changes_what_exists() -> None:
    """The image, the number of producers, the settings and the patched objects of the example are those of the base."""
    [overlay], [base] = (documents(FOLDER / folder / "kustomization.yaml") for folder in ("overlays/example", "base"))
    [component] = documents(FOLDER / "keda" / "kustomization.yaml")
    names = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in MANIFESTS.values()}

    assert {image["name"] for image in overlay["images"]} == {container(name)["image"] for name in (*WORKERS, "Job labapp-release")}
    assert {("Deployment", one["name"]) for one in overlay["replicas"]} <= names
    assert [one["name"] for one in overlay["configMapGenerator"]] == [one["name"] for one in base["configMapGenerator"]]
    assert {(patch["target"]["kind"], patch["target"]["name"]) for patch in overlay["patches"] + component["patches"]} <= names


# -- what the app makes of it


def test_variables_are_settings() -> None:
    """Each variable that a container gets is a setting, so none is misspelled or out of date."""
    given = {variable["name"] for name in (*WORKERS, "Job labapp-release") for variable in container(name).get("env", [])}
    for path in FOLDER.rglob("*.env"):
        given |= variables(path).keys()

    assert {"ROLE", "WEB_HOST", "API_TOKEN"} <= given
    assert given <= settings().keys()


@pytest.mark.parametrize("name", [*WORKERS, "Job labapp-release"])
def test_settings_come_from_map_and_secret(name: str) -> None:
    """Each container gets the ConfigMap that the base makes and the Secret that an overlay makes, which may be missing."""
    [base], [overlay] = (documents(FOLDER / folder / "kustomization.yaml") for folder in ("base", "overlays/example"))
    [made_map], [secret] = base["configMapGenerator"], overlay["secretGenerator"]

    assert container(name)["envFrom"] == [
        {"configMapRef": {"name": made_map["name"]}},
        {"secretRef": {"name": secret["name"], "optional": True}},
    ]


def test_release_is_the_procfiles() -> None:
    """The job runs the command of the platform's release phase. The workers run the image's own command."""
    assert " ".join(container("Job labapp-release")["args"]) == procfile()["release"]
    assert not any({"command", "args"} & container(name).keys() for name in WORKERS)


@pytest.mark.parametrize(("name", "role", "port"), [(WORKERS[0], "producer", 5000), (WORKERS[1], "consumer", 8000)])
def test_roles_and_ports(name: str, role: str, port: int) -> None:
    """A worker has its role, the port that it listens on by default, and a Service that leads there."""
    worker, service = container(name), MANIFESTS[f"Service labapp-{role}"]["spec"]
    [published] = service["ports"]
    labels = MANIFESTS[name]["spec"]["template"]["metadata"]["labels"]

    assert {"name": "ROLE", "value": role} in worker["env"]
    assert worker["ports"] == [{"name": published["targetPort"], "containerPort": port}]
    assert labels == service["selector"] == MANIFESTS[name]["spec"]["selector"]["matchLabels"]
    assert labels == MANIFESTS[f"PodDisruptionBudget labapp-{role}"]["spec"]["selector"]["matchLabels"]
    assert [one["labelSelector"]["matchLabels"] for one in pod(name)["topologySpreadConstraints"]] == [labels]


@pytest.mark.parametrize("name", [*WORKERS, "Job labapp-release"])
def test_least_rights(name: str) -> None:
    """No container is root or writes to its image. It writes to a temporary folder in memory."""
    of_pod = pod(name)["securityContext"]
    assert (of_pod["runAsNonRoot"], of_pod["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert of_pod["runAsUser"] > 0  # a number: of a name Kubernetes could not tell
    assert container(name)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container(name)["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert (pod(name)["automountServiceAccountToken"], pod(name)["enableServiceLinks"]) == (False, False)


@pytest.mark.parametrize("name", WORKERS)
def test_time_to_start_and_to_stop(name: str) -> None:
    """A start may wait for Kafka as long as the app does, and a stop gets its pause and the app's own time before it is killed."""
    startup, pause = container(name)["startupProbe"], container(name)["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert startup["periodSeconds"] * startup["failureThreshold"] > 2 * seconds("START_TIMEOUT_SECONDS")
    assert pod(name)["terminationGracePeriodSeconds"] > pause + 2 * seconds("STOP_TIMEOUT_SECONDS")


def set_up(pod_ip: str) -> None:
    from labapp.app import app

    app.conf.web_host = pod_ip  # as a worker's start sets it from WEB_HOST


@pytest.mark.parametrize("folder", ["base", "overlays/example"])
@pytest.mark.parametrize("name", WORKERS)
def test_probes_and_services_are_answered(name: str, folder: str, tmp_path: Path) -> None:
    """The kubelet asks with the pod's IP as Host, other pods with the Service's name. No answer is 421, and health needs no token."""
    probes = [container(name)[probe] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert all(probe["httpGet"].keys() == {"path", "port"} for probe in probes), "Host would be another one"
    [host] = [one["valueFrom"] for one in container(name)["env"] if one["name"] == "WEB_HOST"]
    assert host == {"fieldRef": {"fieldPath": "status.podIP"}}
    given = variables(FOLDER / folder / "settings.env")
    role, port = re.sub(".*-", "", name), container(name)["ports"][0]["containerPort"]
    access = {"ALLOWED_HOSTS": given["ALLOWED_HOSTS"], "API_TOKEN": "t", "API_TOKEN_FOR": "everything"}

    with served(tmp_path, set_up, "10.1.2.3", ROLE=role, **access) as worker:
        statuses = {probe["httpGet"]["path"]: worker.get(probe["httpGet"]["path"], Host=f"10.1.2.3:{port}").status for probe in probes}
        assert statuses == {"/health/live": 200, "/health/ready": 503}  # there is no Kafka
        assert worker.get("/ping", Host=f"labapp-{role}").status == 200
        assert worker.get("/health/live", Host=f"10.1.2.4:{port}").status == 421
