"""The seven protocol data units and their items, as values (PS3.8 9.3, PS3.7 Annex D.3.3).

Construction checks that a value fits its field on the wire, so a value that exists can be
written down. Whether it also conforms (an odd context ID, a UID in a UID's form, at least
one transfer syntax) is checked by the strict writer in :mod:`pacs_sdk.network.pdu_codec`
only: a peer's request that breaks such a rule must still become a value, because the right
answer to it is a refusal of the one context or the association, not an abort.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.pdu_reasons import (
    AbortReason,
    AbortSource,
    AcseRejectReason,
    PresentationRejectReason,
    RejectResult,
    RejectSource,
    UserRejectReason,
    explain_abort,
    explain_rejection,
)

__all__ = [
    "APPLICATION_CONTEXT_NAME",
    "MAX_AE_TITLE_LENGTH",
    "AAbort",
    "AAssociateAC",
    "AAssociateRJ",
    "AAssociateRQ",
    "AReleaseRP",
    "AReleaseRQ",
    "AbortReason",
    "AbortSource",
    "AcseRejectReason",
    "AsynchronousOperationsWindow",
    "ContextResult",
    "PDataTF",
    "Pdu",
    "PduType",
    "PresentationContextAC",
    "PresentationContextRQ",
    "PresentationDataValue",
    "PresentationRejectReason",
    "RejectResult",
    "RejectSource",
    "RoleSelection",
    "SopClassCommonExtendedNegotiation",
    "SopClassExtendedNegotiation",
    "UserIdentityAC",
    "UserIdentityRQ",
    "UserIdentityType",
    "UserInformation",
    "UserRejectReason",
]

APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"
"""The one application context that DICOM defines (PS3.7 A.2.1)."""

MAX_AE_TITLE_LENGTH: Final = 16
"""An AE title has at most 16 characters (PS3.8 9.3.2)."""

_UINT8: Final = 0xFF
_UINT16: Final = 0xFFFF
_UINT32: Final = 0xFFFFFFFF


class PduType(enum.IntEnum):
    """The first byte of a PDU (PS3.8 9.3.1)."""

    A_ASSOCIATE_RQ = 0x01
    A_ASSOCIATE_AC = 0x02
    A_ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    A_RELEASE_RQ = 0x05
    A_RELEASE_RP = 0x06
    A_ABORT = 0x07


class ContextResult(enum.IntEnum):
    """What became of a proposed presentation context (PS3.8 Table 9-18)."""

    ACCEPTANCE = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class UserIdentityType(enum.IntEnum):
    """In what form a user is identified (PS3.7 Table D.3-14)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS_SERVICE_TICKET = 3
    SAML_ASSERTION = 4
    JSON_WEB_TOKEN = 5


_Validator: TypeAlias = "Callable[[Any, attrs.Attribute[Any], Any], None]"
_EnumT = TypeVar("_EnumT", bound=enum.IntEnum)


def _does_not_fit(owner: object, name: str, reason: str) -> PacsException:
    what = f"{type(owner).__name__}.{name}"
    return PacsException(ErrorCode.INVALID_PDU, f"{what} {reason}", field=what)


def _unsigned(maximum: int) -> _Validator:
    def check(owner: object, attribute: attrs.Attribute[Any], value: int) -> None:
        if not 0 <= value <= maximum:
            raise _does_not_fit(owner, attribute.name, f"is {value}, outside 0 to {maximum}")

    return check


def _text(longest: int) -> _Validator:
    def check(owner: object, attribute: attrs.Attribute[Any], value: str) -> None:
        if len(value) > longest:
            raise _does_not_fit(
                owner, attribute.name, f"has {len(value)} characters, more than {longest}"
            )
        if not value.isascii():
            # One byte a character: the reader keeps a peer's stray byte as Latin-1, so
            # that an A-ASSOCIATE-AC can return an AE title as it came (PS3.8 9.3.3).
            try:
                value.encode("latin-1")
            except UnicodeEncodeError:
                raise _does_not_fit(
                    owner, attribute.name, f"has characters beyond one byte: {value[:80]!r}"
                ) from None

    return check


def _texts(longest: int) -> _Validator:
    check_one = _text(longest)

    def check(owner: object, attribute: attrs.Attribute[Any], value: tuple[str, ...]) -> None:
        for text in value:
            check_one(owner, attribute, text)

    return check


def _at_most_bytes(longest: int) -> _Validator:
    def check(owner: object, attribute: attrs.Attribute[Any], value: bytes) -> None:
        if len(value) > longest:
            raise _does_not_fit(
                owner, attribute.name, f"has {len(value)} bytes, more than {longest}"
            )

    return check


def _named(kind: type[_EnumT], value: int) -> _EnumT | int:
    """Name a code where the standard does; keep a peer's reserved code as a number."""
    try:
        return kind(value)
    except ValueError:
        return value


def _user_identity_type(value: int) -> UserIdentityType | int:
    return _named(UserIdentityType, value)


def _reject_result(value: int) -> RejectResult | int:
    return _named(RejectResult, value)


