"""PDUs captured from DCMTK 3.6.7 (Debian) on a loopback socket, taken apart into fields."""

from __future__ import annotations

import attrs

from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    AbortReason,
    AbortSource,
    ContextResult,
    PDataTF,
    PresentationContextAC,
    PresentationContextRQ,
    PresentationDataValue,
    RejectResult,
    RejectSource,
    UserRejectReason,
)
from pacs_sdk.network.user_information import UserIdentityRQ, UserIdentityType, UserInformation
from tests.network.pdu_vectors import CT_IMAGE, EXPLICIT_LE, IMPLICIT_LE, VERIFICATION, Vector

__all__ = ["CAPTURES"]

EXPLICIT_BE = "1.2.840.10008.1.2.2"

_DCMTK_INFORMATION = UserInformation(16384, "1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367")

DCMTK_REQUEST = Vector(
    "A-ASSOCIATE-RQ of `echoscu -aet MODALITY1 -aec ARCHIVE`",
    b"".join(
        (
            b"\x01\x00\x00\x00\x00\xcd",  # PDU-type, reserved, PDU-length: 205
            b"\x00\x01\x00\x00",  # protocol-version, reserved
            b"ARCHIVE         ",  # called-AE-title
            b"MODALITY1       ",  # calling-AE-title
            bytes(32),  # reserved
            b"\x10\x00\x00\x151.2.840.10008.3.1.1.1",  # application context item
            b"\x20\x00\x00\x2e",  # presentation context item
            b"\x01\x00\xff\x00",  # ID 1; DCMTK sends a reserved byte as FFH
            b"\x30\x00\x00\x111.2.840.10008.1.1",  # abstract syntax sub-item
            b"\x40\x00\x00\x111.2.840.10008.1.2",  # transfer syntax sub-item
            b"\x50\x00\x00\x3a",  # user information item
            b"\x51\x00\x00\x04\x00\x00\x40\x00",  # maximum length: 16384
            b"\x52\x00\x00\x1b1.2.276.0.7230010.3.0.3.6.7",  # implementation class UID
            b"\x55\x00\x00\x0fOFFIS_DCMTK_367",  # implementation version name
        )
    ),
    AAssociateRQ(
        "ARCHIVE",
        "MODALITY1",
        (PresentationContextRQ(1, VERIFICATION, (IMPLICIT_LE,)),),
        _DCMTK_INFORMATION,
    ),
    ours=False,
)

DCMTK_IDENTITY_REQUEST = Vector(
    "A-ASSOCIATE-RQ of `storescu -R -usr radiologist -pwd secret -rsp` with a CT image",
    b"".join(
        (
            b"\x01\x00\x00\x00\x01\x43",  # PDU-type, reserved, PDU-length: 323
            b"\x00\x01\x00\x00",  # protocol-version, reserved
            b"ARCHIVE         ",  # called-AE-title
            b"MODALITY1       ",  # calling-AE-title
            bytes(32),  # reserved
            b"\x10\x00\x00\x151.2.840.10008.3.1.1.1",  # application context item
            b"\x20\x00\x00\x38",  # presentation context item
            b"\x01\x00\xff\x00",  # ID 1
            b"\x30\x00\x00\x191.2.840.10008.5.1.4.1.1.2",  # abstract syntax sub-item
            b"\x40\x00\x00\x131.2.840.10008.1.2.1",  # transfer syntax sub-item
            b"\x20\x00\x00\x4d",  # presentation context item
            b"\x03\x00\xff\x00",  # ID 3
            b"\x30\x00\x00\x191.2.840.10008.5.1.4.1.1.2",  # abstract syntax sub-item
            b"\x40\x00\x00\x131.2.840.10008.1.2.2",  # transfer syntax sub-item
            b"\x40\x00\x00\x111.2.840.10008.1.2",  # transfer syntax sub-item
            b"\x50\x00\x00\x55",  # user information item
            b"\x51\x00\x00\x04\x00\x00\x40\x00",  # maximum length: 16384
            b"\x52\x00\x00\x1b1.2.276.0.7230010.3.0.3.6.7",  # implementation class UID
            b"\x55\x00\x00\x0fOFFIS_DCMTK_367",  # implementation version name
            b"\x58\x00\x00\x17",  # user identity sub-item
            b"\x02\x01",  # user name and passcode, response requested
            b"\x00\x0bradiologist",  # primary-field
            b"\x00\x06secret",  # secondary-field
        )
    ),
    AAssociateRQ(
        "ARCHIVE",
        "MODALITY1",
        (
            PresentationContextRQ(1, CT_IMAGE, (EXPLICIT_LE,)),
            PresentationContextRQ(3, CT_IMAGE, (EXPLICIT_BE, IMPLICIT_LE)),
        ),
        attrs.evolve(
            _DCMTK_INFORMATION,
            user_identity=UserIdentityRQ(
                UserIdentityType.USERNAME_AND_PASSCODE, b"radiologist", b"secret", True
            ),
        ),
    ),
    ours=False,
)

