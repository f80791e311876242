"""DIMSE-C command sets laid out field by field: by hand from PS3.7 9.3 and Table E.1-1.

Each element is a tag (group, element), a 4-byte length and the value, all little endian
and without a VR (PS3.7 6.3.1). The elements stand in the order of their tags.
"""

from __future__ import annotations

import attrs

from pacs_sdk.network.dimse import (
    CCancelRQ,
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CFindRSP,
    CGetRQ,
    CGetRSP,
    CMoveRQ,
    CMoveRSP,
    CStoreRQ,
    CStoreRSP,
    Message,
    Priority,
    Status,
    UnsupportedRQ,
    UnsupportedRSP,
)

__all__ = [
    "CT_IMAGE",
    "STUDY_ROOT_FIND",
    "STUDY_ROOT_GET",
    "STUDY_ROOT_MOVE",
    "VECTORS",
    "VERIFICATION",
    "Vector",
]

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"


@attrs.frozen
class Vector:
    """A command set as bytes and as a value."""

    name: str
    """What it is."""
    data: bytes
    """The bytes."""
    message: Message
    """What they mean."""
    has_dataset: bool
    """Whether a data set follows."""


# An element a line: tag, length, value.
# fmt: off

C_ECHO_RQ = Vector(
    "C-ECHO-RQ",  # PS3.7 Table 9.3-12
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x38\x00\x00\x00"  # Group Length: 56
    b"\x00\x00\x02\x00" b"\x12\x00\x00\x00" b"1.2.840.10008.1.1\x00"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x30\x00"  # Command Field: 0030H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x07\x00"  # Message ID: 7
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01",  # Command Data Set Type: none
    CEchoRQ(7),
    has_dataset=False,
)

C_ECHO_RSP = Vector(
    "C-ECHO-RSP",  # PS3.7 Table 9.3-13
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x42\x00\x00\x00"  # Group Length: 66
    b"\x00\x00\x02\x00" b"\x12\x00\x00\x00" b"1.2.840.10008.1.1\x00"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x30\x80"  # Command Field: 8030H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x07\x00"  # Message ID Being Responded To: 7
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\x00",  # Status: success
    CEchoRSP(7, Status.SUCCESS),
    has_dataset=False,
)

C_STORE_RQ = Vector(
    "C-STORE-RQ",  # PS3.7 Table 9.3-1
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x66\x00\x00\x00"  # Group Length: 102
    b"\x00\x00\x02\x00" b"\x1a\x00\x00\x00"  # Affected SOP Class UID, 26 bytes
    b"1.2.840.10008.5.1.4.1.1.2\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Field: 0001H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\xff\xff"  # Message ID: 65535
    b"\x00\x00\x00\x07" b"\x02\x00\x00\x00" b"\x01\x00"  # Priority: high
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x10" b"\x14\x00\x00\x00" b"1.2.3.4.5.6.7.8.9.10",  # Affected SOP Instance UID
    CStoreRQ(0xFFFF, CT_IMAGE, "1.2.3.4.5.6.7.8.9.10", Priority.HIGH),
    has_dataset=True,
)

C_STORE_RQ_OF_MOVE = Vector(
    "C-STORE-RQ as a sub-operation of C-MOVE",  # PS3.7 Table 9.3-1
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x70\x00\x00\x00"  # Group Length: 112
    b"\x00\x00\x02\x00" b"\x1a\x00\x00\x00"  # Affected SOP Class UID, 26 bytes
    b"1.2.840.10008.5.1.4.1.1.2\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Field: 0001H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x02\x00"  # Message ID: 2
    b"\x00\x00\x00\x07" b"\x02\x00\x00\x00" b"\x02\x00"  # Priority: low
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x10" b"\x06\x00\x00\x00" b"1.2.3\x00"  # Affected SOP Instance UID
    b"\x00\x00\x30\x10" b"\x06\x00\x00\x00" b"MOVER "  # Move Originator AE Title
    b"\x00\x00\x31\x10" b"\x02\x00\x00\x00" b"\x09\x00",  # Move Originator Message ID: 9
    CStoreRQ(2, CT_IMAGE, "1.2.3", Priority.LOW, "MOVER", 9),
    has_dataset=True,
)

