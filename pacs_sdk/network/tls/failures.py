"""Why a TLS connection failed, in words that tell a person on which side to look.

OpenSSL names the place in its source; a person wants to know whose certificate it was. TLS
alerts (RFC 8446 6.2) say what the *peer* had against us; all else is what we had against it.
"""

from __future__ import annotations

import enum
import ssl
from typing import Final

__all__ = ["HandshakeFailure", "explain_clear_text", "explain_failure", "offered_version"]


class HandshakeFailure(enum.StrEnum):
    """The kinds of failure: the detail ``cause`` of a ``TLS_HANDSHAKE_FAILED``."""

    CLEAR_DICOM = "clear-dicom"
    """The peer speaks DICOM, but no TLS."""
    NOT_TLS = "not-tls"
    """The peer speaks something else: HTTP, or what a port scan sends."""
    CLOSED = "closed"
    """The peer closed the connection, perhaps without a word as health checks do."""
    VERSION = "version"
    """Both sides have no TLS version in common."""
    CIPHER_SUITE = "cipher-suite"
    """Both sides have no cipher suite in common."""
    CERTIFICATE = "certificate"
    """A certificate is missing, or not accepted by the other side."""
    OTHER = "other"
    """Anything else, in OpenSSL's words."""


_PDU_NAMES: Final = {
    0x01: "A-ASSOCIATE-RQ",
    0x02: "A-ASSOCIATE-AC",
    0x03: "A-ASSOCIATE-RJ",
    0x07: "A-ABORT",
}
"""PS3.8 9.3: the first byte of what a DICOM peer may say first, or answer to a ClientHello."""

_HTTP_STARTS: Final = (b"GET ", b"HEAD", b"POST", b"PUT ", b"OPTI", b"CONN", b"PRI ", b"HTTP")

_HANDSHAKE_RECORD: Final = 0x16
_ALERT_RECORD: Final = 0x15
"""RFC 8446 5.1: what the first record of either side can be."""

_VERSION_NAMES: Final = {
    (3, 0): "SSL 3.0",
    (3, 1): "TLS 1.0",
    (3, 2): "TLS 1.1",
    (3, 3): "TLS 1.2",
}


def explain_clear_text(first: bytes) -> tuple[HandshakeFailure, str] | None:
    """Say what the peer spoke instead of TLS; ``None`` if its first bytes may be TLS.

    Args:
        first: The first bytes that the peer sent, one at least.
    """
    if first[0] in (_HANDSHAKE_RECORD, _ALERT_RECORD):
        return None
    if first[0] in _PDU_NAMES and first[1:2] in (b"", b"\0"):
        return HandshakeFailure.CLEAR_DICOM, (
            f"the peer spoke no TLS: it sent an {_PDU_NAMES[first[0]]} in clear; switch TLS on "
            "at both sides, or use the port for DICOM without TLS"
        )
    if first[:4] in _HTTP_STARTS:
        return HandshakeFailure.NOT_TLS, "the peer spoke no TLS: it sent HTTP in clear"
    return HandshakeFailure.NOT_TLS, (
        f"the peer spoke no TLS: what it sent begins with the bytes {first.hex(' ')}"
    )


def offered_version(first: bytes) -> str | None:
    """Name the newest version that a ClientHello offers, if that is older than TLS 1.3.

    A client that has TLS 1.3 says 1.2 here and 1.3 in an extension (RFC 8446 4.1.2), so
    the answer is of use once the handshake has failed for the version.

    Args:
        first: The first 11 bytes that the peer sent.
    """
    return _VERSION_NAMES.get((first[9], first[10])) if len(first) >= 11 else None


_X509_NO_CRL: Final = 3
_X509_NOT_YET_VALID: Final = 9
_X509_EXPIRED: Final = 10
_X509_CRL_NOT_CURRENT: Final = frozenset((11, 12))  # not yet valid, expired
_X509_REVOKED: Final = 23
_X509_NAME_MISMATCHES: Final = frozenset((62, 64))  # host name, IP address
_X509_TOO_WEAK: Final = frozenset((66, 67, 68))  # end-entity key, CA key, message digest


