"""DIMSE messages: the command sets of PS3.7 as values, and their bytes.

A command set is always Implicit VR Little Endian (PS3.7 6.3.1). One table says which
element each attribute of a message becomes; the messages are plain values. The encoder
writes what the standard asks for and nothing else, the decoder takes what peers send.
"""

from pacs_sdk.network.dimse.composite import (
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
)
from pacs_sdk.network.dimse.decoder import DecodedCommand, decode_command
from pacs_sdk.network.dimse.elements import RESPONSE_BIT, CommandField, Priority
from pacs_sdk.network.dimse.encoder import encode_command
from pacs_sdk.network.dimse.messages import (
    REQUEST_TYPES,
    RESPONSE_TYPES,
    Message,
    Request,
    Response,
    UnsupportedRQ,
    UnsupportedRSP,
    answers,
    is_request,
    is_response,
    operation_name,
)
from pacs_sdk.network.dimse.normalized import (
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
)
from pacs_sdk.network.dimse.responses import response_to
from pacs_sdk.network.dimse.status_table import STATUS_MEANINGS, StatusCategory, StatusMeaning
from pacs_sdk.network.dimse.statuses import (
    PPS_MAY_NO_LONGER_BE_UPDATED,
    Status,
    explain_status,
    status_category,
)

__all__ = [
    "PPS_MAY_NO_LONGER_BE_UPDATED",
    "REQUEST_TYPES",
    "RESPONSE_BIT",
    "RESPONSE_TYPES",
    "STATUS_MEANINGS",
    "CCancelRQ",
    "CEchoRQ",
    "CEchoRSP",
    "CFindRQ",
    "CFindRSP",
    "CGetRQ",
    "CGetRSP",
    "CMoveRQ",
    "CMoveRSP",
    "CStoreRQ",
    "CStoreRSP",
    "CommandField",
    "DecodedCommand",
    "Message",
    "NActionRQ",
    "NActionRSP",
    "NCreateRQ",
    "NCreateRSP",
    "NDeleteRQ",
    "NDeleteRSP",
    "NEventReportRQ",
    "NEventReportRSP",
    "NGetRQ",
    "NGetRSP",
    "NSetRQ",
    "NSetRSP",
    "Priority",
    "Request",
    "Response",
    "Status",
    "StatusCategory",
    "StatusMeaning",
    "UnsupportedRQ",
    "UnsupportedRSP",
    "answers",
    "decode_command",
    "encode_command",
    "explain_status",
    "is_request",
    "is_response",
    "operation_name",
    "response_to",
    "status_category",
]
