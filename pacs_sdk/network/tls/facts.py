"""What was agreed on a TLS connection, and who the peer proved to be."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable
from typing import Final

import attrs

__all__ = ["TlsFacts", "tls_facts"]

_SHORT_NAMES: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
"""The attribute types that RFC 4514 3 abbreviates; others keep their LDAP name or number."""

_SPECIAL: Final = frozenset('"+,;<>\\')


@attrs.frozen
class TlsFacts:
    """One TLS connection, for the log, the audit trail and access rules."""

    version: str
    """The protocol version, such as ``TLSv1.3``."""
    cipher: str
    """The cipher suite by OpenSSL's name, such as ``TLS_AES_256_GCM_SHA384``."""
    peer_subject: str = ""
    """The subject of the peer's certificate as RFC 4514 text, such as
    ``CN=ct1.hospital.example,O=Hospital``; empty if it showed none."""
    peer_certificate_fingerprint_sha256: str = ""
    """SHA-256 of the peer's certificate (DER), 64 lower-case hexadecimal digits; empty if it
    showed none."""


def tls_facts(connected: ssl.SSLSocket) -> TlsFacts:
    """Describe a connection whose handshake is done."""
    cipher = connected.cipher()
    der = connected.getpeercert(binary_form=True)
    subject = (connected.getpeercert() or {}).get("subject", ())
    return TlsFacts(
        version=connected.version() or "",
        cipher="" if cipher is None else cipher[0],
        peer_subject=_distinguished_name(subject),  # type: ignore[arg-type]  # typed for all keys
        peer_certificate_fingerprint_sha256="" if der is None else hashlib.sha256(der).hexdigest(),
    )


def _distinguished_name(subject: Iterable[Iterable[tuple[str, str]]]) -> str:
    """Write a name as RFC 4514 2 says: last part first, its values escaped."""
    parts = [
        "+".join(f"{_SHORT_NAMES.get(kind, kind)}={_escaped(value)}" for kind, value in part)
        for part in subject
    ]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    """Escape a value (RFC 4514 2.4), control characters too, so that no name breaks a log."""
    last = len(value) - 1
    escaped: list[str] = []
    for place, character in enumerate(value):
        if ord(character) < 0x20 or ord(character) == 0x7F:
            escaped.append(f"\\{ord(character):02x}")
        elif (
            character in _SPECIAL
            or (character == " " and place in (0, last))
            or (character == "#" and place == 0)
        ):
            escaped.append(f"\\{character}")
        else:
            escaped.append(character)
    return "".join(escaped)
