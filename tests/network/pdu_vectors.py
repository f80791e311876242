"""PDUs laid out field by field: assembled by hand from the tables of PS3.8 and PS3.7."""

from __future__ import annotations

import attrs

from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    AbortReason,
    AbortSource,
    AReleaseRP,
    AReleaseRQ,
    ContextResult,
    PDataTF,
    Pdu,
    PresentationContextAC,
    PresentationContextRQ,
    PresentationDataValue,
    RejectResult,
    RejectSource,
)
from pacs_sdk.network.user_information import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserIdentityAC,
    UserIdentityRQ,
    UserIdentityType,
    UserInformation,
)

__all__ = [
    "CT_IMAGE",
    "EXPLICIT_LE",
    "IMPLICIT_LE",
    "VERIFICATION",
    "ABORT",
    "DATA",
    "REJECT",
    "RELEASE_REQUEST",
    "RELEASE_RESPONSE",
    "REQUEST",
    "VECTORS",
    "Vector",
]

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"


@attrs.frozen
class Vector:
    """Bytes and what they mean."""

    name: str
    """What it shows and where it comes from."""
    data: bytes
    """The PDU."""
    pdu: Pdu
    """Its value."""
    ours: bool = True
    """Whether our writer makes the same bytes; others fill reserved fields otherwise."""


REQUEST = Vector(
    "A-ASSOCIATE-RQ with every item (PS3.8 Table 9-11)",
    b"".join(
        (
            b"\x01",  # PDU-type
            b"\x00",  # reserved
            b"\x00\x00\x01\x7a",  # PDU-length: 378
            b"\x00\x01",  # protocol-version: bit 0
            b"\x00\x00",  # reserved
            b"ARCHIVE         ",  # called-AE-title
            b"MODALITY1       ",  # calling-AE-title
            bytes(32),  # reserved
            # Application context item (Table 9-12)
            b"\x10",  # item-type
            b"\x00",  # reserved
            b"\x00\x15",  # item-length: 21
            b"1.2.840.10008.3.1.1.1",  # application-context-name
            # Presentation context item (Table 9-13)
            b"\x20",  # item-type
            b"\x00",  # reserved
            b"\x00\x45",  # item-length: 4 + 21 + 21 + 23
            b"\x01",  # presentation-context-ID
            b"\x00\x00\x00",  # reserved
            b"\x30",  # abstract syntax sub-item (Table 9-14)
            b"\x00",  # reserved
            b"\x00\x11",  # item-length: 17
            b"1.2.840.10008.1.1",  # abstract-syntax-name
            b"\x40",  # transfer syntax sub-item (Table 9-15)
            b"\x00",  # reserved
            b"\x00\x11",  # item-length: 17
            b"1.2.840.10008.1.2",  # transfer-syntax-name
            b"\x40",  # transfer syntax sub-item
            b"\x00",  # reserved
            b"\x00\x13",  # item-length: 19
            b"1.2.840.10008.1.2.1",  # transfer-syntax-name
            # User information item (Table 9-16)
            b"\x50",  # item-type
            b"\x00",  # reserved
            b"\x00\xd0",  # item-length: 208
            # Maximum length sub-item (Table D.1-1)
            b"\x51\x00",  # item-type, reserved
            b"\x00\x04",  # item-length
            b"\x00\x00\x40\x00",  # maximum-length-received: 16384
            # Implementation class UID sub-item (PS3.7 Table D.3-1)
            b"\x52\x00",  # item-type, reserved
            b"\x00\x09",  # item-length
            b"1.2.3.4.5",  # implementation-class-uid
            # Asynchronous operations window sub-item (PS3.7 Table D.3-7)
            b"\x53\x00",  # item-type, reserved
            b"\x00\x04",  # item-length
            b"\x00\x05",  # maximum-number-operations-invoked
            b"\x00\x03",  # maximum-number-operations-performed
            # SCP/SCU role selection sub-item (PS3.7 Table D.3-9)
            b"\x54\x00",  # item-type, reserved
            b"\x00\x1d",  # item-length: 2 + 25 + 2
            b"\x00\x19",  # UID-length: 25
            b"1.2.840.10008.5.1.4.1.1.2",  # SOP-class-uid
            b"\x00",  # SCU-role: no
            b"\x01",  # SCP-role: yes
            # Implementation version name sub-item (PS3.7 Table D.3-3)
            b"\x55\x00",  # item-type, reserved
            b"\x00\x08",  # item-length
            b"PEER_1.0",  # implementation-version-name
            # SOP class extended negotiation sub-item (PS3.7 Table D.3-11)
            b"\x56\x00",  # item-type, reserved
            b"\x00\x1e",  # item-length: 2 + 25 + 3
            b"\x00\x19",  # SOP-class-uid-length: 25
            b"1.2.840.10008.5.1.4.1.1.2",  # SOP-class-uid
            b"\x02\x00\x01",  # service-class-application-information
            # SOP class common extended negotiation sub-item (PS3.7 Table D.3-12)
            b"\x57\x00",  # item-type, sub-item-version
            b"\x00\x4b",  # item-length: 27 + 19 + 2 + 27
            b"\x00\x19",  # SOP-class-uid-length: 25
            b"1.2.840.10008.5.1.4.1.1.4",  # SOP-class-uid
            b"\x00\x11",  # service-class-uid-length: 17
            b"1.2.840.10008.4.2",  # service-class-uid
            b"\x00\x1b",  # related-general-SOP-class-identification-length: 27
            b"\x00\x19",  # related-general-SOP-class-uid-length: 25
            b"1.2.840.10008.5.1.4.1.1.7",  # related-general-SOP-class-uid
            # User identity sub-item (PS3.7 Table D.3-14)
            b"\x58\x00",  # item-type, reserved
            b"\x00\x11",  # item-length: 2 + 7 + 8
            b"\x02",  # user-identity-type: user name and passcode
            b"\x01",  # positive-response-requested
            b"\x00\x05",  # primary-field-length
            b"alice",  # primary-field
            b"\x00\x06",  # secondary-field-length
            b"secret",  # secondary-field
        )
    ),
    AAssociateRQ(
        called_ae_title="ARCHIVE",
        calling_ae_title="MODALITY1",
        presentation_contexts=(PresentationContextRQ(1, VERIFICATION, (IMPLICIT_LE, EXPLICIT_LE)),),
        user_information=UserInformation(
            maximum_length=16384,
            implementation_class_uid="1.2.3.4.5",
            implementation_version_name="PEER_1.0",
            asynchronous_operations_window=AsynchronousOperationsWindow(5, 3),
            role_selections=(RoleSelection(CT_IMAGE, scu=False, scp=True),),
            extended_negotiations=(SopClassExtendedNegotiation(CT_IMAGE, b"\x02\x00\x01"),),
            common_extended_negotiations=(
                SopClassCommonExtendedNegotiation(
                    "1.2.840.10008.5.1.4.1.1.4",
                    "1.2.840.10008.4.2",
                    ("1.2.840.10008.5.1.4.1.1.7",),
                ),
            ),
            user_identity=UserIdentityRQ(
                UserIdentityType.USERNAME_AND_PASSCODE, b"alice", b"secret", True
            ),
        ),
    ),
)