def _reject_source(value: int) -> RejectSource | int:
    return _named(RejectSource, value)


def _abort_source(value: int) -> AbortSource | int:
    return _named(AbortSource, value)


def _abort_reason(value: int) -> AbortReason | int:
    return _named(AbortReason, value)


def _masked(value: bytes) -> str:
    return f"<{len(value)} bytes>"  # credentials must not reach a log through a repr


def _unique_context_ids(
    owner: object,
    attribute: attrs.Attribute[Any],
    value: tuple[PresentationContextRQ | PresentationContextAC, ...],
) -> None:
    if len({context.context_id for context in value}) != len(value):
        # Data would name a context that means two things (PS3.8 9.3.2.2).
        raise _does_not_fit(owner, attribute.name, "use a context ID twice")


@attrs.frozen
class AsynchronousOperationsWindow:
    """How many operations may be outstanding (PS3.7 D.3.3.3); 0 means any number."""

    maximum_invoked: int = attrs.field(validator=_unsigned(_UINT16))
    """Operations the association-requestor may invoke before it waits for a response."""
    maximum_performed: int = attrs.field(validator=_unsigned(_UINT16))
    """Operations the association-requestor may be asked to perform at a time."""


@attrs.frozen
class RoleSelection:
    """The roles of the association-requestor for one SOP class (PS3.7 D.3.3.4)."""

    sop_class_uid: str = attrs.field(validator=_text(_UINT16))
    """The SOP class, or the meta SOP class."""
    scu: bool
    """Whether the requestor may be (in a response: is accepted as) service class user."""
    scp: bool
    """Whether the requestor may be (in a response: is accepted as) service class provider."""


@attrs.frozen
class SopClassExtendedNegotiation:
    """Application information of one SOP class (PS3.7 D.3.3.5)."""

    sop_class_uid: str = attrs.field(validator=_text(_UINT16))
    """The SOP class."""
    application_information: bytes = attrs.field(validator=_at_most_bytes(_UINT16))
    """Bytes whose meaning the service class defines (PS3.4)."""


@attrs.frozen
class SopClassCommonExtendedNegotiation:
    """What a SOP class is generally (PS3.7 D.3.3.6); only in a request."""

    sop_class_uid: str = attrs.field(validator=_text(_UINT16))
    """The SOP class."""
    service_class_uid: str = attrs.field(validator=_text(_UINT16))
    """The service class it belongs to."""
    related_general_sop_class_uids: tuple[str, ...] = attrs.field(
        default=(), validator=_texts(_UINT16)
    )
    """SOP classes as which its instances can be handled."""


@attrs.frozen
class UserIdentityRQ:
    """Who the requesting user is (PS3.7 D.3.3.7.1)."""

    identity_type: UserIdentityType | int = attrs.field(
        converter=_user_identity_type, validator=_unsigned(_UINT8)
    )
    """The form of the identity; a number where the standard gives it no meaning."""
    primary_field: bytes = attrs.field(repr=_masked, validator=_at_most_bytes(_UINT16))
    """The user name in UTF-8, the ticket, the assertion or the token."""
    secondary_field: bytes = attrs.field(
        default=b"", repr=_masked, validator=_at_most_bytes(_UINT16)
    )
    """The passcode in UTF-8, only with :attr:`UserIdentityType.USERNAME_AND_PASSCODE`."""
    positive_response_requested: bool = False
    """Whether the acceptor shall answer with a :class:`UserIdentityAC`."""


@attrs.frozen
class UserIdentityAC:
    """The acceptor's answer to an identity (PS3.7 D.3.3.7.2)."""

    server_response: bytes = attrs.field(
        default=b"", repr=_masked, validator=_at_most_bytes(_UINT16)
    )
    """The Kerberos server ticket, SAML response or JSON web token; empty for user names."""


@attrs.frozen
class UserInformation:
    """What the two users tell each other (PS3.8 9.3.2.3 and Annex D.1, PS3.7 D.3.3)."""

    maximum_length: int = attrs.field(validator=_unsigned(_UINT32))
    """Longest variable field of a P-DATA-TF that its sender takes, in bytes; 0: no limit."""
    implementation_class_uid: str = attrs.field(validator=_text(_UINT16))
    """Names the implementation."""
    implementation_version_name: str = attrs.field(default="", validator=_text(_UINT16))
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


@attrs.frozen
class PresentationContextRQ:
    """A proposed presentation context (PS3.8 9.3.2.2)."""

    context_id: int = attrs.field(validator=_unsigned(_UINT8))
    """An odd number, 1 to 255, that names it on this association."""
    abstract_syntax: str = attrs.field(validator=_text(_UINT16))
    """UID of the SOP class; empty when a peer left it out."""
    transfer_syntaxes: tuple[str, ...] = attrs.field(validator=_texts(_UINT16))
    """UIDs of the transfer syntaxes offered."""


