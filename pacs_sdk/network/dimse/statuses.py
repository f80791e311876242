"""Status codes (0000,0900): which kind each is, and what it means in words.

PS3.7 Annex C defines the five kinds and the general codes; each service class of PS3.4
adds its own, and the same code may mean different things in two of them. The table is
:mod:`~pacs_sdk.network.dimse.status_table`.
"""

from __future__ import annotations

import enum
from typing import Final

from pacs_sdk.network.dimse.elements import RESPONSE_BIT
from pacs_sdk.network.dimse.status_table import STATUS_MEANINGS, StatusCategory, StatusMeaning

__all__ = ["PPS_MAY_NO_LONGER_BE_UPDATED", "Status", "explain_status", "status_category"]


class Status(enum.IntEnum):
    """The status codes that have a name of their own: PS3.7 Annex C, and PS3.4 where needed.

    One code has one name; what else it means elsewhere is in :func:`explain_status`.
    """

    SUCCESS = 0x0000
    PENDING = 0xFF00
    PENDING_WITH_WARNING = 0xFF01
    CANCEL = 0xFE00

    REQUESTED_OPTIONAL_ATTRIBUTES_NOT_SUPPORTED = 0x0001
    ATTRIBUTE_LIST_ERROR = 0x0107
    ATTRIBUTE_VALUE_OUT_OF_RANGE = 0x0116

    NO_SUCH_ATTRIBUTE = 0x0105
    INVALID_ATTRIBUTE_VALUE = 0x0106
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    NO_SUCH_EVENT_TYPE = 0x0113
    NO_SUCH_ARGUMENT = 0x0114
    INVALID_ARGUMENT_VALUE = 0x0115
    INVALID_SOP_INSTANCE = 0x0117
    NO_SUCH_SOP_CLASS = 0x0118
    CLASS_INSTANCE_CONFLICT = 0x0119
    MISSING_ATTRIBUTE = 0x0120
    MISSING_ATTRIBUTE_VALUE = 0x0121
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION = 0x0123
    NOT_AUTHORISED = 0x0124
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNIZED_OPERATION = 0x0211
    MISTYPED_ARGUMENT = 0x0212
    RESOURCE_LIMITATION = 0x0213

    SUBOPERATIONS_WITH_FAILURES = 0xB000
    COERCION_OF_DATA_ELEMENTS = 0xB000  # the same code, named for C-STORE
    MATCHING_LIMIT_REACHED = 0xB001
    ELEMENTS_DISCARDED = 0xB006
    DATA_SET_MISMATCH_WARNING = 0xB007

    OUT_OF_RESOURCES = 0xA700
    OUT_OF_RESOURCES_MATCHES = 0xA701
    OUT_OF_RESOURCES_SUBOPERATIONS = 0xA702
    MOVE_DESTINATION_UNKNOWN = 0xA801
    DATA_SET_MISMATCH = 0xA900
    CANNOT_UNDERSTAND = 0xC000

    UPS_CREATED_WITH_MODIFICATIONS = 0xB300
    UPS_DELETION_LOCK_NOT_GRANTED = 0xB301
    UPS_ALREADY_CANCELED = 0xB304
    UPS_COERCED_TO_VALID_VALUES = 0xB305
    UPS_ALREADY_COMPLETED = 0xB306
    UPS_MAY_NO_LONGER_BE_UPDATED = 0xC300
    UPS_WRONG_TRANSACTION_UID = 0xC301
    UPS_ALREADY_IN_PROGRESS = 0xC302
    UPS_SCHEDULED_ONLY_BY_N_CREATE = 0xC303
    UPS_FINAL_STATE_REQUIREMENTS_NOT_MET = 0xC304
    UPS_NO_SUCH_INSTANCE = 0xC307
    UPS_UNKNOWN_RECEIVING_AE_TITLE = 0xC308
    UPS_NOT_CREATED_AS_SCHEDULED = 0xC309
    UPS_NOT_YET_IN_PROGRESS = 0xC310
    UPS_IS_COMPLETED = 0xC311
    UPS_PERFORMER_CANNOT_BE_CONTACTED = 0xC312
    UPS_PERFORMER_CHOOSES_NOT_TO_CANCEL = 0xC313
    UPS_ACTION_NOT_APPROPRIATE = 0xC314
    UPS_EVENT_REPORTS_NOT_SUPPORTED = 0xC315


PPS_MAY_NO_LONGER_BE_UPDATED: Final = 0xA710
"""Error ID (0000,0903) beside status 0110H in the answer to an N-SET on a performed procedure
step that is completed or discontinued (PS3.4 Table F.7.2-2)."""

_LAST_STATUS: Final = 0xFFFF

# Asked for at every response: one look-up for a code that has a row of its own. No code has
# rows of different kinds, which a test makes sure of.
_CATEGORIES: Final = {row.first: row.category for row in STATUS_MEANINGS if row.first == row.last}


def status_category(status: int) -> StatusCategory:
    """Tell which kind a status code is (PS3.7 Annex C).

    A code with no row of its own is a warning from B000H to BFFFH; whatever is not known
    to be better is a failure.
    """
    known = _CATEGORIES.get(status)
    if known is not None:
        return known
    return StatusCategory.WARNING if status & ~0x0FFF == 0xB000 else StatusCategory.FAILURE


def explain_status(status: int, command_field: int | None = None) -> str:
    """Put a status code into words.

    Args:
        status: The code, as a response has it; one that nobody defined is explained by
            its kind.
        command_field: The Command Field of the response or of its request. It picks the
            meaning where the code has several, which are listed without it.

    Returns:
        For example ``A801H, failure: refused: move destination unknown``.
    """
    rows = [row for row in STATUS_MEANINGS if row.first <= status <= row.last]
    if command_field is not None:
        rows = _of_operation(rows, command_field & ~RESPONSE_BIT) or rows
    # A code that a service class gives a meaning of its own has that first; ranges follow.
    rows.sort(key=lambda row: row.last - row.first)
    meanings: dict[str, list[str]] = {}
    for row in rows:
        meanings.setdefault(row.words, []).append(row.service)
    if len(meanings) > 1:
        words = "; ".join(
            f"{text} ({', '.join(filter(None, services)) or 'in general'})"
            for text, services in meanings.items()
        )
    else:
        words = next(iter(meanings), _undefined(status))
    return f"{status:04X}H, {status_category(status).value}: {words}"


def _of_operation(rows: list[StatusMeaning], request_field: int) -> list[StatusMeaning]:
    own = [row for row in rows if request_field in row.request_fields]
    exact = [row for row in own if row.first == row.last]
    return exact or own or [row for row in rows if not row.request_fields]


def _undefined(status: int) -> str:
    if not 0 <= status <= _LAST_STATUS:
        return "no status, which has 16 bits"
    return "a code that the standard does not define"
