"""The user information item and its sub-items, as values (PS3.8 9.3.2.3, PS3.7 Annex D.3.3).

In it requestor and acceptor tell each other about themselves and negotiate what goes beyond
presentation contexts. As everywhere in :mod:`pacs_sdk.network.pdu`, construction checks that
a value fits its field on the wire; :mod:`pacs_sdk.network.pdu_user_information` has the bytes.
"""

from __future__ import annotations

import enum

import attrs

from pacs_sdk.network.pdu_fields import (
    MAX_UINT8,
    MAX_UINT16,
    MAX_UINT32,
    bytes_up_to,
    masked,
    named,
    text_up_to,
    texts_up_to,
    unsigned_up_to,
)

__all__ = [
    "AsynchronousOperationsWindow",
    "RoleSelection",
    "SopClassCommonExtendedNegotiation",
    "SopClassExtendedNegotiation",
    "UserIdentityAC",
    "UserIdentityRQ",
    "UserIdentityType",
    "UserInformation",
]


class UserIdentityType(enum.IntEnum):
    """In what form a user is identified (PS3.7 Table D.3-14)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS_SERVICE_TICKET = 3
    SAML_ASSERTION = 4
    JSON_WEB_TOKEN = 5


def _named_identity_type(value: int) -> UserIdentityType | int:
    return named(UserIdentityType, value)


@attrs.frozen
class AsynchronousOperationsWindow:
    """How many operations may be outstanding (PS3.7 D.3.3.3); 0 means any number."""

    maximum_invoked: int = attrs.field(validator=unsigned_up_to(MAX_UINT16))
    """Operations the association-requestor may invoke before it waits for a response."""
    maximum_performed: int = attrs.field(validator=unsigned_up_to(MAX_UINT16))
    """Operations the association-requestor may be asked to perform at a time."""


@attrs.frozen
class RoleSelection:
    """The roles of the association-requestor for one SOP class (PS3.7 D.3.3.4)."""

    sop_class_uid: str = attrs.field(validator=text_up_to(MAX_UINT16))
    """The SOP class, or the meta SOP class."""
    scu: bool
    """Whether the requestor may be (in a response: is accepted as) service class user."""
    scp: bool
    """Whether the requestor may be (in a response: is accepted as) service class provider."""


@attrs.frozen
class SopClassExtendedNegotiation:
    """Application information of one SOP class (PS3.7 D.3.3.5)."""

    sop_class_uid: str = attrs.field(validator=text_up_to(MAX_UINT16))
    """The SOP class."""
    application_information: bytes = attrs.field(validator=bytes_up_to(MAX_UINT16))
    """Bytes whose meaning the service class defines (PS3.4)."""


@attrs.frozen
class SopClassCommonExtendedNegotiation:
    """What a SOP class is generally (PS3.7 D.3.3.6); only in a request."""

    sop_class_uid: str = attrs.field(validator=text_up_to(MAX_UINT16))
    """The SOP class."""
    service_class_uid: str = attrs.field(validator=text_up_to(MAX_UINT16))
    """The service class it belongs to."""
    related_general_sop_class_uids: tuple[str, ...] = attrs.field(
        default=(), validator=texts_up_to(MAX_UINT16)
    )
    """SOP classes as which its instances can be handled."""


@attrs.frozen
class UserIdentityRQ:
    """Who the requesting user is (PS3.7 D.3.3.7.1)."""

    identity_type: UserIdentityType | int = attrs.field(
        converter=_named_identity_type, validator=unsigned_up_to(MAX_UINT8)
    )
    """The form of the identity; a number where the standard gives it no meaning."""
    primary_field: bytes = attrs.field(repr=masked, validator=bytes_up_to(MAX_UINT16))
    """The user name in UTF-8, the ticket, the assertion or the token."""
    secondary_field: bytes = attrs.field(
        default=b"", repr=masked, validator=bytes_up_to(MAX_UINT16)
    )
    """The passcode in UTF-8, only with :attr:`UserIdentityType.USERNAME_AND_PASSCODE`."""
    positive_response_requested: bool = False
    """Whether the acceptor shall answer with a :class:`UserIdentityAC`."""


@attrs.frozen
class UserIdentityAC:
    """The acceptor's answer to an identity (PS3.7 D.3.3.7.2)."""

    server_response: bytes = attrs.field(
        default=b"", repr=masked, validator=bytes_up_to(MAX_UINT16)
    )
    """The Kerberos server ticket, SAML response or JSON web token; empty for user names."""


@attrs.frozen
class UserInformation:
    """What the two users tell each other (PS3.8 9.3.2.3 and Annex D.1, PS3.7 D.3.3)."""

    maximum_length: int = attrs.field(validator=unsigned_up_to(MAX_UINT32))
    """Longest variable field of a P-DATA-TF that its sender takes, in bytes; 0: no limit."""
    implementation_class_uid: str = attrs.field(validator=text_up_to(MAX_UINT16))
    """Names the implementation."""
    implementation_version_name: str = attrs.field(default="", validator=text_up_to(MAX_UINT16))
    """Names its version, at most 16 characters; optional."""
    asynchronous_operations_window: AsynchronousOperationsWindow | None = None
    """Outstanding operations; without it one at a time."""
    role_selections: tuple[RoleSelection, ...] = ()
    """Roles that differ from requestor = SCU, acceptor = SCP."""
    extended_negotiations: tuple[SopClassExtendedNegotiation, ...] = ()
    """Application information by SOP class."""
    common_extended_negotiations: tuple[SopClassCommonExtendedNegotiation, ...] = ()
    """Generalisations by SOP class; only in a request."""
    user_identity: UserIdentityRQ | None = None
    """Who the user is; only in a request."""
    user_identity_response: UserIdentityAC | None = None
    """The answer to it; only in an acceptance."""
