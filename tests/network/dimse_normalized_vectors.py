"""DIMSE-N command sets laid out field by field: by hand from PS3.7 10.3 and Table E.1-1.

They are written down as those of :mod:`tests.network.dimse_vectors`.
"""

from __future__ import annotations

from pacs_sdk.network.dimse import (
    PPS_MAY_NO_LONGER_BE_UPDATED,
    NActionRQ,
    NActionRSP,
    NCreateRQ,
    NCreateRSP,
    NDeleteRQ,
    NDeleteRSP,
    NEventReportRQ,
    NEventReportRSP,
    NGetRQ,
    NGetRSP,
    NSetRQ,
    NSetRSP,
    Status,
)
from tests.network.dimse_vectors import Vector

__all__ = [
    "FILM_BOX",
    "MPPS",
    "NORMALIZED_VECTORS",
    "PRINTER",
    "PRINTER_INSTANCE",
    "STORAGE_COMMITMENT",
    "STORAGE_COMMITMENT_INSTANCE",
]

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
MPPS = "1.2.840.10008.3.1.2.3.3"
FILM_BOX = "1.2.840.10008.5.1.1.2"
PRINTER = "1.2.840.10008.5.1.1.16"
PRINTER_INSTANCE = "1.2.840.10008.5.1.1.17"

# An element a line: tag, length, value.
# fmt: off

N_EVENT_REPORT_RQ = Vector(
    "N-EVENT-REPORT-RQ, storage was committed",  # PS3.7 Table 10.3-1
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x62\x00\x00\x00"  # Group Length: 98
    b"\x00\x00\x02\x00" b"\x14\x00\x00\x00" b"1.2.840.10008.1.20.1"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x00\x01"  # Command Field: 0100H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x01\x00"  # Message ID: 1
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x10" b"\x16\x00\x00\x00" b"1.2.840.10008.1.20.1.1"  # Affected SOP Instance UID
    b"\x00\x00\x02\x10" b"\x02\x00\x00\x00" b"\x01\x00",  # Event Type ID: 1
    NEventReportRQ(1, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1),
    has_dataset=True,
)

N_EVENT_REPORT_RSP = Vector(
    "N-EVENT-REPORT-RSP",  # PS3.7 Table 10.3-2
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x6c\x00\x00\x00"  # Group Length: 108
    b"\x00\x00\x02\x00" b"\x14\x00\x00\x00" b"1.2.840.10008.1.20.1"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x00\x81"  # Command Field: 8100H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x01\x00"  # Message ID Being Responded To: 1
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\x00"  # Status: success
    b"\x00\x00\x00\x10" b"\x16\x00\x00\x00" b"1.2.840.10008.1.20.1.1"  # Affected SOP Instance UID
    b"\x00\x00\x02\x10" b"\x02\x00\x00\x00" b"\x01\x00",  # Event Type ID: 1
    NEventReportRSP(
        1, Status.SUCCESS, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1
    ),
    has_dataset=False,
)

N_GET_RQ = Vector(
    "N-GET-RQ, two attributes of a printer",  # PS3.7 Table 10.3-3
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x6a\x00\x00\x00"  # Group Length: 106
    b"\x00\x00\x03\x00" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.16"  # Requested SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x10\x01"  # Command Field: 0110H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x02\x00"  # Message ID: 2
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x01\x10" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.17"  # Requested SOP Instance UID
    b"\x00\x00\x05\x10" b"\x08\x00\x00\x00"  # Attribute Identifier List, 8 bytes
    b"\x10\x21\x10\x00\x08\x00\x70\x00",
    NGetRQ(2, PRINTER, PRINTER_INSTANCE, (0x21100010, 0x00080070)),
    has_dataset=False,
)

N_GET_RQ_ALL = Vector(
    "N-GET-RQ, all attributes",  # PS3.7 Table 10.3-3
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x5a\x00\x00\x00"  # Group Length: 90
    b"\x00\x00\x03\x00" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.16"  # Requested SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x10\x01"  # Command Field: 0110H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x02\x00"  # Message ID: 2
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x01\x10" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.17",  # Requested SOP Instance UID
    NGetRQ(2, PRINTER, PRINTER_INSTANCE),
    has_dataset=False,
)

