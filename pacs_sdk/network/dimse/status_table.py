"""The status codes of PS3.7 Annex C and of the service classes of PS3.4, one row each.

After the editions of 2024. The words are short forms of the standard's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs

from pacs_sdk.network.dimse.elements import CommandField

__all__ = ["STATUS_MEANINGS", "StatusCategory", "StatusMeaning"]


class StatusCategory(enum.Enum):
    """The five kinds of status (PS3.7 Annex C)."""

    SUCCESS = "success"
    PENDING = "pending"
    CANCEL = "cancel"
    WARNING = "warning"
    FAILURE = "failure"


@attrs.frozen
class StatusMeaning:
    """What a code, or each code of a range, means in one service class."""

    first: int
    """The code, or the first of a range."""
    last: int
    """The last of a range; the same as ``first`` for one code."""
    category: StatusCategory
    """Its kind."""
    words: str
    """Its meaning."""
    service: str
    """The service class that gives it this meaning; empty for all (PS3.7 Annex C)."""
    request_fields: frozenset[int]
    """The Command Fields of the requests that it answers; empty for any."""


_Codes: TypeAlias = int | tuple[int, int]
_Rows: TypeAlias = tuple[tuple[_Codes, StatusCategory, str], ...]

_SUCCESS: Final = StatusCategory.SUCCESS
_PENDING: Final = StatusCategory.PENDING
_CANCEL: Final = StatusCategory.CANCEL
_WARNING: Final = StatusCategory.WARNING
_FAILURE: Final = StatusCategory.FAILURE

_STORE: Final = (CommandField.C_STORE_RQ,)
_FIND: Final = (CommandField.C_FIND_RQ,)
_MOVE: Final = (CommandField.C_MOVE_RQ,)
_RETRIEVE: Final = (CommandField.C_GET_RQ, CommandField.C_MOVE_RQ)
_EVENT: Final = (CommandField.N_EVENT_REPORT_RQ,)
_GET: Final = (CommandField.N_GET_RQ,)
_SET: Final = (CommandField.N_SET_RQ,)
_ACTION: Final = (CommandField.N_ACTION_RQ,)
_CREATE: Final = (CommandField.N_CREATE_RQ,)
_NORMALIZED: Final = (*_EVENT, *_GET, *_SET, *_ACTION, *_CREATE, CommandField.N_DELETE_RQ)

# PS3.7 Annex C
_GENERAL: Final[_Rows] = (
    (0x0000, _SUCCESS, "the operation was carried out"),
    (0x0105, _FAILURE, "no such attribute"),
    (0x0106, _FAILURE, "invalid attribute value"),
    (0x0107, _WARNING, "attribute list error: some attributes were not recognized"),
    (0x0110, _FAILURE, "processing failure"),
    (0x0111, _FAILURE, "duplicate SOP instance: the UID is in use"),
    (0x0112, _FAILURE, "no such SOP instance"),
    (0x0113, _FAILURE, "no such event type"),
    (0x0114, _FAILURE, "no such argument"),
    (0x0115, _FAILURE, "invalid argument value"),
    (0x0116, _WARNING, "attribute value out of range"),
    (0x0117, _FAILURE, "invalid SOP instance: the UID breaks the rules for UIDs"),
    (0x0118, _FAILURE, "no such SOP class"),
    (0x0119, _FAILURE, "class-instance conflict: the instance is of another SOP class"),
    (0x0120, _FAILURE, "missing attribute"),
    (0x0121, _FAILURE, "missing attribute value"),
    (0x0122, _FAILURE, "refused: SOP class not supported"),
    (0x0123, _FAILURE, "no such action"),
    (0x0124, _FAILURE, "refused: not authorized"),
    (0x0210, _FAILURE, "duplicate invocation: the Message ID is in use"),
    (0x0211, _FAILURE, "unrecognized operation"),
    (0x0212, _FAILURE, "mistyped argument"),
    (0x0213, _FAILURE, "resource limitation"),
    (0xFE00, _CANCEL, "the operation was cancelled"),
)

# PS3.4 B.2.3, and GG.4 for objects that belong to no patient
_STORAGE: Final[_Rows] = (
    ((0xA700, 0xA7FF), _FAILURE, "refused: out of resources"),
    ((0xA900, 0xA9FF), _FAILURE, "the data set does not match the SOP class"),
    (0xB000, _WARNING, "data elements were coerced"),
    (0xB006, _WARNING, "data elements were discarded"),
    (0xB007, _WARNING, "the data set does not match the SOP class, but was stored"),
    ((0xC000, 0xCFFF), _FAILURE, "cannot understand"),
)

# PS3.4 C.4.1.1.4, K.4.1.1.4 (worklist), U, V, X, BB, CC.2.8 (UPS) and HH
_QUERY: Final[_Rows] = (
    (0xA700, _FAILURE, "refused: out of resources"),
    (0xA710, _FAILURE, "invalid prior record key"),
    (0xA900, _FAILURE, "the identifier does not match the SOP class"),
    (0xB001, _WARNING, "the limit of responses was reached; ask again for more matches"),
    ((0xC000, 0xCFFF), _FAILURE, "unable to process"),
    (0xFF00, _PENDING, "matches are continuing"),
    (0xFF01, _PENDING, "matches are continuing; some optional keys were not supported"),
)

# PS3.4 Q.2.1.1.4
_RELEVANT_PATIENT: Final[_Rows] = (
    (0xC100, _FAILURE, "more than one match found"),
    (0xC200, _FAILURE, "the requested template is not supported"),
)

# PS3.4 C.4.2.1.5 and C.4.3.1.4
_RETRIEVAL: Final[_Rows] = (
    (0xA701, _FAILURE, "out of resources, number of matches not known"),
    (0xA702, _FAILURE, "out of resources, sub-operations not possible"),
    (0xA900, _FAILURE, "the identifier does not match the SOP class"),
    (0xB000, _WARNING, "sub-operations complete, with failures or warnings"),
    ((0xC000, 0xCFFF), _FAILURE, "unable to process"),
    (0xFF00, _PENDING, "sub-operations are continuing"),
)

# PS3.4 C.4.2.1.5
_MOVING: Final[_Rows] = ((0xA801, _FAILURE, "refused: move destination unknown"),)

# PS3.4 Y.4.1.1.4 and Y.4.2.1.4
_FRAME_RETRIEVAL: Final[_Rows] = (
    (0xAA00, _FAILURE, "none of the requested frames are in the SOP instance"),
    (0xAA01, _FAILURE, "no new object can be made for this SOP class"),
    (0xAA02, _FAILURE, "the frames cannot be extracted"),
    (0xAA03, _FAILURE, "a time range was requested of an instance that is not time-based"),
    (0xAA04, _FAILURE, "invalid request"),
)

# PS3.4 F.7.2, F.8.2; the Error ID that goes with 0110H is PPS_MAY_NO_LONGER_BE_UPDATED
_PROCEDURE_STEP_GET: Final[_Rows] = (
    (0x0001, _WARNING, "requested optional attributes are not supported"),
)

# PS3.4 J.3 has none of its own, but PS3.3 C.14.1.1 adds this to the Failure Reasons
_COMMITMENT: Final[_Rows] = ((0x0131, _FAILURE, "duplicate transaction UID"),)

# PS3.4 KK.2
_STORAGE_MANAGEMENT: Final[_Rows] = (
    (0xB010, _WARNING, "some key attributes are not supported for matching"),
)

# PS3.4 H.4
_PRINT: Final[_Rows] = (
    (0xB600, _WARNING, "memory allocation is not supported"),
    (0xB601, _WARNING, "film session printing (collation) is not supported"),
    (0xB602, _WARNING, "the film session has no image box: an empty page"),
    (0xB603, _WARNING, "the film box has no image box: an empty page"),
    (0xB604, _WARNING, "the image is larger than its box and was demagnified"),
    (0xB605, _WARNING, "the requested density is outside of the printer's range"),
    (0xB609, _WARNING, "the image is larger than its box and was cropped"),
    (0xB60A, _WARNING, "the image is larger than its box and was decimated"),
    (0xC600, _FAILURE, "the film session has no film box"),
    (0xC601, _FAILURE, "no print job for the film session: the print queue is full"),
    (0xC602, _FAILURE, "no print job for the film box: the print queue is full"),
    (0xC603, _FAILURE, "the image is larger than its box"),
    (0xC605, _FAILURE, "the printer has not enough memory for the image"),
    (0xC613, _FAILURE, "the combined print image is larger than its box"),
    (0xC616, _FAILURE, "an earlier film box has not been printed"),
)

# PS3.4 P.3
_EVENT_LOGGING: Final[_Rows] = (
    (0xB101, _WARNING, "the Synchronization Frame of Reference UID is not that of the SCP"),
    (0xB102, _WARNING, "logged under a different Study Instance UID"),
    (0xB104, _WARNING, "the IDs match the study inconsistently; the event was logged"),
    (0xC101, _FAILURE, "no procedural logging for this Study Instance UID"),
    (0xC102, _FAILURE, "the event information does not match the template"),
    (0xC103, _FAILURE, "the event matches no current study"),
    (0xC104, _FAILURE, "the IDs match the study inconsistently; the event was not logged"),
    (0xC10E, _FAILURE, "the operator may not add to the medication administration record"),
    (0xC110, _FAILURE, "the patient cannot be identified"),
    (0xC111, _FAILURE, "the medication administration record was not updated"),
)

# PS3.4 S.3
_MEDIA_CREATION: Final[_Rows] = (
    (0x0001, _WARNING, "requested optional attributes are not supported"),
    (0xA510, _FAILURE, "media creation was already initiated for this instance"),
    (0xC201, _FAILURE, "the media creation request is already completed"),
    (0xC202, _FAILURE, "the media creation request cannot be interrupted any more"),
    (0xC203, _FAILURE, "cancellation denied for an unspecified reason"),
)

# PS3.4 CC.2
_UNIFIED_PROCEDURE_STEP: Final[_Rows] = (
    (0x0001, _WARNING, "requested optional attributes are not supported"),
    (0xB300, _WARNING, "the UPS was created with modifications"),
    (0xB301, _WARNING, "deletion lock not granted"),
    (0xB304, _WARNING, "the UPS is already CANCELED"),
    (0xB305, _WARNING, "invalid values were coerced to valid ones"),
    (0xB306, _WARNING, "the UPS is already COMPLETED"),
    (0xC300, _FAILURE, "the UPS may no longer be updated"),
    (0xC301, _FAILURE, "the correct Transaction UID was not given"),
    (0xC302, _FAILURE, "the UPS is already IN PROGRESS"),
    (0xC303, _FAILURE, "a UPS becomes SCHEDULED by N-CREATE only"),
    (0xC304, _FAILURE, "the UPS lacks what the requested final state needs"),
    (0xC307, _FAILURE, "no such UPS is managed here"),
    (0xC308, _FAILURE, "the receiving AE title is unknown"),
    (0xC309, _FAILURE, "the given UPS state was not SCHEDULED"),
    (0xC310, _FAILURE, "the UPS is not yet IN PROGRESS"),
    (0xC311, _FAILURE, "the UPS is already COMPLETED"),
    (0xC312, _FAILURE, "the performer cannot be contacted"),
    (0xC313, _FAILURE, "the performer chooses not to cancel"),
    (0xC314, _FAILURE, "the action is not appropriate for the instance"),
    (0xC315, _FAILURE, "event reports are not supported"),
)

# PS3.4 DD.3
_RT_VERIFICATION: Final[_Rows] = (
    (0xC112, _FAILURE, "no such machine verification instance"),
    (0xC221, _FAILURE, "no such fraction group in the plan"),
    (0xC222, _FAILURE, "the fraction group has no beams"),
    (0xC223, _FAILURE, "the SCU is verifying already"),
    (0xC224, _FAILURE, "no such beam in the fraction group"),
    (0xC225, _FAILURE, "the device or accessory is not supported"),
    (0xC226, _FAILURE, "no such device or accessory in the beam"),
    (0xC227, _FAILURE, "no such RT plan"),
)

_SERVICES: Final[tuple[tuple[str, tuple[int, ...], _Rows], ...]] = (
    ("", (), _GENERAL),
    ("C-STORE", _STORE, _STORAGE),
    ("C-FIND", _FIND, _QUERY),
    ("relevant patient information query", _FIND, _RELEVANT_PATIENT),
    ("C-GET and C-MOVE", _RETRIEVE, _RETRIEVAL),
    ("C-MOVE", _MOVE, _MOVING),
    ("retrieval of frames", _RETRIEVE, _FRAME_RETRIEVAL),
    ("performed procedure step", _GET, _PROCEDURE_STEP_GET),
    ("storage commitment", _ACTION, _COMMITMENT),
    ("storage management", _ACTION, _STORAGE_MANAGEMENT),
    ("print", _NORMALIZED, _PRINT),
    ("application event logging", _ACTION, _EVENT_LOGGING),
    ("media creation", _NORMALIZED, _MEDIA_CREATION),
    ("unified procedure step", _NORMALIZED, _UNIFIED_PROCEDURE_STEP),
    ("RT machine verification", _NORMALIZED, _RT_VERIFICATION),
)


def _meanings() -> Iterator[StatusMeaning]:
    for service, fields, rows in _SERVICES:
        for codes, category, words in rows:
            first, last = (codes, codes) if isinstance(codes, int) else codes
            yield StatusMeaning(first, last, category, words, service, frozenset(fields))


STATUS_MEANINGS: Final[tuple[StatusMeaning, ...]] = tuple(_meanings())
"""All rows: a code may have several, of different service classes but of one kind."""
