"""What a server or a client needs for TLS, and the ``SSLContext`` that is made of it."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.connection.waits import LONGEST_S
from pacs_sdk.network.tls.profiles import TlsProfile, apply_profile

__all__ = ["DICOM_TLS_PORT", "ClientTls", "ServerTls", "client_context", "server_context"]

DICOM_TLS_PORT: Final = 2762
"""The port registered for DICOM over TLS, ``dicom-tls`` (PS3.15 B.10 to B.13)."""


def _path(path: Path | str) -> Path:
    return Path(path)


def _optional_path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)


def _optional_name(_: object, __: object, name: str | None) -> None:
    if name is not None and (not name.strip() or name.startswith(".")):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"the server host name for TLS cannot be {name!r}; leave it out to use the peer's host",
        )


def _positive(_: object, __: object, seconds: float) -> None:
    if not 0 < seconds <= LONGEST_S:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"the TLS handshake timeout is {seconds:g} s; give more than 0, and at most "
            f"{LONGEST_S:.0f}",
        )


@attrs.frozen
class ServerTls:
    """How a server speaks TLS. All files are PEM."""

    certificate: Path = attrs.field(converter=_path)
    """The server's certificate, followed by those between it and the CA."""
    private_key: Path = attrs.field(converter=_path)
    """The certificate's private key; it may be the same file."""
    password: str | None = attrs.field(default=None, repr=False)
    """What the private key is encrypted with."""
    client_ca: Path | None = attrs.field(default=None, converter=_optional_path)
    """The CAs (or single certificates) that clients are trusted by. If set, mutual
    authentication is demanded: a client without such a certificate is refused. With revocation
    lists (``BEGIN X509 CRL``) in the file, a revoked one is, too, and one whose CA has no
    current list there."""
    profile: TlsProfile = TlsProfile.BCP_195
    """The TLS versions and cipher suites."""
    handshake_timeout_s: float = attrs.field(default=10.0, validator=_positive)
    """How long a client may take for the whole handshake, in seconds."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files it is made of."""
        client_ca = () if self.client_ca is None else (self.client_ca,)
        return (self.certificate, self.private_key, *client_ca)


@attrs.frozen
class ClientTls:
    """How a client speaks TLS. All files are PEM."""

    ca: Path | None = attrs.field(default=None, converter=_optional_path)
    """The CAs (or single certificates) that servers are trusted by; ``None`` for those that
    the operating system trusts. Revocation lists in the file count, as a server's do."""
    certificate: Path | None = attrs.field(default=None, converter=_optional_path)
    """The client's own certificate, where the server demands one."""
    private_key: Path | None = attrs.field(default=None, converter=_optional_path)
    """The certificate's private key; it may be the same file."""
    password: str | None = attrs.field(default=None, repr=False)
    """What the private key is encrypted with."""
    server_hostname: str | None = attrs.field(default=None, validator=_optional_name)
    """The name to find in the server's certificate, if it is not the host that is called."""
    check_hostname: bool = True
    """Whether the server's certificate must name the host. Without it any server whose
    certificate is trusted can pass itself off as another."""
    profile: TlsProfile = TlsProfile.BCP_195
    """The TLS versions and cipher suites."""

    def __attrs_post_init__(self) -> None:
        if (self.certificate is None) != (self.private_key is None):
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                "a client certificate needs its private key, and a private key its certificate; "
                "give both or neither",
            )


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """Make the context that a server's connections are wrapped with.

    Raises:
        PacsException: ``FILE_NOT_FOUND``, ``FILE_READ_FAILED`` or, for files that are no PEM,
            don't belong together or are too weak, ``INVALID_CONFIGURATION``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    apply_profile(context, tls.profile)
    # A session that is resumed would outlive a change of the CA, and save little: associations
    # are few and long.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    _load_own_certificate(context, tls.certificate, tls.private_key, tls.password)
    if tls.client_ca is not None:
        _load_trusted(context, tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """Make the context that a client's connections are wrapped with.

    Raises:
        PacsException: As :func:`server_context` does.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # demands a trusted certificate
    apply_profile(context, tls.profile)
    context.check_hostname = tls.check_hostname
    if tls.ca is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_trusted(context, tls.ca)
    if tls.certificate is not None and tls.private_key is not None:
        _load_own_certificate(context, tls.certificate, tls.private_key, tls.password)
    return context


def _load_own_certificate(
    context: ssl.SSLContext, certificate: Path, private_key: Path, password: str | None
) -> None:
    _check_readable("certificate", certificate)
    _check_readable("private key", private_key)

    is_encrypted = False

    def give_password() -> str:  # without this, OpenSSL would ask on the terminal
        nonlocal is_encrypted
        is_encrypted = True
        return password or ""

    try:
        context.load_cert_chain(certificate, private_key, give_password)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        if is_encrypted and "MISMATCH" not in str(exc).upper():
            words = (
                f"the private key {private_key} is encrypted; give its password"
                if password is None
                else f"the password does not open the private key {private_key}"
            )
        else:
            words = _why_not_loaded(exc, certificate, private_key)
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            words,
            certificate=str(certificate),
            private_key=str(private_key),
        ) from exc


def _why_not_loaded(exc: OSError | ValueError, certificate: Path, private_key: Path) -> str:
    reason = (getattr(exc, "reason", None) or str(exc)).upper()
    if "KEY_VALUES_MISMATCH" in reason or "KEY_TYPE_MISMATCH" in reason:
        return f"the private key {private_key} does not belong to the certificate {certificate}"
    if "EE_KEY_TOO_SMALL" in reason or "CA_KEY_TOO_SMALL" in reason:
        return f"a key in {certificate} is too short; RSA needs 2048 bits or more (RFC 9325 4.5)"
    if "MD_TOO_WEAK" in reason:
        return f"a certificate in {certificate} is signed with SHA-1 or MD5; have it issued anew"
    return (
        f"the certificate {certificate} with the private key {private_key} cannot be used; both "
        f"have to be PEM files, one with BEGIN CERTIFICATE, one with BEGIN PRIVATE KEY: {exc}"
    )


def _load_trusted(context: ssl.SSLContext, trusted: Path) -> None:
    _check_readable("CA file", trusted)
    # What the file holds is trusted, and need not be a root: the certificate of one peer will do.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cafile=trusted)
    except OSError as exc:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"the CA file {trusted} holds no certificate in PEM (BEGIN CERTIFICATE): {exc}",
            path=str(trusted),
        ) from exc
    if context.cert_store_stats()["crl"]:  # OpenSSL reads them, and looks at none by itself
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _check_readable(what: str, path: Path) -> None:
    """Find out what is wrong with a file, because OpenSSL doesn't say which one it means."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError as exc:
        raise PacsException(
            ErrorCode.FILE_NOT_FOUND, f"the TLS {what} {path} does not exist", path=str(path)
        ) from exc
    except (OSError, ValueError) as exc:  # a NUL in a path is a ValueError
        reason = getattr(exc, "strerror", None) or str(exc)
        raise PacsException(
            ErrorCode.FILE_READ_FAILED,
            f"the TLS {what} {path} cannot be read: {reason}",
            path=str(path),
        ) from exc