@attrs.frozen
class PresentationContextAC:
    """The answer to a proposed presentation context (PS3.8 9.3.3.2)."""

    context_id: int = attrs.field(validator=_unsigned(_UINT8))
    """The number of the proposed context."""
    result: ContextResult = attrs.field(converter=ContextResult)
    """Accepted, or why not."""
    transfer_syntax: str = attrs.field(default="", validator=_text(_UINT16))
    """UID of the transfer syntax chosen; means nothing unless accepted."""


@attrs.frozen(cache_hash=True)
class AAssociateRQ:
    """A-ASSOCIATE-RQ: may I associate? (PS3.8 9.3.2)."""

    called_ae_title: str = attrs.field(validator=_text(MAX_AE_TITLE_LENGTH))
    """The application entity asked for, without padding."""
    calling_ae_title: str = attrs.field(validator=_text(MAX_AE_TITLE_LENGTH))
    """The application entity asking, without padding."""
    presentation_contexts: tuple[PresentationContextRQ, ...] = attrs.field(
        validator=_unique_context_ids
    )
    """The contexts proposed."""
    user_information: UserInformation
    """What the requestor tells about itself."""
    application_context_name: str = attrs.field(
        default=APPLICATION_CONTEXT_NAME, validator=_text(_UINT16)
    )
    """UID of the application context; empty when a peer left it out."""
    protocol_version: int = attrs.field(default=1, validator=_unsigned(_UINT16))
    """One bit a version spoken; bit 0 is version 1."""


@attrs.frozen
class AAssociateAC:
    """A-ASSOCIATE-AC: the association is accepted (PS3.8 9.3.3)."""

    called_ae_title: str = attrs.field(validator=_text(MAX_AE_TITLE_LENGTH))
    """A reserved field: the request's value, returned."""
    calling_ae_title: str = attrs.field(validator=_text(MAX_AE_TITLE_LENGTH))
    """A reserved field: the request's value, returned."""
    presentation_contexts: tuple[PresentationContextAC, ...] = attrs.field(
        validator=_unique_context_ids
    )
    """One answer for each context proposed."""
    user_information: UserInformation
    """What the acceptor tells about itself."""
    application_context_name: str = attrs.field(
        default=APPLICATION_CONTEXT_NAME, validator=_text(_UINT16)
    )
    """UID of the application context; empty when a peer left it out."""
    protocol_version: int = attrs.field(default=1, validator=_unsigned(_UINT16))
    """One bit a version spoken; bit 0 is version 1."""


@attrs.frozen
class AAssociateRJ:
    """A-ASSOCIATE-RJ: the association is refused (PS3.8 9.3.4)."""

    result: RejectResult | int = attrs.field(converter=_reject_result, validator=_unsigned(_UINT8))
    """Whether it is worth trying again; a number where the standard gives it no meaning."""
    source: RejectSource | int = attrs.field(converter=_reject_source, validator=_unsigned(_UINT8))
    """Who refused; a number where the standard gives it no meaning."""
    reason: int = attrs.field(validator=_unsigned(_UINT8))
    """Why: a :class:`UserRejectReason`, :class:`AcseRejectReason` or
    :class:`PresentationRejectReason`, as the source says."""

    def explain(self) -> str:
        """Say in words what was refused, by whom and why (PS3.8 Table 9-21)."""
        return explain_rejection(self.result, self.source, self.reason)


@attrs.frozen
class PresentationDataValue:
    """A fragment of a message (PS3.8 9.3.5.1 and Annex E.2)."""

    context_id: int = attrs.field(validator=_unsigned(_UINT8))
    """The presentation context it belongs to."""
    is_command: bool
    """Whether it is of the command set, otherwise of the data set."""
    is_last: bool
    """Whether it is the last of the command set or data set."""
    data: Buffer
    """The bytes; from the reader a view of what was received, not a copy."""


@attrs.frozen
class PDataTF:
    """P-DATA-TF: data (PS3.8 9.3.5)."""

    pdvs: tuple[PresentationDataValue, ...]
    """The fragments, at least one."""


@attrs.frozen
class AReleaseRQ:
    """A-RELEASE-RQ: let us end the association (PS3.8 9.3.6)."""


@attrs.frozen
class AReleaseRP:
    """A-RELEASE-RP: the association has ended (PS3.8 9.3.7)."""


@attrs.frozen
class AAbort:
    """A-ABORT: the association ends here and now (PS3.8 9.3.8)."""

    source: AbortSource | int = attrs.field(
        default=AbortSource.SERVICE_USER,
        converter=_abort_source,
        validator=_unsigned(_UINT8),
    )
    """Who aborted; a number where the standard gives it no meaning."""
    reason: AbortReason | int = attrs.field(
        default=AbortReason.NOT_SPECIFIED,
        converter=_abort_reason,
        validator=_unsigned(_UINT8),
    )
    """Why; means nothing when the service user aborted."""

    def explain(self) -> str:
        """Say in words who aborted and why (PS3.8 Table 9-26)."""
        return explain_abort(self.source, self.reason)


Pdu: TypeAlias = (
    AAssociateRQ | AAssociateAC | AAssociateRJ | PDataTF | AReleaseRQ | AReleaseRP | AAbort
)
"""Any protocol data unit."""
