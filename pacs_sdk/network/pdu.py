"""The seven protocol data units and their items, as values (PS3.8 9.3).

Construction checks that a value fits its field on the wire, so a value that exists can be
written down. Whether it also conforms (an odd context ID, a UID in a UID's form, at least
one transfer syntax) is checked by the strict writer in :mod:`pacs_sdk.network.pdu_codec`
only: a peer's request that breaks such a rule must still become a value, because the right
answer to it is a refusal of the one context or the association, not an abort.

The user information item has a module of its own, :mod:`pacs_sdk.network.user_information`.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

import attrs
from typing_extensions import Buffer

from pacs_sdk.network.pdu_fields import (
    MAX_UINT8,
    MAX_UINT16,
    RETURNED_LENGTH,
    masked,
    named_abort_reason,
    named_abort_source,
    named_reject_result,
    named_reject_source,
    nothing_or_bytes,
    text_up_to,
    texts_up_to,
    unique_context_ids,
    unsigned_up_to,
)
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
from pacs_sdk.network.user_information import UserInformation

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
    "UserRejectReason",
]

APPLICATION_CONTEXT_NAME: Final = "1.2.840.10008.3.1.1.1"
"""The one application context that DICOM defines (PS3.7 A.2.1)."""

MAX_AE_TITLE_LENGTH: Final = 16
"""An AE title has at most 16 characters (PS3.8 9.3.2)."""


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


@attrs.frozen
class PresentationContextRQ:
    """A proposed presentation context (PS3.8 9.3.2.2)."""

    context_id: int = attrs.field(validator=unsigned_up_to(MAX_UINT8))
    """An odd number, 1 to 255, that names it on this association."""
    abstract_syntax: str = attrs.field(validator=text_up_to(MAX_UINT16))
    """UID of the SOP class; empty when a peer left it out."""
    transfer_syntaxes: tuple[str, ...] = attrs.field(validator=texts_up_to(MAX_UINT16))
    """UIDs of the transfer syntaxes offered."""


@attrs.frozen
class PresentationContextAC:
    """The answer to a proposed presentation context (PS3.8 9.3.3.2)."""

    context_id: int = attrs.field(validator=unsigned_up_to(MAX_UINT8))
    """The number of the proposed context."""
    result: ContextResult = attrs.field(converter=ContextResult)
    """Accepted, or why not."""
    transfer_syntax: str = attrs.field(default="", validator=text_up_to(MAX_UINT16))
    """UID of the transfer syntax chosen; means nothing unless accepted."""


@attrs.frozen(cache_hash=True)
class AAssociateRQ:
    """A-ASSOCIATE-RQ: may I associate? (PS3.8 9.3.2)."""

    called_ae_title: str = attrs.field(validator=text_up_to(MAX_AE_TITLE_LENGTH))
    """The application entity asked for, without padding."""
    calling_ae_title: str = attrs.field(validator=text_up_to(MAX_AE_TITLE_LENGTH))
    """The application entity asking, without padding."""
    presentation_contexts: tuple[PresentationContextRQ, ...] = attrs.field(
        validator=unique_context_ids
    )
    """The contexts proposed."""
    user_information: UserInformation
    """What the requestor tells about itself."""
    application_context_name: str = attrs.field(
        default=APPLICATION_CONTEXT_NAME, validator=text_up_to(MAX_UINT16)
    )
    """UID of the application context; empty when a peer left it out."""
    protocol_version: int = attrs.field(default=1, validator=unsigned_up_to(MAX_UINT16))
    """One bit a version spoken; bit 0 is version 1."""
    received_fields: bytes = attrs.field(
        default=b"", eq=False, repr=masked, validator=nothing_or_bytes(RETURNED_LENGTH)
    )
    """Bytes 11 to 74 as a peer sent them: both AE titles, and what is reserved behind them."""


@attrs.frozen
class AAssociateAC:
    """A-ASSOCIATE-AC: the association is accepted (PS3.8 9.3.3)."""

    called_ae_title: str = attrs.field(validator=text_up_to(MAX_AE_TITLE_LENGTH))
    """A reserved field: the request's value, returned."""
    calling_ae_title: str = attrs.field(validator=text_up_to(MAX_AE_TITLE_LENGTH))
    """A reserved field: the request's value, returned."""
    presentation_contexts: tuple[PresentationContextAC, ...] = attrs.field(
        validator=unique_context_ids
    )
    """One answer for each context proposed."""
    user_information: UserInformation
    """What the acceptor tells about itself."""
    application_context_name: str = attrs.field(
        default=APPLICATION_CONTEXT_NAME, validator=text_up_to(MAX_UINT16)
    )
    """UID of the application context; empty when a peer left it out."""
    protocol_version: int = attrs.field(default=1, validator=unsigned_up_to(MAX_UINT16))
    """One bit a version spoken; bit 0 is version 1."""
    returned_fields: bytes = attrs.field(
        default=b"", eq=False, repr=masked, validator=nothing_or_bytes(RETURNED_LENGTH)
    )
    """Bytes 11 to 74 of the request, which are returned as they came (PS3.8 Table 9-17); they
    are written from the AE titles if there are none."""


@attrs.frozen
class AAssociateRJ:
    """A-ASSOCIATE-RJ: the association is refused (PS3.8 9.3.4)."""

    result: RejectResult | int = attrs.field(
        converter=named_reject_result, validator=unsigned_up_to(MAX_UINT8)
    )
    """Whether it is worth trying again; a number where the standard gives it no meaning."""
    source: RejectSource | int = attrs.field(
        converter=named_reject_source, validator=unsigned_up_to(MAX_UINT8)
    )
    """Who refused; a number where the standard gives it no meaning."""
    reason: int = attrs.field(validator=unsigned_up_to(MAX_UINT8))
    """Why: a :class:`UserRejectReason`, :class:`AcseRejectReason` or
    :class:`PresentationRejectReason`, as the source says."""

    def explain(self) -> str:
        """Say in words what was refused, by whom and why (PS3.8 Table 9-21)."""
        return explain_rejection(self.result, self.source, self.reason)


@attrs.frozen
class PresentationDataValue:
    """A fragment of a message (PS3.8 9.3.5.1 and Annex E.2)."""

    context_id: int = attrs.field(validator=unsigned_up_to(MAX_UINT8))
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
        converter=named_abort_source,
        validator=unsigned_up_to(MAX_UINT8),
    )
    """Who aborted; a number where the standard gives it no meaning."""
    reason: AbortReason | int = attrs.field(
        default=AbortReason.NOT_SPECIFIED,
        converter=named_abort_reason,
        validator=unsigned_up_to(MAX_UINT8),
    )
    """Why; means nothing when the service user aborted."""

    def explain(self) -> str:
        """Say in words who aborted and why (PS3.8 Table 9-26)."""
        return explain_abort(self.source, self.reason)


Pdu: TypeAlias = (
    AAssociateRQ | AAssociateAC | AAssociateRJ | PDataTF | AReleaseRQ | AReleaseRP | AAbort
)
"""Any protocol data unit."""