C_STORE_RSP = Vector(
    "C-STORE-RSP",  # PS3.7 Table 9.3-2
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x6a\x00\x00\x00"  # Group Length: 106
    b"\x00\x00\x02\x00" b"\x1a\x00\x00\x00"  # Affected SOP Class UID, 26 bytes
    b"1.2.840.10008.5.1.4.1.1.2\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x01\x80"  # Command Field: 8001H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x02\x00"  # Message ID Being Responded To: 2
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\xa7"  # Status: A700H, out of resources
    b"\x00\x00\x02\x09" b"\x0c\x00\x00\x00" b"disk is full"  # Error Comment
    b"\x00\x00\x00\x10" b"\x04\x00\x00\x00" b"1.2\x00",  # Affected SOP Instance UID
    CStoreRSP(2, Status.OUT_OF_RESOURCES, CT_IMAGE, "1.2", "disk is full"),
    has_dataset=False,
)

C_FIND_RQ = Vector(
    "C-FIND-RQ",  # PS3.7 Table 9.3-3
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x4c\x00\x00\x00"  # Group Length: 76
    b"\x00\x00\x02\x00" b"\x1c\x00\x00\x00"  # Affected SOP Class UID, 28 bytes
    b"1.2.840.10008.5.1.4.1.2.2.1\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x20\x00"  # Command Field: 0020H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x05\x00"  # Message ID: 5
    b"\x00\x00\x00\x07" b"\x02\x00\x00\x00" b"\x00\x00"  # Priority: medium
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00",  # Command Data Set Type: present
    CFindRQ(5, STUDY_ROOT_FIND),
    has_dataset=True,
)

C_FIND_RSP = Vector(
    "C-FIND-RSP, pending",  # PS3.7 Table 9.3-4
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x4c\x00\x00\x00"  # Group Length: 76
    b"\x00\x00\x02\x00" b"\x1c\x00\x00\x00"  # Affected SOP Class UID, 28 bytes
    b"1.2.840.10008.5.1.4.1.2.2.1\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x20\x80"  # Command Field: 8020H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x05\x00"  # Message ID Being Responded To: 5
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\xff",  # Status: FF00H, pending
    CFindRSP(5, Status.PENDING, STUDY_ROOT_FIND),
    has_dataset=True,
)

C_GET_RQ = Vector(
    "C-GET-RQ",  # PS3.7 Table 9.3-6
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x4c\x00\x00\x00"  # Group Length: 76
    b"\x00\x00\x02\x00" b"\x1c\x00\x00\x00"  # Affected SOP Class UID, 28 bytes
    b"1.2.840.10008.5.1.4.1.2.2.3\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x10\x00"  # Command Field: 0010H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x06\x00"  # Message ID: 6
    b"\x00\x00\x00\x07" b"\x02\x00\x00\x00" b"\x00\x00"  # Priority: medium
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00",  # Command Data Set Type: present
    CGetRQ(6, STUDY_ROOT_GET),
    has_dataset=True,
)

C_GET_RSP = Vector(
    "C-GET-RSP, some failed",  # PS3.7 Table 9.3-7
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x74\x00\x00\x00"  # Group Length: 116
    b"\x00\x00\x02\x00" b"\x1c\x00\x00\x00"  # Affected SOP Class UID, 28 bytes
    b"1.2.840.10008.5.1.4.1.2.2.3\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x10\x80"  # Command Field: 8010H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x06\x00"  # Message ID Being Responded To: 6
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\xb0"  # Status: B000H, some failed
    b"\x00\x00\x20\x10" b"\x02\x00\x00\x00" b"\x00\x00"  # Remaining Sub-operations: 0
    b"\x00\x00\x21\x10" b"\x02\x00\x00\x00" b"\x2c\x01"  # Completed Sub-operations: 300
    b"\x00\x00\x22\x10" b"\x02\x00\x00\x00" b"\x02\x00"  # Failed Sub-operations: 2
    b"\x00\x00\x23\x10" b"\x02\x00\x00\x00" b"\x01\x00",  # Warning Sub-operations: 1
    CGetRSP(6, Status.SUBOPERATIONS_WITH_FAILURES, STUDY_ROOT_GET, 0, 300, 2, 1),
    has_dataset=True,
)

C_CANCEL_RQ = Vector(
    "C-CANCEL-RQ",  # PS3.7 Tables 9.3-5, 9.3-8 and 9.3-11
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x1e\x00\x00\x00"  # Group Length: 30
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\xff\x0f"  # Command Field: 0FFFH
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x05\x00"  # Message ID Being Responded To: 5
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01",  # Command Data Set Type: none
    CCancelRQ(5),
    has_dataset=False,
)