N_GET_RSP = Vector(
    "N-GET-RSP",  # PS3.7 Table 10.3-4
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x64\x00\x00\x00"  # Group Length: 100
    b"\x00\x00\x02\x00" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.16"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x10\x81"  # Command Field: 8110H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x02\x00"  # Message ID Being Responded To: 2
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\x00"  # Status: success
    b"\x00\x00\x00\x10" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.17",  # Affected SOP Instance UID
    NGetRSP(2, Status.SUCCESS, PRINTER, PRINTER_INSTANCE),
    has_dataset=True,
)

N_GET_RSP_WARNING = Vector(
    "N-GET-RSP, an attribute was not recognized",  # PS3.7 Table 10.3-4, C.4.2
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x70\x00\x00\x00"  # Group Length: 112
    b"\x00\x00\x02\x00" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.16"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x10\x81"  # Command Field: 8110H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x02\x00"  # Message ID Being Responded To: 2
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x07\x01"  # Status: 0107H, attribute list error
    b"\x00\x00\x00\x10" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.17"  # Affected SOP Instance UID
    b"\x00\x00\x05\x10" b"\x04\x00\x00\x00"  # Attribute Identifier List: (0008,0070), 4 bytes
    b"\x08\x00\x70\x00",
    NGetRSP(2, Status.ATTRIBUTE_LIST_ERROR, PRINTER, PRINTER_INSTANCE, (0x00080070,)),
    has_dataset=True,
)

N_SET_RQ = Vector(
    "N-SET-RQ",  # PS3.7 Table 10.3-5
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x4c\x00\x00\x00"  # Group Length: 76
    b"\x00\x00\x03\x00" b"\x18\x00\x00\x00"  # Requested SOP Class UID, 24 bytes
    b"1.2.840.10008.3.1.2.3.3\x00"
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x20\x01"  # Command Field: 0120H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x03\x00"  # Message ID: 3
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x01\x10" b"\x06\x00\x00\x00" b"1.2.3\x00",  # Requested SOP Instance UID
    NSetRQ(3, MPPS, "1.2.3"),
    has_dataset=True,
)

N_SET_RSP = Vector(
    "N-SET-RSP, the step is complete",  # PS3.7 Table 10.3-6, PS3.4 Table F.7.2-2
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x72\x00\x00\x00"  # Group Length: 114
    b"\x00\x00\x02\x00" b"\x18\x00\x00\x00" b"1.2.840.10008.3.1.2.3.3\x00"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x20\x81"  # Command Field: 8120H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x03\x00"  # Message ID Being Responded To: 3
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x10\x01"  # Status: 0110H, processing failure
    b"\x00\x00\x02\x09" b"\x0a\x00\x00\x00" b"no longer "  # Error Comment
    b"\x00\x00\x03\x09" b"\x02\x00\x00\x00" b"\x10\xa7"  # Error ID: A710H
    b"\x00\x00\x00\x10" b"\x06\x00\x00\x00" b"1.2.3\x00",  # Affected SOP Instance UID
    NSetRSP(
        3,
        Status.PROCESSING_FAILURE,
        MPPS,
        "1.2.3",
        error_comment="no longer",
        error_id=PPS_MAY_NO_LONGER_BE_UPDATED,
    ),
    has_dataset=False,
)

N_ACTION_RQ = Vector(
    "N-ACTION-RQ, storage is to be committed",  # PS3.7 Table 10.3-7
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x62\x00\x00\x00"  # Group Length: 98
    b"\x00\x00\x03\x00" b"\x14\x00\x00\x00" b"1.2.840.10008.1.20.1"  # Requested SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x30\x01"  # Command Field: 0130H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x04\x00"  # Message ID: 4
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x01\x10" b"\x16\x00\x00\x00" b"1.2.840.10008.1.20.1.1"  # Requested SOP Instance UID
    b"\x00\x00\x08\x10" b"\x02\x00\x00\x00" b"\x01\x00",  # Action Type ID: 1
    NActionRQ(4, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 1),
    has_dataset=True,
)

N_ACTION_RSP = Vector(
    "N-ACTION-RSP, an action that is none",  # PS3.7 Table 10.3-8
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x6c\x00\x00\x00"  # Group Length: 108
    b"\x00\x00\x02\x00" b"\x14\x00\x00\x00" b"1.2.840.10008.1.20.1"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x30\x81"  # Command Field: 8130H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x04\x00"  # Message ID Being Responded To: 4
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x23\x01"  # Status: 0123H, no such action
    b"\x00\x00\x00\x10" b"\x16\x00\x00\x00" b"1.2.840.10008.1.20.1.1"  # Affected SOP Instance UID
    b"\x00\x00\x08\x10" b"\x02\x00\x00\x00" b"\x02\x00",  # Action Type ID: 2
    NActionRSP(
        4, Status.NO_SUCH_ACTION, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, 2
    ),
    has_dataset=False,
)

