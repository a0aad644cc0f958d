"""A value that can't be used ends the program with one sentence that names the setting."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.apart import python


def settings(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return python(folder, "-c", f"from labapp.settings import *; {code}", **environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:99999"),
        ("KAFKA_TOPIC", "first topic"),
        ("KAFKA_TOPIC", ""),
        ("CONSUMER_GROUP", ".."),
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("ROLE", "both"),
        ("KAFKA_PARTITIONS", "-1"),
        ("ROWS_KEPT", "0"),
        ("PRODUCE_TIMEOUT_SECONDS", "soon"),
        ("PRODUCE_TIMEOUT_SECONDS", "nan"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("CORS_ORIGINS", "*"),
        ("ALLOWED_HOSTS", "lab.example.com:443"),
        ("API_TOKEN_FOR", "reads"),
        ("API_TOKEN_FOR", "everything"),  # without a token
        ("ALLOWED_HOSTS", "https://lab.example.com"),
        ("CORS_ORIGINS", "http://localhost:3000/page"),
        ("PRODUCER_TOPICS", "a,b c"),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence(name: str, value: str, tmp_path: Path) -> None:
    """Without a traceback, exit code not 0."""
    refused = settings("", tmp_path, **{name: value})

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"The setting {name}={value!r} can't be used: ")
    assert refused.stderr.count("\n") == 1


def test_the_environment_beats_dotenv_beats_the_default(tmp_path: Path) -> None:
    """In this order; `.env` is looked for in the current folder."""
    (tmp_path / ".env").write_text("KAFKA_TOPIC=from-dotenv\nCONSUMER_GROUP=from-dotenv\n")

    found = settings("print(KAFKA_TOPIC, CONSUMER_GROUP, ROLE, PORT)", tmp_path, KAFKA_TOPIC="from-environment")

    assert found.stdout == "from-environment from-dotenv all 5000\n"


@pytest.mark.parametrize(("role", "port"), [("all", 5000), ("producer", 5000), ("consumer", 8000)])
def test_the_port_depends_on_the_role(role: str, port: int, tmp_path: Path) -> None:
    """A consumer's is 8000."""
    assert settings("print(PORT)", tmp_path, ROLE=role).stdout == f"{port}\n"
