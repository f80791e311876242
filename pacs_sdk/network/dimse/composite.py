"""The messages of the DIMSE-C services (PS3.7 9.3).

An empty text or ``None`` is an element that is not there.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from pacs_sdk.network.dimse.elements import (
    CommandField,
    OnAffectedClass,
    OnAffectedInstance,
    Priority,
)

__all__ = [
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
]


@attrs.frozen
class CEchoRSP:
    """C-ECHO response (PS3.7 9.3.5.2)."""

    command_field: ClassVar[int] = CommandField.C_ECHO_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = "1.2.840.10008.1.1"
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class CEchoRQ(OnAffectedClass):
    """C-ECHO request (PS3.7 9.3.5.1)."""

    command_field: ClassVar[int] = CommandField.C_ECHO_RQ
    response_type: ClassVar[type[CEchoRSP]] = CEchoRSP
    message_id: int
    affected_sop_class_uid: str = "1.2.840.10008.1.1"


@attrs.frozen
class CStoreRSP:
    """C-STORE response (PS3.7 9.3.1.2)."""

    command_field: ClassVar[int] = CommandField.C_STORE_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class CStoreRQ(OnAffectedInstance):
    """C-STORE request (PS3.7 9.3.1.1); the originator is that of the C-MOVE it belongs to."""

    command_field: ClassVar[int] = CommandField.C_STORE_RQ
    response_type: ClassVar[type[CStoreRSP]] = CStoreRSP
    message_id: int
    affected_sop_class_uid: str
    affected_sop_instance_uid: str
    priority: int = Priority.MEDIUM
    move_originator_ae_title: str = ""
    move_originator_message_id: int | None = None


@attrs.frozen
class CFindRSP:
    """C-FIND response (PS3.7 9.3.2.2)."""

    command_field: ClassVar[int] = CommandField.C_FIND_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class CFindRQ(OnAffectedClass):
    """C-FIND request (PS3.7 9.3.2.1)."""

    command_field: ClassVar[int] = CommandField.C_FIND_RQ
    response_type: ClassVar[type[CFindRSP]] = CFindRSP
    message_id: int
    affected_sop_class_uid: str
    priority: int = Priority.MEDIUM


@attrs.frozen
class CGetRSP:
    """C-GET response (PS3.7 9.3.3.2)."""

    command_field: ClassVar[int] = CommandField.C_GET_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class CGetRQ(OnAffectedClass):
    """C-GET request (PS3.7 9.3.3.1)."""

    command_field: ClassVar[int] = CommandField.C_GET_RQ
    response_type: ClassVar[type[CGetRSP]] = CGetRSP
    message_id: int
    affected_sop_class_uid: str
    priority: int = Priority.MEDIUM


@attrs.frozen
class CMoveRSP:
    """C-MOVE response (PS3.7 9.3.4.2)."""

    command_field: ClassVar[int] = CommandField.C_MOVE_RSP
    message_id_being_responded_to: int
    status: int
    affected_sop_class_uid: str = ""
    number_of_remaining_suboperations: int | None = None
    number_of_completed_suboperations: int | None = None
    number_of_failed_suboperations: int | None = None
    number_of_warning_suboperations: int | None = None
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()
    error_id: int | None = None


@attrs.frozen
class CMoveRQ(OnAffectedClass):
    """C-MOVE request (PS3.7 9.3.4.1)."""

    command_field: ClassVar[int] = CommandField.C_MOVE_RQ
    response_type: ClassVar[type[CMoveRSP]] = CMoveRSP
    message_id: int
    affected_sop_class_uid: str
    move_destination: str
    priority: int = Priority.MEDIUM


@attrs.frozen
class CCancelRQ:
    """C-CANCEL request for C-FIND, C-GET and C-MOVE (PS3.7 9.3.2.3, 9.3.3.3, 9.3.4.3)."""

    command_field: ClassVar[int] = CommandField.C_CANCEL_RQ
    message_id_being_responded_to: int
