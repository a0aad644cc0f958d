"""The security of connections to Kafka: the SSL context and the arguments for aiokafka's and Faust's clients, made from the settings.

The context is made once, when the program starts. Settings that contradict each other, or can't be read, end the program with one
sentence.
"""

import ssl
from asyncio import IncompleteReadError
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from faust import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from labapp import settings

TLS = settings.KAFKA_SECURITY_PROTOCOL in ("SSL", "SASL_SSL")
SASL = settings.KAFKA_SECURITY_PROTOCOL in ("SASL_PLAINTEXT", "SASL_SSL")
_PROTOCOL = f"KAFKA_SECURITY_PROTOCOL={settings.KAFKA_SECURITY_PROTOCOL}"
_MECHANISM = f"KAFKA_SASL_MECHANISM={settings.KAFKA_SASL_MECHANISM}"
# The names of the settings that have the CA, the certificate and its key.
_CA, _CERT, _KEY = (
    ("KAFKA_TRUSTED_CERT", "KAFKA_CLIENT_CERT", "KAFKA_CLIENT_CERT_KEY")
    if settings.KAFKA_URL and settings.KAFKA_TRUSTED_CERT
    else ("KAFKA_SSL_CA", "KAFKA_SSL_CERT", "KAFKA_SSL_KEY")
)


def client_arguments() -> dict[str, Any]:
    """The arguments of any aiokafka client for the security of its connections."""
    arguments: dict[str, Any] = {"security_protocol": settings.KAFKA_SECURITY_PROTOCOL}
    if TLS:
        arguments["ssl_context"] = CONTEXT
    if SASL:
        arguments["sasl_mechanism"] = settings.KAFKA_SASL_MECHANISM
        arguments["sasl_plain_username"] = settings.KAFKA_SASL_USERNAME
        arguments["sasl_plain_password"] = settings.KAFKA_SASL_PASSWORD
    return arguments


def credentials() -> CredentialsT | None:
    """The same arguments as Faust's `broker_credentials`."""
    if SASL:
        return SASLCredentials(
            mechanism=settings.KAFKA_SASL_MECHANISM,
            username=settings.KAFKA_SASL_USERNAME,
            password=settings.KAFKA_SASL_PASSWORD,
            ssl_context=CONTEXT,
        )
    return SSLCredentials(CONTEXT) if CONTEXT else None


async def refusal(servers: list[str], at_last: bool = False) -> str | None:
    """One sentence, without its full stop, if a broker refuses us or we refuse it; None if that is not known.

    It asks each broker, because aiokafka's clients only log why they could not connect. `at_last`: no more time is left to wait.
    """
    for server in servers:
        host, _, port = server.rpartition(":")
        timeout_ms = int(settings.KAFKA_REQUEST_TIMEOUT_SECONDS * 1000)
        try:
            connection = await create_conn(host.strip("[]"), int(port), request_timeout_ms=timeout_ms, **client_arguments())
        except (KafkaError, OSError, TimeoutError) as exc:
            if sentence := explanation(exc, server):
                return sentence
            if at_last and (isinstance(exc, ConnectionResetError) or isinstance(exc.__cause__, IncompleteReadError)):
                return f"The Kafka broker at {server} ends the connection at once: {_PROTOCOL} may not fit"
        else:
            await connection.close()
    return None


def explanation(error: BaseException, server: str) -> str | None:
    """One sentence if the error says that a broker refuses us or we refuse it, None if it has another reason."""
    broker = f"The Kafka broker at {server}"
    for exc in _causes(error):
        match exc:
            case ssl.SSLCertVerificationError():
                return f"The certificate of the Kafka broker at {server} is not accepted: {_verification(exc)}"
            case ssl.SSLError(reason=str(reason)) if "_ALERT_" in reason and settings.KAFKA_SSL_CERT:
                return f"{broker} does not accept this client's certificate ({_alert(reason)}): see {_CERT} and {_KEY}"
            case ssl.SSLError(reason=str(reason)) if "_ALERT_" in reason:
                return f"{broker} does not accept a client without a certificate ({_alert(reason)}): set {_CERT} and {_KEY}"
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
                return None  # as from a broker that is shutting down
            case ssl.SSLError():
                return f"{broker} does not use TLS on that port: {_PROTOCOL} does not fit"
            case SaslAuthenticationFailed() | AuthenticationFailedError():
                return f"{broker} does not accept KAFKA_SASL_USERNAME={settings.KAFKA_SASL_USERNAME!r} and its password ({_MECHANISM})"
            case UnsupportedSaslMechanismError():
                return f"{broker} does not support {_MECHANISM}"
            case IllegalSaslStateError():
                return f"{broker} does not use SASL on that port: {_PROTOCOL} does not fit"
    return None