DCMTK_ACCEPT = Vector(
    "A-ASSOCIATE-AC of `storescp`, offered Verification, CT, Study Root FIND, MR as J2K only",
    b"".join(
        (
            b"\x02\x00\x00\x00\x01\x11",  # PDU-type, reserved, PDU-length: 273
            b"\x00\x01\x00\x00",  # protocol-version, reserved
            b"ARCHIVE         ",  # reserved: called AE title of the request
            b"MODALITY1       ",  # reserved: calling AE title of the request
            bytes(32),  # reserved
            b"\x10\x00\x00\x151.2.840.10008.3.1.1.1",  # application context item
            b"\x21\x00\x00\x19\x01\x00\x00\x00",  # presentation context 1: acceptance
            b"\x40\x00\x00\x111.2.840.10008.1.2",  # transfer syntax sub-item
            b"\x21\x00\x00\x1b\x03\x00\x00\x00",  # presentation context 3: acceptance
            b"\x40\x00\x00\x131.2.840.10008.1.2.1",  # transfer syntax sub-item
            b"\x21\x00\x00\x19\x05\x00\x03\x00",  # context 5: abstract syntax not supported
            b"\x40\x00\x00\x111.2.840.10008.1.2",  # not significant
            b"\x21\x00\x00\x19\x07\x00\x04\x00",  # context 7: transfer syntaxes not supported
            b"\x40\x00\x00\x111.2.840.10008.1.2",  # not significant
            b"\x50\x00\x00\x3a",  # user information item
            b"\x51\x00\x00\x04\x00\x00\x40\x00",  # maximum length: 16384
            b"\x52\x00\x00\x1b1.2.276.0.7230010.3.0.3.6.7",  # implementation class UID
            b"\x55\x00\x00\x0fOFFIS_DCMTK_367",  # implementation version name
        )
    ),
    AAssociateAC(
        "ARCHIVE",
        "MODALITY1",
        (
            PresentationContextAC(1, ContextResult.ACCEPTANCE, IMPLICIT_LE),
            PresentationContextAC(3, ContextResult.ACCEPTANCE, EXPLICIT_LE),
            PresentationContextAC(5, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED),
            PresentationContextAC(7, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED),
        ),
        _DCMTK_INFORMATION,
    ),
)

DCMTK_REJECT = Vector(
    "A-ASSOCIATE-RJ of `storescp`, asked for application context 1.2.3",
    b"\x03\x00"  # PDU-type, reserved
    b"\x00\x00\x00\x04"  # PDU-length
    b"\x00"  # reserved
    b"\x01\x01\x02",  # rejected-permanent, service-user, application context not supported
    AAssociateRJ(
        RejectResult.REJECTED_PERMANENT,
        RejectSource.SERVICE_USER,
        UserRejectReason.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED,
    ),
)

_C_ECHO_RQ = bytes.fromhex(
    "000000000400000038000000"  # (0000,0000) Command Group Length: 56
    "0000020012000000312e322e3834302e31303030382e312e3100"  # (0000,0002) Verification
    "00000001020000003000"  # (0000,0100) C-ECHO-RQ
    "00001001020000000100"  # (0000,0110) Message ID: 1
    "00000008020000000101"  # (0000,0800) no data set
)

DCMTK_DATA = Vector(
    "P-DATA-TF of `echoscu` with its C-ECHO-RQ",
    b"".join(
        (
            b"\x04\x00\x00\x00\x00\x4a",  # PDU-type, reserved, PDU-length: 74
            b"\x00\x00\x00\x46",  # item-length: 70
            b"\x01",  # presentation-context-ID
            b"\x03",  # message control header: command, last fragment
            _C_ECHO_RQ,
        )
    ),
    PDataTF((PresentationDataValue(1, is_command=True, is_last=True, data=_C_ECHO_RQ),)),
)

DCMTK_ABORT = Vector(
    "A-ABORT of `storescp` to a second A-ASSOCIATE-RQ",
    b"\x07\x00"  # PDU-type, reserved
    b"\x00\x00\x00\x04"  # PDU-length
    b"\x00\x00"  # reserved
    b"\x02\x02",  # service-provider, unexpected-PDU
    AAbort(AbortSource.SERVICE_PROVIDER, AbortReason.UNEXPECTED_PDU),
)

DCMTK_USER_ABORT = Vector(
    "A-ABORT of `echoscu --abort`",
    b"\x07\x00"  # PDU-type, reserved
    b"\x00\x00\x00\x04"  # PDU-length
    b"\x00\x00"  # reserved
    b"\x00\x00",  # service-user, reason not significant
    AAbort(AbortSource.SERVICE_USER),
)

CAPTURES = (
    DCMTK_REQUEST,
    DCMTK_IDENTITY_REQUEST,
    DCMTK_ACCEPT,
    DCMTK_REJECT,
    DCMTK_DATA,
    DCMTK_ABORT,
    DCMTK_USER_ABORT,
)