def _explain_certificate(exc: ssl.SSLCertVerificationError) -> str:
    reason = exc.verify_message.rstrip(".")
    if exc.verify_code == _X509_EXPIRED:
        return "the peer's certificate, or one that it depends on, has expired; have it renewed"
    if exc.verify_code == _X509_NOT_YET_VALID:
        return "the peer's certificate is not valid yet; check the clocks of both sides"
    if exc.verify_code == _X509_REVOKED:
        return "the peer's certificate has been revoked"
    if exc.verify_code == _X509_NO_CRL:
        return (
            "whether the peer's certificate has been revoked is not known: add the revocation "
            "list of its CA to the CA file, which has those of others"
        )
    if exc.verify_code in _X509_CRL_NOT_CURRENT:
        return (
            "the revocation list in the CA file for the peer's certificate is not current; "
            "renew the list, or check the clock"
        )
    if exc.verify_code in _X509_NAME_MISMATCHES:
        return (
            f"the peer's certificate is for another host: {reason}; call it by a name in its "
            "certificate, or set server_hostname"
        )
    if exc.verify_code in _X509_TOO_WEAK:
        return f"the peer's certificate is too weak (RFC 9325 4.5): {reason}"
    return f"the peer's certificate is not trusted: {reason}; add its CA to the CA file"


_ALERTS: Final = {
    "UNKNOWN_CA": (
        HandshakeFailure.CERTIFICATE,
        "the peer does not trust our certificate: it does not know the CA",
    ),
    "CERTIFICATE_REQUIRED": (
        HandshakeFailure.CERTIFICATE,
        "the peer demands a certificate of ours (mutual authentication), and none was given",
    ),
    "CERTIFICATE_EXPIRED": (
        HandshakeFailure.CERTIFICATE,
        "the peer does not accept our certificate: it has expired",
    ),
    "CERTIFICATE_REVOKED": (
        HandshakeFailure.CERTIFICATE,
        "the peer does not accept our certificate: it has been revoked",
    ),
    "PROTOCOL_VERSION": (
        HandshakeFailure.VERSION,
        "the peer accepts none of the TLS versions that our profile allows",
    ),
    "HANDSHAKE_FAILURE": (
        HandshakeFailure.CIPHER_SUITE,
        "the peer accepts none of our profile's cipher suites, or demands a certificate of ours",
    ),
    "INSUFFICIENT_SECURITY": (
        HandshakeFailure.CIPHER_SUITE,
        "the peer demands stronger cipher suites than those of our profile",
    ),
}

_OWN_REASONS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": (
        HandshakeFailure.CERTIFICATE,
        "the peer showed no certificate, and mutual authentication is demanded of it",
    ),
    "NO_SHARED_CIPHER": (
        HandshakeFailure.CIPHER_SUITE,
        "the peer offered no cipher suite that our profile allows",
    ),
    "DH_KEY_TOO_SMALL": (
        HandshakeFailure.CIPHER_SUITE,
        "the peer's DH key is shorter than 2048 bits",
    ),
}

_VERSION_REASONS: Final = frozenset(
    ("UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "WRONG_SSL_VERSION", "NO_PROTOCOLS_AVAILABLE")
)

_NO_TLS_REASONS: Final = frozenset(
    ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL")
)


def explain_failure(exc: OSError, offered: str | None = None) -> tuple[HandshakeFailure, str]:
    """Say what went wrong, during the handshake or after it.

    Args:
        exc: What ``ssl`` or the socket raised.
        offered: The version of the peer's ClientHello, if it is known.
    """
    if isinstance(exc, ssl.SSLCertVerificationError):
        return HandshakeFailure.CERTIFICATE, _explain_certificate(exc)
    if isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionError):
        return HandshakeFailure.CLOSED, (
            "the peer closed the connection before TLS was agreed on; it may expect DICOM "
            "without TLS, or its log may say what it had against us"
        )
    reason = getattr(exc, "reason", None) or ""
    if "_ALERT_" in reason:
        return _explain_alert(reason.partition("_ALERT_")[2])
    if reason in _OWN_REASONS:
        return _OWN_REASONS[reason]
    if reason in _VERSION_REASONS:
        words = f"the peer offered only {offered or 'TLS 1.1 or older'}, which our profile forbids"
        return HandshakeFailure.VERSION, words
    if reason in _NO_TLS_REASONS:
        return HandshakeFailure.NOT_TLS, "the peer spoke no TLS: what it sent is no TLS record"
    return HandshakeFailure.OTHER, f"TLS failed: {exc}"


def _explain_alert(alert: str) -> tuple[HandshakeFailure, str]:
    if alert in _ALERTS:
        return _ALERTS[alert]
    name = alert.lower().replace("_", " ")
    if "CERTIFICATE" in alert:
        return HandshakeFailure.CERTIFICATE, f"the peer does not accept our certificate: {name}"
    return HandshakeFailure.OTHER, f"the peer ended the TLS connection: {name}"