ACCEPT = Vector(
    "A-ASSOCIATE-AC with every item (PS3.8 Table 9-17)",
    b"".join(
        (
            b"\x02",  # PDU-type
            b"\x00",  # reserved
            b"\x00\x00\x01\x11",  # PDU-length: 273
            b"\x00\x01",  # protocol-version
            b"\x00\x00",  # reserved
            b"ARCHIVE         ",  # reserved: called AE title of the request
            b"MODALITY1       ",  # reserved: calling AE title of the request
            bytes(32),  # reserved
            # Application context item (Table 9-12)
            b"\x10\x00",  # item-type, reserved
            b"\x00\x15",  # item-length: 21
            b"1.2.840.10008.3.1.1.1",  # application-context-name
            # Presentation context item (Table 9-18)
            b"\x21",  # item-type
            b"\x00",  # reserved
            b"\x00\x19",  # item-length: 4 + 21
            b"\x01",  # presentation-context-ID
            b"\x00",  # reserved
            b"\x00",  # result: acceptance
            b"\x00",  # reserved
            b"\x40\x00",  # transfer syntax sub-item (Table 9-19), reserved
            b"\x00\x11",  # item-length: 17
            b"1.2.840.10008.1.2",  # transfer-syntax-name
            # Presentation context item, refused
            b"\x21\x00",  # item-type, reserved
            b"\x00\x19",  # item-length
            b"\x03",  # presentation-context-ID
            b"\x00",  # reserved
            b"\x04",  # result: transfer syntaxes not supported
            b"\x00",  # reserved
            b"\x40\x00",  # transfer syntax sub-item, not significant
            b"\x00\x11",  # item-length
            b"1.2.840.10008.1.2",  # transfer-syntax-name
            # User information item (Table 9-16)
            b"\x50\x00",  # item-type, reserved
            b"\x00\x76",  # item-length: 118
            b"\x51\x00\x00\x04",  # maximum length sub-item, 4 bytes
            b"\x00\x00\x00\x00",  # maximum-length-received: no limit
            b"\x52\x00\x00\x09",  # implementation class UID sub-item, 9 bytes
            b"1.2.3.4.5",  # implementation-class-uid
            b"\x53\x00\x00\x04",  # asynchronous operations window sub-item, 4 bytes
            b"\x00\x02\x00\x01",  # invoked, performed
            b"\x54\x00\x00\x1d",  # role selection sub-item (PS3.7 Table D.3-10), 29 bytes
            b"\x00\x19",  # UID-length
            b"1.2.840.10008.5.1.4.1.1.2",  # SOP-class-uid
            b"\x00\x01",  # SCU-role refused, SCP-role accepted
            b"\x55\x00\x00\x08",  # implementation version name sub-item, 8 bytes
            b"PEER_1.0",  # implementation-version-name
            b"\x56\x00\x00\x1e",  # SOP class extended negotiation sub-item, 30 bytes
            b"\x00\x19",  # SOP-class-uid-length
            b"1.2.840.10008.5.1.4.1.1.2",  # SOP-class-uid
            b"\x02\x00\x00",  # service-class-application-information
            # User identity response sub-item (PS3.7 Table D.3-15)
            b"\x59\x00",  # item-type, reserved
            b"\x00\x06",  # item-length
            b"\x00\x04",  # server-response-length
            b"\xde\xad\xbe\xef",  # server-response
        )
    ),
    AAssociateAC(
        called_ae_title="ARCHIVE",
        calling_ae_title="MODALITY1",
        presentation_contexts=(
            PresentationContextAC(1, ContextResult.ACCEPTANCE, IMPLICIT_LE),
            PresentationContextAC(3, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED),
        ),
        user_information=UserInformation(
            maximum_length=0,
            implementation_class_uid="1.2.3.4.5",
            implementation_version_name="PEER_1.0",
            asynchronous_operations_window=AsynchronousOperationsWindow(2, 1),
            role_selections=(RoleSelection(CT_IMAGE, scu=False, scp=True),),
            extended_negotiations=(SopClassExtendedNegotiation(CT_IMAGE, b"\x02\x00\x00"),),
            user_identity_response=UserIdentityAC(b"\xde\xad\xbe\xef"),
        ),
    ),
)

