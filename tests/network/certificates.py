"""Certificates for the tests of TLS, made anew for each run: no key is ever kept."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

__all__ = ["CertificateAuthority", "Identity"]

_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_DAY = timedelta(days=1)


@attrs.frozen
class Identity:
    """A certificate and its key, as files."""

    certificate: Path
    """PEM."""
    private_key: Path
    """PEM."""
    certificate_der: bytes
    """The certificate as it goes over the line."""


class CertificateAuthority:
    """Issues certificates into a folder.

    Args:
        folder: Where the files go.
        name: Its common name, and the start of its file's.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key, days=1).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate = folder / f"{name}.pem"
        """Its own certificate, to trust it by."""
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def trusted_with_crl(self, name: str, *revoked: Identity, days: int = 1) -> Path:
        """Write a file with its certificate and a revocation list.

        Args:
            name: The file's.
            revoked: Whose certificates are revoked.
            days: How long the list is current; 0 for one that ended yesterday.
        """
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - 2 * _DAY)
            .next_update(now + (days or -1) * _DAY)
        )
        for one in revoked:
            serial = x509.load_der_x509_certificate(one.certificate_der).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(now - 2 * _DAY)
                .build()
            )
        signed = builder.sign(self._key, hashes.SHA256())
        file = self._folder / f"{name}.pem"
        listed = signed.public_bytes(serialization.Encoding.PEM)
        file.write_bytes(self.certificate.read_bytes() + listed)
        return file

    def issue(
        self,
        name: str,
        *,
        hosts: Sequence[str] = ("127.0.0.1", "localhost"),
        subject: x509.Name | None = None,
        rsa_bits: int | None = None,
        password: str | None = None,
        days: int = 1,
    ) -> Identity:
        """Issue a certificate.

        Args:
            name: Its common name, and the start of the names of its files.
            hosts: The host names and addresses that it is for.
            subject: The subject, if more than a common name.
            rsa_bits: The length of an RSA key; an elliptic one (P-256) if ``None``.
            password: What to encrypt the private key with.
            days: How long it will be valid; 0 for one that expired yesterday.
        """
        key: _PrivateKey = (
            ec.generate_private_key(ec.SECP256R1())
            if rsa_bits is None
            else rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
        )
        subject = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self._name, key, days=days).add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        files = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()
                if password is None
                else serialization.BestAvailableEncryption(password.encode()),
            )
        )
        return Identity(*files, certificate.public_bytes(serialization.Encoding.DER))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _PrivateKey, *, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * _DAY)
        .not_valid_after(now + (days or -1) * _DAY)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
