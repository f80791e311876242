"""The messages of the DIMSE-N services (PS3.7 10.3).

An empty text, an empty list or ``None`` is an element that is not there. A tag is
``group << 16 | element``; a :class:`~pacs_sdk.core.tags.DicomTag` is one.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from pacs_sdk.network.dimse.elements import (
    CommandField,
    OnAffectedInstance,
    OnRequestedInstance,
)

__all__ = [
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
]


@attrs.frozen
class NEventReportRSP:
    """N-EVENT-REPORT response (PS3.7 10.3.1.2); with an Event Reply the Event Type ID is due."""

    command_field: ClassVar[int] = CommandField.N_EVENT_REPORT_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    event_type_id: int | None = None
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class NEventReportRQ(OnAffectedInstance):
    """N-EVENT-REPORT request (PS3.7 10.3.1.1); its data set is the Event Information."""

    command_field: ClassVar[int] = CommandField.N_EVENT_REPORT_RQ
    response_type: ClassVar[type[NEventReportRSP]] = NEventReportRSP
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    event_type_id: int


@attrs.frozen
class NGetRSP:
    """N-GET response (PS3.7 10.3.2.2); its data set is the Attribute List."""

    command_field: ClassVar[int] = CommandField.N_GET_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    attribute_identifier_list: tuple[int, ...] = ()
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class NGetRQ(OnRequestedInstance):
    """N-GET request (PS3.7 10.3.2.1); without an Attribute Identifier List it asks for all."""

    command_field: ClassVar[int] = CommandField.N_GET_RQ
    response_type: ClassVar[type[NGetRSP]] = NGetRSP
    message_id: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    attribute_identifier_list: tuple[int, ...] = ()


@attrs.frozen
class NSetRSP:
    """N-SET response (PS3.7 10.3.3.2); its data set is the Attribute List."""

    command_field: ClassVar[int] = CommandField.N_SET_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    attribute_identifier_list: tuple[int, ...] = ()
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class NSetRQ(OnRequestedInstance):
    """N-SET request (PS3.7 10.3.3.1); its data set is the Modification List."""

    command_field: ClassVar[int] = CommandField.N_SET_RQ
    response_type: ClassVar[type[NSetRSP]] = NSetRSP
    message_id: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str


@attrs.frozen
class NActionRSP:
    """N-ACTION response (PS3.7 10.3.4.2); with an Action Reply the Action Type ID is due."""

    command_field: ClassVar[int] = CommandField.N_ACTION_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    action_type_id: int | None = None
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class NActionRQ(OnRequestedInstance):
    """N-ACTION request (PS3.7 10.3.4.1); its data set is the Action Information."""

    command_field: ClassVar[int] = CommandField.N_ACTION_RQ
    response_type: ClassVar[type[NActionRSP]] = NActionRSP
    message_id: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str
    action_type_id: int


@attrs.frozen
class NCreateRSP:
    """N-CREATE response (PS3.7 10.3.5.2).

    It must name the instance where the request did not (PS3.7 10.1.5.1.4).
    """

    command_field: ClassVar[int] = CommandField.N_CREATE_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    attribute_identifier_list: tuple[int, ...] = ()
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class NCreateRQ(OnAffectedInstance):
    """N-CREATE request (PS3.7 10.3.5.1); without an instance UID the peer chooses one."""

    command_field: ClassVar[int] = CommandField.N_CREATE_RQ
    response_type: ClassVar[type[NCreateRSP]] = NCreateRSP
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str = ""


@attrs.frozen
class NDeleteRSP:
    """N-DELETE response (PS3.7 10.3.6.2)."""

    command_field: ClassVar[int] = CommandField.N_DELETE_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class NDeleteRQ(OnRequestedInstance):
    """N-DELETE request (PS3.7 10.3.6.1)."""

    command_field: ClassVar[int] = CommandField.N_DELETE_RQ
    response_type: ClassVar[type[NDeleteRSP]] = NDeleteRSP
    message_id: int
    requested_sop_class_uid: str
    requested_sop_instance_uid: str