N_CREATE_RQ = Vector(
    "N-CREATE-RQ",  # PS3.7 Table 10.3-9
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x4c\x00\x00\x00"  # Group Length: 76
    b"\x00\x00\x02\x00" b"\x18\x00\x00\x00" b"1.2.840.10008.3.1.2.3.3\x00"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x40\x01"  # Command Field: 0140H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x05\x00"  # Message ID: 5
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x10" b"\x06\x00\x00\x00" b"1.2.3\x00",  # Affected SOP Instance UID
    NCreateRQ(5, MPPS, "1.2.3"),
    has_dataset=True,
)

N_CREATE_RQ_OPEN = Vector(
    "N-CREATE-RQ, the peer chooses the UID",  # PS3.7 Table 10.3-9
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x3c\x00\x00\x00"  # Group Length: 60
    b"\x00\x00\x02\x00" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.2\x00"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x40\x01"  # Command Field: 0140H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x05\x00"  # Message ID: 5
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00",  # Command Data Set Type: present
    NCreateRQ(5, FILM_BOX),
    has_dataset=True,
)

N_CREATE_RSP = Vector(
    "N-CREATE-RSP",  # PS3.7 Table 10.3-10
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x54\x00\x00\x00"  # Group Length: 84
    b"\x00\x00\x02\x00" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.2\x00"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x40\x81"  # Command Field: 8140H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x05\x00"  # Message ID Being Responded To: 5
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x00"  # Command Data Set Type: present
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x00\xb6"  # Status: B600H, no memory allocation
    b"\x00\x00\x00\x10" b"\x06\x00\x00\x00" b"1.2.4\x00",  # Affected SOP Instance UID
    NCreateRSP(5, 0xB600, FILM_BOX, "1.2.4"),
    has_dataset=True,
)

N_DELETE_RQ = Vector(
    "N-DELETE-RQ",  # PS3.7 Table 10.3-11
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x4a\x00\x00\x00"  # Group Length: 74
    b"\x00\x00\x03\x00" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.2\x00"  # Requested SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x50\x01"  # Command Field: 0150H
    b"\x00\x00\x10\x01" b"\x02\x00\x00\x00" b"\x06\x00"  # Message ID: 6
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x01\x10" b"\x06\x00\x00\x00" b"1.2.4\x00",  # Requested SOP Instance UID
    NDeleteRQ(6, FILM_BOX, "1.2.4"),
    has_dataset=False,
)

N_DELETE_RSP = Vector(
    "N-DELETE-RSP",  # PS3.7 Table 10.3-12
    b"\x00\x00\x00\x00" b"\x04\x00\x00\x00" b"\x54\x00\x00\x00"  # Group Length: 84
    b"\x00\x00\x02\x00" b"\x16\x00\x00\x00" b"1.2.840.10008.5.1.1.2\x00"  # Affected SOP Class UID
    b"\x00\x00\x00\x01" b"\x02\x00\x00\x00" b"\x50\x81"  # Command Field: 8150H
    b"\x00\x00\x20\x01" b"\x02\x00\x00\x00" b"\x06\x00"  # Message ID Being Responded To: 6
    b"\x00\x00\x00\x08" b"\x02\x00\x00\x00" b"\x01\x01"  # Command Data Set Type: none
    b"\x00\x00\x00\x09" b"\x02\x00\x00\x00" b"\x12\x01"  # Status: 0112H, no such SOP instance
    b"\x00\x00\x00\x10" b"\x06\x00\x00\x00" b"1.2.4\x00",  # Affected SOP Instance UID
    NDeleteRSP(6, Status.NO_SUCH_SOP_INSTANCE, FILM_BOX, "1.2.4"),
    has_dataset=False,
)

# fmt: on

NORMALIZED_VECTORS = (
    N_EVENT_REPORT_RQ,
    N_EVENT_REPORT_RSP,
    N_GET_RQ,
    N_GET_RQ_ALL,
    N_GET_RSP,
    N_GET_RSP_WARNING,
    N_SET_RQ,
    N_SET_RSP,
    N_ACTION_RQ,
    N_ACTION_RSP,
    N_CREATE_RQ,
    N_CREATE_RQ_OPEN,
    N_CREATE_RSP,
    N_DELETE_RQ,
    N_DELETE_RSP,
)