C_MOVE_RQ = Vector(
    "C-MOVE-RQ",  # PS3.7 Table 9.3-9
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x60\x00\x00\x00"  # Group Length: 96
    b"\x00\x00\x02\x00" b"\x1c\x00\x00\x00"  # Affected SOP Class UID, 28 bytes
    b"1.2.840.10008.5.1.4.1.2.2.2\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x21\x00"  # Command Field: 0021H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x08\x00"  # Message ID: 8
    b"\x00\x00\x00\x06" b"\x0c\x00\x00\x00" b"WORKSTATION "  # Move Destination
    b"\x00\x00\x00\x07" b"\x02\x00\x00\x00" b"\x00\x00"  # Priority: medium
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00",  # Command Data Set Type: present
    CMoveRQ(8, STUDY_ROOT_MOVE, "WORKSTATION"),
    has_dataset=True,
)

C_MOVE_RSP = Vector(
    "C-MOVE-RSP, pending",  # PS3.7 Table 9.3-10
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x74\x00\x00\x00"  # Group Length: 116
    b"\x00\x00\x02\x00" b"\x1c\x00\x00\x00"  # Affected SOP Class UID, 28 bytes
    b"1.2.840.10008.5.1.4.1.2.2.2\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x21\x80"  # Command Field: 8021H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x08\x00"  # Message ID Being Responded To: 8
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\xff"  # Status: FF00H, pending
    b"\x00\x00\x20\x10" b"\x02\x00\x00\x00" b"\x02\x01"  # Remaining Sub-operations: 258
    b"\x00\x00\x21\x10" b"\x02\x00\x00\x00" b"\x03\x00"  # Completed Sub-operations: 3
    b"\x00\x00\x22\x10" b"\x02\x00\x00\x00" b"\x00\x00"  # Failed Sub-operations: 0
    b"\x00\x00\x23\x10" b"\x02\x00\x00\x00" b"\x00\x00",  # Warning Sub-operations: 0
    CMoveRSP(8, Status.PENDING, STUDY_ROOT_MOVE, 258, 3, 0, 0),
    has_dataset=False,
)

C_MOVE_RSP_FAILED = Vector(
    "C-MOVE-RSP, an identifier that does not match",  # PS3.7 Table 9.3-10, C.5.2
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x72\x00\x00\x00"  # Group Length: 114
    b"\x00\x00\x02\x00" b"\x1c\x00\x00\x00"  # Affected SOP Class UID, 28 bytes
    b"1.2.840.10008.5.1.4.1.2.2.2\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x21\x80"  # Command Field: 8021H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x08\x00"  # Message ID Being Responded To: 8
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\xa9"  # Status: A900H, does not match
    b"\x00\x00\x01\x09" b"\x08\x00\x00\x00"  # Offending Element, 8 bytes
    b"\x20\x00\x0d\x00\x08\x00\x52\x00"
    b"\x00\x00\x02\x09" b"\x0e\x00\x00\x00" b"no such level ",  # Error Comment
    CMoveRSP(
        8,
        Status.DATA_SET_MISMATCH,
        STUDY_ROOT_MOVE,
        error_comment="no such level",
        offending_element=(0x0020000D, 0x00080052),
    ),
    has_dataset=False,
)

UNSUPPORTED_RQ = Vector(
    "a request whose operation is not known",  # PS3.7 6.3.1, Table E.1-1
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x38\x00\x00\x00"  # Group Length: 56
    b"\x00\x00\x03\x00" b"\x12\x00\x00\x00" b"1.2.840.10008.1.1\x00"  # Requested SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x60\x01"  # Command Field: 0160H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x03\x00"  # Message ID: 3
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01",  # Command Data Set Type: none
    UnsupportedRQ(0x0160, 3, requested_sop_class_uid=VERIFICATION),
    has_dataset=False,
)

UNSUPPORTED_RSP = Vector(
    "the answer to an operation that is not known",  # PS3.7 Annex C, Unrecognized Operation
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x42\x00\x00\x00"  # Group Length: 66
    b"\x00\x00\x02\x00" b"\x12\x00\x00\x00" b"1.2.840.10008.1.1\x00"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x60\x81"  # Command Field: 8160H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x03\x00"  # Message ID Being Responded To: 3
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x11\x02",  # Status: 0211H, unrecognized operation
    UnsupportedRSP(0x8160, 3, Status.UNRECOGNIZED_OPERATION, VERIFICATION),
    has_dataset=False,
)

# fmt: on

VECTORS = (
    C_ECHO_RQ,
    C_ECHO_RSP,
    C_STORE_RQ,
    C_STORE_RQ_OF_MOVE,
    C_STORE_RSP,
    C_FIND_RQ,
    C_FIND_RSP,
    C_GET_RQ,
    C_GET_RSP,
    C_CANCEL_RQ,
    C_MOVE_RQ,
    C_MOVE_RSP,
    C_MOVE_RSP_FAILED,
    UNSUPPORTED_RQ,
    UNSUPPORTED_RSP,
)