def _alert(reason: str) -> str:
    """The broker's reason in words, from OpenSSL's name, such as TLSV13_ALERT_CERTIFICATE_REQUIRED."""
    return reason.partition("_ALERT_")[2].lower().replace("_", " ")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


# OpenSSL's numbers (X509_V_ERR_...).
_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS, _UNKNOWN_CA = 10, 62, 64, (2, 18, 19, 20, 21)


def _verification(exc: ssl.SSLCertVerificationError) -> str:
    if exc.verify_code == _EXPIRED:
        return "it has expired"
    if exc.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return "it is issued to another name (KAFKA_SSL_CHECK_HOSTNAME=false would accept it)"
    if exc.verify_code in _UNKNOWN_CA:
        return f"it comes from an unknown CA, so set {_CA} to the right one"
    return exc.verify_message


# -- the context


def _context() -> ssl.SSLContext | None:
    """None without TLS. Ends the program if the settings can't be used."""
    _ensure_settings_fit()
    if not TLS:
        return None
    authority = _pem(settings.KAFKA_SSL_CA, _CA)
    try:
        context = ssl.create_default_context(cadata=authority or None)
    except ssl.SSLError as exc:
        raise settings.cant_start(f"The setting {_CA} has no certificate that can be used ({exc.reason}).") from None
    if authority:
        # From Python 3.13 on, a CA must have fields, such as a key usage, that many private CAs lack.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = settings.KAFKA_SSL_CHECK_HOSTNAME
    if settings.KAFKA_SSL_CERT:
        _load_own(context, _pem(settings.KAFKA_SSL_CERT, _CERT), _pem(settings.KAFKA_SSL_KEY, _KEY))
    return context


def _ensure_settings_fit() -> None:
    if SASL and not (settings.KAFKA_SASL_USERNAME and settings.KAFKA_SASL_PASSWORD):
        raise settings.cant_start(f"{_PROTOCOL} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD.")
    if not SASL and (settings.KAFKA_SASL_USERNAME or settings.KAFKA_SASL_PASSWORD):
        raise settings.cant_start(
            f"A KAFKA_SASL_... setting has no effect with {_PROTOCOL}: set SASL_SSL or SASL_PLAINTEXT, or remove the setting."
        )
    if not TLS and (settings.KAFKA_SSL_CA or settings.KAFKA_SSL_CERT or settings.KAFKA_SSL_KEY):
        raise settings.cant_start(f"A KAFKA_SSL_... setting has no effect with {_PROTOCOL}: set SSL or SASL_SSL, or remove the setting.")
    if settings.KAFKA_SSL_KEY and not settings.KAFKA_SSL_CERT:
        raise settings.cant_start(f"The setting {_KEY} needs {_CERT}.")
    if TLS and not settings.KAFKA_SSL_CHECK_HOSTNAME and not settings.KAFKA_SSL_CA:
        # Anybody with a certificate of a public CA could pretend to be the broker.
        raise settings.cant_start("KAFKA_SSL_CHECK_HOSTNAME=false needs KAFKA_SSL_CA.")


def _pem(value: str, name: str) -> str:
    """The PEM text of a setting, which is a path or PEM text. In the text, line ends may be \\n, since .env has one line a setting."""
    if "-----BEGIN" in value:
        return value.replace("\\n", "\n") + "\n"
    if not value:
        return ""
    try:
        text = Path(value).read_bytes().decode("ascii", "ignore")
    except (OSError, ValueError) as exc:  # ValueError: not a path. The value might be a key, so it is not shown.
        raise settings.cant_start(
            f"The setting {name} names a file that can't be read ({getattr(exc, 'strerror', None) or exc})."
        ) from None
    if "-----BEGIN" not in text:
        raise settings.cant_start(f"The setting {name} names a file that is not in PEM form.")
    return text


def _load_own(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Loads our certificate and its key, which may be in one text. Python reads them only from a file, so one exists for that moment."""

    def refuse() -> bytes:  # else OpenSSL asks on the terminal
        raise settings.cant_start(f"The key in {_KEY if key else _CERT} is encrypted: give a key without a passphrase.")

    with NamedTemporaryFile("w", prefix="labapp-", suffix=".pem", encoding="ascii", errors="ignore") as file:  # mode 600
        file.write(certificate + key)
        file.flush()
        try:
            context.load_cert_chain(file.name, password=refuse)
        except ssl.SSLError as exc:
            raise settings.cant_start(f"{_CERT} and {_KEY} are not a certificate and its key ({exc.reason or 'unreadable'}).") from None


CONTEXT = _context()
