"""The service classes of PS3.4, and to which of them a SOP class belongs."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

__all__ = ["ServiceClass", "service_class_of"]


class ServiceClass(enum.Enum):
    """A service class: its title and the annex of PS3.4 that defines it."""

    VERIFICATION = ("Verification", "A")
    STORAGE = ("Storage", "B")
    QUERY_RETRIEVE = ("Query/Retrieve", "C")
    STUDY_CONTENT_NOTIFICATION = ("Study Content Notification", "D")
    PATIENT_MANAGEMENT = ("Patient Management", "E")
    PROCEDURE_STEP = ("Procedure Step", "F")
    RESULTS_MANAGEMENT = ("Results Management", "G")
    PRINT_MANAGEMENT = ("Print Management", "H")
    MEDIA_STORAGE = ("Media Storage", "I")
    STORAGE_COMMITMENT = ("Storage Commitment", "J")
    BASIC_WORKLIST_MANAGEMENT = ("Basic Worklist Management", "K")
    GENERAL_PURPOSE_WORKLIST = ("General Purpose Worklist", "K")
    QUEUE_MANAGEMENT = ("Queue Management", "L")
    APPLICATION_EVENT_LOGGING = ("Application Event Logging", "P")
    RELEVANT_PATIENT_INFORMATION_QUERY = ("Relevant Patient Information Query", "Q")
    INSTANCE_AVAILABILITY_NOTIFICATION = ("Instance Availability Notification", "R")
    MEDIA_CREATION_MANAGEMENT = ("Media Creation Management", "S")
    HANGING_PROTOCOL_QUERY_RETRIEVE = ("Hanging Protocol Query/Retrieve", "U")
    SUBSTANCE_ADMINISTRATION_QUERY = ("Substance Administration Query", "V")
    COLOR_PALETTE_QUERY_RETRIEVE = ("Color Palette Query/Retrieve", "X")
    IMPLANT_TEMPLATE_QUERY_RETRIEVE = ("Implant Template Query/Retrieve", "BB")
    UNIFIED_PROCEDURE_STEP = ("Unified Procedure Step", "CC")
    RT_MACHINE_VERIFICATION = ("RT Machine Verification", "DD")
    DISPLAY_SYSTEM_MANAGEMENT = ("Display System Management", "EE")
    NON_PATIENT_OBJECT_STORAGE = ("Non-Patient Object Storage", "GG")
    DEFINED_PROCEDURE_PROTOCOL_QUERY_RETRIEVE = ("Defined Procedure Protocol Query/Retrieve", "HH")
    PROTOCOL_APPROVAL_QUERY_RETRIEVE = ("Protocol Approval Query/Retrieve", "II")
    INVENTORY_QUERY_RETRIEVE = ("Inventory Query/Retrieve", "JJ")
    STORAGE_MANAGEMENT = ("Storage Management", "KK")
    REAL_TIME_COMMUNICATION = ("Real-Time Communication", "PS3.22")

    @property
    def title(self) -> str:
        """Its name in the standard, without the words "Service Class"."""
        return self.value[0]

    @property
    def section(self) -> str:
        """Where the standard defines it: ``PS3.4 B``."""
        where = self.value[1]
        return where if where.startswith("PS") else f"PS3.4 {where}"


_ROOT: Final = "1.2.840.10008."

_BY_UID: Final[Mapping[str, ServiceClass]] = {
    _ROOT + suffix: service_class
    for service_class, suffixes in {
        ServiceClass.VERIFICATION: "1.1",
        ServiceClass.MEDIA_STORAGE: "1.3.10",
        ServiceClass.STUDY_CONTENT_NOTIFICATION: "1.9",
        ServiceClass.APPLICATION_EVENT_LOGGING: "1.40 1.42",
        ServiceClass.QUEUE_MANAGEMENT: "5.1.1.26",
        ServiceClass.MEDIA_CREATION_MANAGEMENT: "5.1.1.33",
        ServiceClass.DISPLAY_SYSTEM_MANAGEMENT: "5.1.1.40",
        # Stored prints and hardcopy images are composite objects among those of printing.
        ServiceClass.STORAGE: "5.1.1.27 5.1.1.29 5.1.1.30 5.1.4.34.1 5.1.4.34.7 5.1.4.34.10",
        ServiceClass.NON_PATIENT_OBJECT_STORAGE: (
            "5.1.4.38.1 5.1.4.39.1 5.1.4.43.1 5.1.4.44.1 5.1.4.45.1 "
            "5.1.4.1.1.200.1 5.1.4.1.1.200.3 5.1.4.1.1.200.7 5.1.4.1.1.201.1"
        ),
        ServiceClass.PROTOCOL_APPROVAL_QUERY_RETRIEVE: (
            "5.1.4.1.1.200.4 5.1.4.1.1.200.5 5.1.4.1.1.200.6"
        ),
        ServiceClass.INVENTORY_QUERY_RETRIEVE: "5.1.4.1.1.201.2 5.1.4.1.1.201.3 5.1.4.1.1.201.4",
        ServiceClass.STORAGE_MANAGEMENT: "5.1.4.1.1.201.5",
        ServiceClass.QUERY_RETRIEVE: "5.1.4.1.1.201.6",
        ServiceClass.BASIC_WORKLIST_MANAGEMENT: "5.1.4.31",
        ServiceClass.INSTANCE_AVAILABILITY_NOTIFICATION: "5.1.4.33",
        ServiceClass.RT_MACHINE_VERIFICATION: "5.1.4.34.2 5.1.4.34.3 5.1.4.34.8 5.1.4.34.9",
        ServiceClass.SUBSTANCE_ADMINISTRATION_QUERY: "5.1.4.41 5.1.4.42",
    }.items()
    for suffix in suffixes.split()
}
"""SOP classes whose UID alone says what they are."""

_BY_PREFIX: Final[tuple[tuple[str, ServiceClass], ...]] = tuple(
    (_ROOT + prefix, service_class)
    for prefix, service_class in (
        ("1.20.", ServiceClass.STORAGE_COMMITMENT),
        ("3.1.2.1.", ServiceClass.PATIENT_MANAGEMENT),
        ("3.1.2.2.", ServiceClass.PATIENT_MANAGEMENT),
        ("3.1.2.3.", ServiceClass.PROCEDURE_STEP),
        ("3.1.2.5.", ServiceClass.RESULTS_MANAGEMENT),
        ("3.1.2.6.", ServiceClass.RESULTS_MANAGEMENT),
        ("5.1.1.", ServiceClass.PRINT_MANAGEMENT),
        ("5.1.4.1.1.", ServiceClass.STORAGE),
        ("5.1.4.1.2.", ServiceClass.QUERY_RETRIEVE),
        ("5.1.4.20.", ServiceClass.DEFINED_PROCEDURE_PROTOCOL_QUERY_RETRIEVE),
        ("5.1.4.32", ServiceClass.GENERAL_PURPOSE_WORKLIST),
        ("5.1.4.34.", ServiceClass.UNIFIED_PROCEDURE_STEP),
        ("5.1.4.37.", ServiceClass.RELEVANT_PATIENT_INFORMATION_QUERY),
        ("5.1.4.38.", ServiceClass.HANGING_PROTOCOL_QUERY_RETRIEVE),
        ("5.1.4.39.", ServiceClass.COLOR_PALETTE_QUERY_RETRIEVE),
        ("5.1.4.43.", ServiceClass.IMPLANT_TEMPLATE_QUERY_RETRIEVE),
        ("5.1.4.44.", ServiceClass.IMPLANT_TEMPLATE_QUERY_RETRIEVE),
        ("5.1.4.45.", ServiceClass.IMPLANT_TEMPLATE_QUERY_RETRIEVE),
        ("10.", ServiceClass.REAL_TIME_COMMUNICATION),
    )
)
"""The arcs in which the others of a service class have their UIDs."""


def service_class_of(uid: str) -> ServiceClass | None:
    """Tell to which service class a SOP class of the standard belongs.

    Args:
        uid: The SOP Class UID.

    Returns:
        The service class; ``None`` for a private UID, and for one of the standard in an arc
        that no service class had when this was written.
    """
    found = _BY_UID.get(uid)
    if found is not None:
        return found
    return next((kind for prefix, kind in _BY_PREFIX if uid.startswith(prefix)), None)