REJECT = Vector(
    "A-ASSOCIATE-RJ (PS3.8 Table 9-21)",
    b"".join(
        (
            b"\x03",  # PDU-type
            b"\x00",  # reserved
            b"\x00\x00\x00\x04",  # PDU-length
            b"\x00",  # reserved
            b"\x02",  # result: rejected-transient
            b"\x03",  # source: service-provider (presentation related function)
            b"\x02",  # reason: local-limit-exceeded
        )
    ),
    AAssociateRJ(RejectResult.REJECTED_TRANSIENT, RejectSource.SERVICE_PROVIDER_PRESENTATION, 2),
)

DATA = Vector(
    "P-DATA-TF with two PDVs (PS3.8 Tables 9-22 and 9-23, Annex E.2)",
    b"".join(
        (
            b"\x04",  # PDU-type
            b"\x00",  # reserved
            b"\x00\x00\x00\x12",  # PDU-length: 18
            # Presentation data value item
            b"\x00\x00\x00\x05",  # item-length: 1 + 1 + 3
            b"\x03",  # presentation-context-ID
            b"\x03",  # message control header: command, last fragment
            b"\x01\x02\x03",  # fragment
            # Presentation data value item
            b"\x00\x00\x00\x05",  # item-length
            b"\x05",  # presentation-context-ID
            b"\x00",  # message control header: data set, not the last fragment
            b"\x04\x05\x06",  # fragment
        )
    ),
    PDataTF(
        (
            PresentationDataValue(3, is_command=True, is_last=True, data=b"\x01\x02\x03"),
            PresentationDataValue(5, is_command=False, is_last=False, data=b"\x04\x05\x06"),
        )
    ),
)

RELEASE_REQUEST = Vector(
    "A-RELEASE-RQ (PS3.8 Table 9-24)",
    b"".join(
        (
            b"\x05",  # PDU-type
            b"\x00",  # reserved
            b"\x00\x00\x00\x04",  # PDU-length
            b"\x00\x00\x00\x00",  # reserved
        )
    ),
    AReleaseRQ(),
)

RELEASE_RESPONSE = Vector(
    "A-RELEASE-RP (PS3.8 Table 9-25)",
    b"".join(
        (
            b"\x06",  # PDU-type
            b"\x00",  # reserved
            b"\x00\x00\x00\x04",  # PDU-length
            b"\x00\x00\x00\x00",  # reserved
        )
    ),
    AReleaseRP(),
)

ABORT = Vector(
    "A-ABORT (PS3.8 Table 9-26)",
    b"".join(
        (
            b"\x07",  # PDU-type
            b"\x00",  # reserved
            b"\x00\x00\x00\x04",  # PDU-length
            b"\x00",  # reserved
            b"\x00",  # reserved
            b"\x02",  # source: service-provider
            b"\x06",  # reason: invalid-PDU-parameter value
        )
    ),
    AAbort(AbortSource.SERVICE_PROVIDER, AbortReason.INVALID_PDU_PARAMETER_VALUE),
)

VECTORS = (REQUEST, ACCEPT, REJECT, DATA, RELEASE_REQUEST, RELEASE_RESPONSE, ABORT)
