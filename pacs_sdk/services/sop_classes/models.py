"""The SOP classes that services name by themselves, and the Query/Retrieve models (PS3.4 C.6)."""

from __future__ import annotations

import enum
from typing import Final

__all__ = [
    "COMPOSITE_INSTANCE_ROOT_GET",
    "COMPOSITE_INSTANCE_ROOT_MOVE",
    "COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET",
    "PATIENT_ROOT_FIND",
    "PATIENT_ROOT_GET",
    "PATIENT_ROOT_MOVE",
    "PATIENT_STUDY_ONLY_FIND",
    "PATIENT_STUDY_ONLY_GET",
    "PATIENT_STUDY_ONLY_MOVE",
    "STUDY_ROOT_FIND",
    "STUDY_ROOT_GET",
    "STUDY_ROOT_MOVE",
    "VERIFICATION",
    "InformationModel",
]

VERIFICATION: Final = "1.2.840.10008.1.1"
"""The Verification SOP class (PS3.4 A.4)."""
PATIENT_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.1.1"
"""FIND of the Patient Root model (PS3.4 C.6.1)."""
PATIENT_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.1.2"
"""MOVE of the Patient Root model (PS3.4 C.6.1)."""
PATIENT_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.1.3"
"""GET of the Patient Root model (PS3.4 C.6.1)."""
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
"""FIND of the Study Root model (PS3.4 C.6.2)."""
STUDY_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
"""MOVE of the Study Root model (PS3.4 C.6.2)."""
STUDY_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"
"""GET of the Study Root model (PS3.4 C.6.2)."""
PATIENT_STUDY_ONLY_FIND: Final = "1.2.840.10008.5.1.4.1.2.3.1"
"""FIND of the Patient/Study Only model (retired)."""
PATIENT_STUDY_ONLY_MOVE: Final = "1.2.840.10008.5.1.4.1.2.3.2"
"""MOVE of the Patient/Study Only model (retired)."""
PATIENT_STUDY_ONLY_GET: Final = "1.2.840.10008.5.1.4.1.2.3.3"
"""GET of the Patient/Study Only model (retired)."""
COMPOSITE_INSTANCE_ROOT_MOVE: Final = "1.2.840.10008.5.1.4.1.2.4.2"
"""MOVE of Composite Instance Root Retrieve (PS3.4 Y)."""
COMPOSITE_INSTANCE_ROOT_GET: Final = "1.2.840.10008.5.1.4.1.2.4.3"
"""GET of Composite Instance Root Retrieve (PS3.4 Y)."""
COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET: Final = "1.2.840.10008.5.1.4.1.2.5.3"
"""GET of Composite Instance Retrieve Without Bulk Data (PS3.4 Z)."""


class InformationModel(enum.Enum):
    """A Query/Retrieve information model (PS3.4 C.6): its FIND, MOVE and GET SOP classes."""

    PATIENT_ROOT = (PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET)
    STUDY_ROOT = (STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET)
    PATIENT_STUDY_ONLY = (PATIENT_STUDY_ONLY_FIND, PATIENT_STUDY_ONLY_MOVE, PATIENT_STUDY_ONLY_GET)
    """Retired in 2004, and still asked for by old clients."""

    @property
    def title(self) -> str:
        """Its name in the standard."""
        return {
            InformationModel.PATIENT_ROOT: "Patient Root",
            InformationModel.STUDY_ROOT: "Study Root",
            InformationModel.PATIENT_STUDY_ONLY: "Patient/Study Only",
        }[self]

    @property
    def find(self) -> str:
        """The C-FIND SOP class."""
        return self.value[0]

    @property
    def move(self) -> str:
        """The C-MOVE SOP class."""
        return self.value[1]

    @property
    def get(self) -> str:
        """The C-GET SOP class."""
        return self.value[2]

    @property
    def levels(self) -> tuple[str, ...]:
        """The values that Query/Retrieve Level may have, the highest first."""
        return {
            InformationModel.PATIENT_ROOT: ("PATIENT", "STUDY", "SERIES", "IMAGE"),
            InformationModel.STUDY_ROOT: ("STUDY", "SERIES", "IMAGE"),
            InformationModel.PATIENT_STUDY_ONLY: ("PATIENT", "STUDY"),
        }[self]
