"""Settings of the connection's security: what fits together, and what is refused in one sentence that shows no secret."""

import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key

from tests.unit.apart import python

CA = trustme.CA()
OURS = CA.issue_cert("app.example")
CA_PEM, CERT_PEM, KEY_PEM = (blob.bytes().decode() for blob in (CA.cert_pem, OURS.cert_chain_pems[0], OURS.private_key_pem))
OTHER_KEY_PEM = CA.issue_cert("other.example").private_key_pem.bytes().decode()
ENCRYPTED_KEY_PEM = (
    load_pem_private_key(KEY_PEM.encode(), None)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    .decode()
)
TLS = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CA": CA_PEM}
SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_USERNAME": "app", "KAFKA_SASL_PASSWORD": "p@ss"}
URL_REFUSED = "The setting KAFKA_URL can't be used: it must be"
HEROKU = {
    "KAFKA_URL": "kafka+ssl://one.example:9096,kafka+ssl://two.example:9096",
    "KAFKA_TRUSTED_CERT": CA_PEM,
    "KAFKA_CLIENT_CERT": CERT_PEM,
    "KAFKA_CLIENT_CERT_KEY": KEY_PEM,
    "KAFKA_PREFIX": "columbia-1.",
}


def security(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs code after the import of settings and security, with PEM files kept in the folder if they are kept at all."""
    code = f"from labapp import settings; from labapp.kafka.security import *; {code}"
    return python(folder, "-c", code, TMPDIR=str(folder), **environment)


def shown(code: str, folder: Path, **environment: str) -> str:
    found = security(f"print(({code}))", folder, **environment)
    assert found.stderr == ""
    return found.stdout.strip()


def test_without_any_setting(tmp_path: Path) -> None:
    """Nothing is encrypted and nobody asks who we are, as with the local brokers."""
    assert shown("client_arguments(), credentials()", tmp_path) == "({'security_protocol': 'PLAINTEXT'}, None)"


def test_by_password(tmp_path: Path) -> None:
    """Both clients get the same; Faust's does not show the password."""
    environment = {**SASL, "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}

    assert shown("client_arguments(), credentials()", tmp_path, **environment) == (
        "({'security_protocol': 'SASL_PLAINTEXT', 'sasl_mechanism': 'SCRAM-SHA-512', 'sasl_plain_username': 'app', "
        "'sasl_plain_password': 'p@ss'}, <SASLCredentials: username=app>)"
    )
    assert shown("credentials().protocol.value", tmp_path, **environment, KAFKA_SSL_CA="") == "SASL_PLAINTEXT"
    assert shown("credentials().protocol.value", tmp_path, **{**environment, **TLS, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}) == "SASL_SSL"


@pytest.mark.parametrize("as_path", [False, True])
def test_by_certificate(as_path: bool, tmp_path: Path) -> None:
    """Path or text; only our CA is trusted, host names are checked, and no file of ours stays."""
    values = {"KAFKA_SSL_CA": CA_PEM, "KAFKA_SSL_CERT": CERT_PEM, "KAFKA_SSL_KEY": KEY_PEM}
    if as_path:
        for name, text in values.items():
            (tmp_path / name).write_text(text)
        values = {name: str(tmp_path / name) for name in values}
    else:
        values["KAFKA_SSL_KEY"] = KEY_PEM.replace("\n", "\\n")  # as in .env

    found = "CONTEXT.check_hostname, CONTEXT.verify_mode.name, CONTEXT.cert_store_stats()['x509_ca'], credentials().context is CONTEXT"

    assert shown(found, tmp_path, KAFKA_SECURITY_PROTOCOL="SSL", **values) == "(True, 'CERT_REQUIRED', 1, True)"
    assert list(tmp_path.glob("labapp-*")) == []


def test_as_on_heroku(tmp_path: Path) -> None:
    """Brokers, certificates and names are taken from what is set there, and nothing else has to be."""
    assert shown("settings.KAFKA_BOOTSTRAP_SERVERS, settings.KAFKA_SECURITY_PROTOCOL", tmp_path, **HEROKU) == (
        "(['one.example:9096', 'two.example:9096'], 'SSL')"
    )
    assert shown("CONTEXT.check_hostname, CONTEXT.verify_mode.name", tmp_path, **HEROKU) == "(False, 'CERT_REQUIRED')"
    names = "settings.KAFKA_TOPIC, settings.CONSUMER_GROUP, settings.DEAD_LETTER_TOPIC, settings.PRODUCER_TOPICS"
    assert shown(names, tmp_path, **HEROKU, CONSUMER_GROUP="columbia-1.there", PRODUCER_TOPICS="more") == (
        "('columbia-1.first-topic', 'columbia-1.there', 'columbia-1.dlq', ['columbia-1.more'])"
    )


def test_host_names_are_checked_without_herokus_ca(tmp_path: Path) -> None:
    """Its certificates alone are let off."""
    environment = {"KAFKA_URL": HEROKU["KAFKA_URL"], "KAFKA_SSL_CA": CA_PEM}

    assert shown("CONTEXT.check_hostname", tmp_path, **environment) == "True"
    assert shown("settings.KAFKA_SECURITY_PROTOCOL", tmp_path, KAFKA_URL="kafka://one.example:9092") == "PLAINTEXT"


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({**SASL, "KAFKA_SASL_PASSWORD": ""}, "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD."),
        ({**SASL, "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "A KAFKA_SASL_... setting has no effect with KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
        ({**TLS, "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}, "A KAFKA_SSL_... setting has no effect with KAFKA_SECURITY_PROTOCOL=PLAINTEXT"),
        ({**TLS, "KAFKA_SSL_KEY": KEY_PEM}, "The setting KAFKA_SSL_KEY needs KAFKA_SSL_CERT."),
        ({**TLS, "KAFKA_SSL_CA": "", "KAFKA_SSL_CHECK_HOSTNAME": "false"}, "KAFKA_SSL_CHECK_HOSTNAME=false needs KAFKA_SSL_CA."),
        ({**TLS, "KAFKA_SSL_CA": "nowhere.pem"}, "The setting KAFKA_SSL_CA names a file that can't be read (No such file or directory)."),
        ({**TLS, "KAFKA_SSL_CA": sys.executable}, "The setting KAFKA_SSL_CA names a file that is not in PEM form."),
        ({**TLS, "KAFKA_SSL_CA": KEY_PEM}, "The setting KAFKA_SSL_CA has no certificate that can be used"),
        ({**TLS, "KAFKA_SSL_CERT": CERT_PEM, "KAFKA_SSL_KEY": OTHER_KEY_PEM}, "KAFKA_SSL_CERT and KAFKA_SSL_KEY are not a certificate"),
        ({**TLS, "KAFKA_SSL_CERT": CERT_PEM}, "KAFKA_SSL_CERT and KAFKA_SSL_KEY are not a certificate and its key"),
        ({**TLS, "KAFKA_SSL_CERT": CERT_PEM, "KAFKA_SSL_KEY": ENCRYPTED_KEY_PEM}, "The key in KAFKA_SSL_KEY is encrypted"),
        ({**HEROKU, "KAFKA_CLIENT_CERT_KEY": "gone"}, "The setting KAFKA_CLIENT_CERT_KEY names a file that can't be read"),
        ({"KAFKA_URL": "https://user:s3cret@one.example:9096"}, f"{URL_REFUSED} a list of kafka+ssl://host:port"),
        ({"KAFKA_URL": "kafka+ssl://one:9096,kafka://two:9096"}, f"{URL_REFUSED} a list of kafka+ssl://host"),
        ({"KAFKA_URL": "kafka+ssl://one"}, f"{URL_REFUSED} a list of host:port"),
        ({"KAFKA_PREFIX": "a b"}, "The setting KAFKA_PREFIX='a b' can't be used"),
        ({"KAFKA_SSL_CHECK_HOSTNAME": "no"}, "The setting KAFKA_SSL_CHECK_HOSTNAME='no' can't be used: it must be true or false."),
        ({"API_TOKEN": "s3cret with spaces"}, "The setting API_TOKEN can't be used: it must be printable ASCII without spaces."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(environment: dict[str, str], sentence: str, tmp_path: Path) -> None:
    """One sentence, no secret in it, and no question on the terminal."""
    refused = security("", tmp_path, **environment)

    assert refused.returncode == 1
    assert refused.stderr.startswith(sentence)
    assert refused.stderr.count("\n") == 1
    assert "s3cret" not in refused.stderr
    assert list(tmp_path.glob("labapp-*")) == []
