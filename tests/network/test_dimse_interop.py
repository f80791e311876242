"""The command sets of another implementation, pynetdicom, are ours byte for byte."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest

from pacs_sdk.network.dimse import UnsupportedRQ, UnsupportedRSP, decode_command, encode_command
from tests.network.dimse_normalized_vectors import NORMALIZED_VECTORS
from tests.network.dimse_vectors import VECTORS, Vector

KEYWORDS = {
    "message_id": "MessageID",
    "message_id_being_responded_to": "MessageIDBeingRespondedTo",
    "status": "Status",
    "priority": "Priority",
    "affected_sop_class_uid": "AffectedSOPClassUID",
    "affected_sop_instance_uid": "AffectedSOPInstanceUID",
    "requested_sop_class_uid": "RequestedSOPClassUID",
    "requested_sop_instance_uid": "RequestedSOPInstanceUID",
    "move_destination": "MoveDestination",
    "move_originator_ae_title": "MoveOriginatorApplicationEntityTitle",
    "move_originator_message_id": "MoveOriginatorMessageID",
    "attribute_identifier_list": "AttributeIdentifierList",
    "event_type_id": "EventTypeID",
    "action_type_id": "ActionTypeID",
    "error_comment": "ErrorComment",
    "error_id": "ErrorID",
    "offending_element": "OffendingElement",
    "number_of_remaining_suboperations": "NumberOfRemainingSuboperations",
    "number_of_completed_suboperations": "NumberOfCompletedSuboperations",
    "number_of_failed_suboperations": "NumberOfFailedSuboperations",
    "number_of_warning_suboperations": "NumberOfWarningSuboperations",
}
"""Attribute of a message -> what pynetdicom calls it."""

DATA_SETS = {
    "C_STORE": ("DataSet", "DataSet"),
    "C_FIND": ("Identifier", "Identifier"),
    "C_GET": ("Identifier", "Identifier"),
    "C_MOVE": ("Identifier", "Identifier"),
    "N_EVENT_REPORT": ("EventInformation", "EventReply"),
    "N_GET": ("", "AttributeList"),
    "N_SET": ("ModificationList", "AttributeList"),
    "N_ACTION": ("ActionInformation", "ActionReply"),
    "N_CREATE": ("AttributeList", "AttributeList"),
}
"""Operation -> the data set of its request and of its response in pynetdicom."""

KNOWN = [
    vector
    for vector in (*VECTORS, *NORMALIZED_VECTORS)
    if not isinstance(vector.message, UnsupportedRQ | UnsupportedRSP)
]
"""The vectors whose operations pynetdicom knows."""


def theirs_of(vector: Vector) -> tuple[str, Any]:
    """Name the pynetdicom message of a vector and fill its primitive."""
    primitives = pytest.importorskip("pynetdicom.dimse_primitives")
    *words, suffix = re.findall(r"RSP$|RQ$|[A-Z][a-z]*", type(vector.message).__name__)
    name = "_".join(words).upper()
    primitive = getattr(primitives, name)()
    for attribute, keyword in KEYWORDS.items():
        value = getattr(vector.message, attribute, None)
        if value not in (None, "", ()):
            setattr(primitive, keyword, list(value) if isinstance(value, tuple) else value)
    if vector.has_dataset:
        setattr(primitive, DATA_SETS[name][suffix == "RSP"], BytesIO(b"\x08\x00"))
    return f"{name}_{suffix}", primitive


@pytest.mark.parametrize("vector", KNOWN, ids=lambda one: one.name)
def test_pynetdicom_writes_the_same_command_set(vector: Vector) -> None:
    """What it makes of the same values are the bytes of the vector, and we read them."""
    messages = pytest.importorskip("pynetdicom.dimse_messages")
    name, primitive = theirs_of(vector)
    message = getattr(messages, name)()
    message.primitive_to_message(primitive)
    first, *_ = message.encode_msg(1, 0)
    ((_, value),) = first.presentation_data_value_list
    ours = decode_command(value[1:]).message
    assert ours == vector.message
    assert value[1:] == vector.data == encode_command(ours, has_dataset=vector.has_dataset)
