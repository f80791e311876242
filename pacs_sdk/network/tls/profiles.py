"""The TLS Secure Transport Connection Profiles of PS3.15 Annex B, as versions and cipher suites.

None of them goes below TLS 1.2: RFC 8996 forbids what is older, and so do B.10 to B.13. All
demand RSA and DH keys of 2048 bits, ECDHE of 256 bits and no SHA-1 or MD5 in signatures (RFC 9325
4.5), which is OpenSSL's security level 2.

Two profiles are missing on purpose. The downgrading part of B.9 (retired) offered what RFC 8996
has forbidden since; its other suites are those of B.10. B.13 wants a server to speak the CCM
suites of TLS 1.3, which Python's ``ssl`` cannot switch on.
"""

from __future__ import annotations

import enum
import ssl
from pathlib import Path
from typing import Final

import attrs

__all__ = ["TlsProfile", "apply_profile"]

_ECDHE_RSA: Final = ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384")
_ECDHE_ECDSA: Final = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384")
_DHE_RSA: Final = ("DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384")

_DH_PARAMETERS: Final = Path(__file__).with_name("ffdhe2048.pem")

_SECURITY_LEVEL: Final = "@SECLEVEL=2"


@attrs.frozen
class _Rules:
    minimum: ssl.TLSVersion
    maximum: ssl.TLSVersion
    cipher_suites: tuple[str, ...]


class TlsProfile(enum.Enum):
    """Which TLS versions and cipher suites are allowed."""

    BCP_195 = "bcp-195"
    """BCP 195 RFC 8996, 9325 TLS (PS3.15 B.12): TLS 1.3 preferred, 1.2 with the suites that
    RFC 9325 4.2 recommends. The current profile; it speaks to peers of each other one too."""
    NON_DOWNGRADING = "non-downgrading"
    """Non-Downgrading BCP 195 TLS (PS3.15 B.10, retired): the same, and DHE besides ECDHE, for
    peers that have no elliptic curves."""
    EXTENDED = "extended"
    """Extended BCP 195 TLS (PS3.15 B.11, retired): the suites of B.10 and "no other", which
    leaves out TLS 1.3 because its suites were not known then."""
    TLS_1_3_ONLY = "tls-1.3-only"
    """TLS 1.3 alone. No profile of PS3.15 (B.12 demands 1.2 of everybody), but a site's right
    where every peer has it."""

    @property
    def cipher_suites(self) -> tuple[str, ...]:
        """The suites of TLS 1.2 by OpenSSL's names, preferred first; empty for 1.3 alone.

        Those of TLS 1.3 (RFC 8446 B.4) are all fit for use and not restricted.
        """
        return _RULES[self].cipher_suites

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        """The oldest version that is spoken."""
        return _RULES[self].minimum

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        """The newest version that is spoken."""
        return _RULES[self].maximum

    @property
    def versions_in_words(self) -> str:
        """The versions as a person would name them."""
        names = {ssl.TLSVersion.TLSv1_2: "TLS 1.2", ssl.TLSVersion.TLSv1_3: "TLS 1.3"}
        oldest, newest = names[self.minimum_version], names[self.maximum_version]
        return oldest if oldest == newest else f"{oldest} or 1.3"


_RULES: Final = {
    TlsProfile.BCP_195: _Rules(
        ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, (*_ECDHE_ECDSA, *_ECDHE_RSA)
    ),
    TlsProfile.NON_DOWNGRADING: _Rules(
        ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, (*_ECDHE_ECDSA, *_ECDHE_RSA, *_DHE_RSA)
    ),
    TlsProfile.EXTENDED: _Rules(
        ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, (*_ECDHE_ECDSA, *_ECDHE_RSA, *_DHE_RSA)
    ),
    TlsProfile.TLS_1_3_ONLY: _Rules(ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3, ()),
}


def apply_profile(context: ssl.SSLContext, profile: TlsProfile) -> None:
    """Restrict a context to a profile, on either side.

    Renegotiation is refused (RFC 9325 3.5); compression is always off in Python (RFC 9325 3.3).
    """
    context.minimum_version = profile.minimum_version
    context.maximum_version = profile.maximum_version
    # A list without any suite of TLS 1.2 is an error to OpenSSL; the version rules them out.
    suites = profile.cipher_suites or _ECDHE_ECDSA
    context.set_ciphers(":".join((*suites, _SECURITY_LEVEL)))
    context.options |= ssl.OP_NO_RENEGOTIATION
    if any(suite in _DHE_RSA for suite in suites):
        context.load_dh_params(str(_DH_PARAMETERS))
