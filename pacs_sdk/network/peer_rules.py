"""Patterns of AE titles, and rules that bind them to IP networks, from their texts.

``CT*@10.1.0.0/16`` reads: whoever calls itself CT-something comes from 10.1.0.0/16.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, Self, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.network.pdu import MAX_AE_TITLE_LENGTH

__all__ = [
    "AeTitlePattern",
    "Network",
    "PeerRule",
    "peer_rule",
    "same_address",
    "significant_title",
    "title_patterns",
]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
"""A range of addresses."""

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")
"""IPv4 addresses as an IPv6 socket shows them (RFC 4291 2.5.5.2)."""


def _wrong(message: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_CONFIGURATION, message)


def significant_title(text: str) -> str:
    """Return an AE title without the spaces around it, which mean nothing (PS3.5 Table 6.2-1)."""
    return text.strip(" ")


# -- titles --------------------------------------------------------------------------------


def _compiled(pattern: str) -> re.Pattern[str]:
    """Translate a pattern so that matching never goes back over what it has matched.

    Each piece between two stars is taken where it is first found, in an atomic group: a later
    place could not make the rest match that an earlier one does not.
    """
    first, *others = [re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*")]
    if not others:
        return re.compile(first, re.DOTALL)
    *middle, last = others
    return re.compile(
        first + "".join(f"(?>.*?{piece})" for piece in middle) + ".*" + last, re.DOTALL
    )


@attrs.frozen
class AeTitlePattern:
    """An AE title in which ``*`` is any text and ``?`` any one character.

    Upper and lower case differ, as they do in AE titles (PS3.5 6.2).
    """

    text: str = attrs.field(converter=significant_title)
    """The pattern."""
    _regex: re.Pattern[str] | None = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if not self.text:
            raise _wrong("an AE title is empty; write * for any title")
        if not (self.text.isascii() and self.text.isprintable()) or "\\" in self.text:
            raise _wrong(
                f"AE title {self.text[:80]!r} has characters that no AE title has; "
                "printable ASCII without backslash may be used"
            )
        longest = len(self.text.replace("*", ""))
        if longest > MAX_AE_TITLE_LENGTH:
            raise _wrong(
                f"AE title {self.text[:80]!r} has {longest} characters, "
                f"more than {MAX_AE_TITLE_LENGTH}"
            )

    @_regex.default
    def _compile(self) -> re.Pattern[str] | None:
        return _compiled(self.text) if "*" in self.text or "?" in self.text else None

    def matches(self, ae_title: str) -> bool:
        """Tell whether an AE title fits; spaces around it are ignored."""
        title = significant_title(ae_title)
        if self._regex is None:
            return title == self.text
        return self._regex.fullmatch(title) is not None

    def __str__(self) -> str:
        return self.text


def title_patterns(texts: Iterable[str | AeTitlePattern]) -> tuple[AeTitlePattern, ...]:
    """Make patterns of texts.

    Raises:
        PacsException: ``INVALID_CONFIGURATION``, one is no pattern of an AE title.
    """
    if isinstance(texts, str):
        raise _wrong(f"AE titles are given as a list, not as one text: {texts[:80]!r}")
    return tuple(
        text if isinstance(text, AeTitlePattern) else AeTitlePattern(text) for text in texts
    )


# -- addresses -----------------------------------------------------------------------------


def _address(host: str) -> _Address | None:
    """Read an address; an IPv4 address in an IPv6 one is the IPv4 address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])  # without the interface's name
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def same_address(host: str) -> str:
    """Write a peer's address in one form, so that one peer is not counted as two."""
    address = _address(host)
    return host if address is None else str(address)


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as exc:
        raise _wrong(_network_error(text, exc)) from exc
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        address = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))
    return network


def _network_error(text: str, exc: ValueError) -> str:
    try:
        whole = ipaddress.ip_network(text, strict=False)
    except ValueError:
        shown = repr(text[:80])
        if not text:
            return "the network behind @ is missing; write for instance 10.1.0.0/16"
        return f"{shown} is no IP network; write for instance 10.1.0.0/16 or 2001:db8::/32"
    host = text.partition("/")[0]
    return (
        f"{text!r} is an address within a network ({exc}); "
        f"write {whole} for the network, or {host} for this one address"
    )


@attrs.frozen
class PeerRule:
    """Binds the AE titles of a pattern to networks."""

    title: AeTitlePattern
    """Whom it is about."""
    networks: tuple[Network, ...]
    """From where they may come."""

    @classmethod
    def of(cls, text: str) -> Self:
        """Read ``TITLE@NETWORK`` or ``TITLE@NETWORK,NETWORK``; for use inside a layer.

        Raises:
            PacsException: ``INVALID_CONFIGURATION``, saying what is wrong.
        """
        title, at, networks = text.rpartition("@")
        if not at:
            raise _wrong(
                f"{text[:80]!r} binds no AE title to a network; write TITLE@NETWORK, or list "
                "the title among calling_ae_titles if it may come from anywhere"
            )
        try:
            pattern = AeTitlePattern(title)
            return cls(pattern, tuple(_network(one.strip()) for one in networks.split(",")))
        except PacsException as exc:
            raise _wrong(f"peer rule {text[:80]!r}: {exc.error.message}") from exc

    def allows(self, peer_host: str) -> bool:
        """Tell whether an address lies in one of the networks; what is no address doesn't."""
        address = _address(peer_host)
        return address is not None and any(address in network for network in self.networks)

    def __str__(self) -> str:
        return f"{self.title}@{','.join(map(str, self.networks))}"


@edge()
def peer_rule(text: str) -> PeerRule:
    """Read a rule such as ``CT*@10.1.0.0/16``.

    Args:
        text: A pattern of AE titles (``*`` and ``?`` are wildcards), ``@``, and one or more
            networks of IPv4 or IPv6 with commas between them; a single address will do. The
            last ``@`` counts, because an AE title may have one.

    Returns:
        ``Success`` with the rule, or ``Failure`` with ``INVALID_CONFIGURATION``.
    """
    return PeerRule.of(text)
