"""What the identifier of a C-GET or C-MOVE must and must not have (PS3.4 C.4.2.2, C.4.3.2)."""

from __future__ import annotations

import pydicom
import pytest

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.services import InformationModel
from pacs_sdk.services.retrieve.classes import RETRIEVE_CLASSES, RetrieveClass
from pacs_sdk.services.retrieve.identifier import retrieve_query
from pacs_sdk.services.sop_classes import COMPOSITE_INSTANCE_ROOT_GET

PATIENT_ROOT = RETRIEVE_CLASSES[InformationModel.PATIENT_ROOT.move]
STUDY_ROOT = RETRIEVE_CLASSES[InformationModel.STUDY_ROOT.get]
PATIENT_STUDY_ONLY = RETRIEVE_CLASSES[InformationModel.PATIENT_STUDY_ONLY.move]
COMPOSITE = RETRIEVE_CLASSES[COMPOSITE_INSTANCE_ROOT_GET]


def identifier(level: str | None, keys: dict[str, object]) -> DicomDataset:
    """Make an identifier as a client does, whatever its values are worth."""
    dataset = pydicom.Dataset()
    if level is not None:
        dataset.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        tag = DicomTag.of(keyword)
        dataset.add(
            pydicom.DataElement(
                int(tag), tag.dictionary_vr, value, validation_mode=pydicom.config.IGNORE
            )
        )
    return DicomDataset(dataset)


@pytest.mark.parametrize(
    ("sop_class", "level", "keys", "relational"),
    [
        (PATIENT_ROOT, "PATIENT", {"PatientID": "P1"}, False),
        (PATIENT_ROOT, "PATIENT", {"PatientID": "P1", "IssuerOfPatientID": "H"}, False),
        (PATIENT_ROOT, "STUDY", {"PatientID": "P1", "StudyInstanceUID": "1.2"}, False),
        (PATIENT_ROOT, "STUDY", {"StudyInstanceUID": ["1.2", "1.3"]}, True),
        (STUDY_ROOT, "STUDY", {"StudyInstanceUID": ["1.2", "1.3"]}, False),
        (STUDY_ROOT, "SERIES", {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"}, False),
        (STUDY_ROOT, "SERIES", {"SeriesInstanceUID": "1.3"}, True),
        (STUDY_ROOT, "IMAGE", {"SOPInstanceUID": ["1.4", "1.5"]}, True),
        (PATIENT_STUDY_ONLY, "STUDY", {"PatientID": "P1", "StudyInstanceUID": "1.2"}, False),
        (COMPOSITE, "IMAGE", {"SOPInstanceUID": ["1.4", "1.5"]}, False),
    ],
)  # fmt: skip
def test_unique_keys_say_what_is_wanted(
    sop_class: RetrieveClass, level: str, keys: dict[str, object], relational: bool
) -> None:
    """The key of the level, and one value for each level above unless relational."""
    query = retrieve_query(identifier(level, keys), sop_class, relational=relational)
    assert query.level == level
    assert query.matching == {
        int(DicomTag.of(name)): "\\".join(value) if isinstance(value, list) else value
        for name, value in keys.items()
    }


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({"StudyInstanceUID": "1.2", "PatientName": "Doe*"}, ["StudyInstanceUID"]),
        ({"StudyInstanceUID": "1.2", "StudyDate": ""}, ["StudyInstanceUID"]),
        ({"StudyInstanceUID": "1.2", "SeriesInstanceUID": ""}, ["StudyInstanceUID"]),
        ({"StudyInstanceUID": "1.2", "PatientID": "P1"}, ["PatientID", "StudyInstanceUID"]),
        ({"StudyInstanceUID": "1.2", "IssuerOfPatientID": "H"}, ["StudyInstanceUID"]),
    ],
)
def test_what_else_clients_send_is_left_aside(keys: dict[str, object], kept: list[str]) -> None:
    """Nothing depends on other attributes; a Patient ID above the model has to be the right one."""
    query = retrieve_query(identifier("STUDY", keys), STUDY_ROOT)
    assert sorted(DicomTag(tag).keyword for tag in query.matching) == kept


@pytest.mark.parametrize(
    ("sop_class", "level", "keys", "words"),
    [
        (STUDY_ROOT, None, {"StudyInstanceUID": "1.2"}, "has no '' level"),
        (STUDY_ROOT, "ROOM", {"StudyInstanceUID": "1.2"}, "has no 'ROOM' level"),
        (STUDY_ROOT, "PATIENT", {"PatientID": "P1"}, "Study Root model has no 'PATIENT' level"),
        (PATIENT_STUDY_ONLY, "SERIES", {"SeriesInstanceUID": "1.2"}, "has no 'SERIES' level"),
        (COMPOSITE, "FRAME", {"SOPInstanceUID": "1.4"}, "has no 'FRAME' level; there is IMAGE"),
        (STUDY_ROOT, "STUDY", {}, "must name StudyInstanceUID"),
        (STUDY_ROOT, "STUDY", {"StudyInstanceUID": ""}, "must name StudyInstanceUID"),
        (STUDY_ROOT, "SERIES", {"SeriesInstanceUID": "1.3"}, "must name StudyInstanceUID"),
        (PATIENT_ROOT, "STUDY", {"StudyInstanceUID": "1.2"}, "must name PatientID"),
        (STUDY_ROOT, "STUDY", {"StudyInstanceUID": "1.*"}, "is '1.*', which is no UID"),
        (STUDY_ROOT, "STUDY", {"StudyInstanceUID": "1.2?"}, "which is no UID"),
        (PATIENT_ROOT, "PATIENT", {"PatientID": "P*"}, "without wildcards"),
        (PATIENT_ROOT, "PATIENT", {"PatientID": ["P1", "P2"]}, "must be one value"),
        (
            PATIENT_ROOT, "PATIENT", {"PatientID": "P1", "IssuerOfPatientID": "H*"},
            "IssuerOfPatientID must be one value",
        ),
        (
            STUDY_ROOT, "SERIES",
            {"StudyInstanceUID": ["1.2", "1.3"], "SeriesInstanceUID": "1.4"},
            "StudyInstanceUID must be one value",
        ),
        (
            STUDY_ROOT, "STUDY", {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"},
            "SeriesInstanceUID has no place in a retrieval at STUDY level",
        ),
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_words(
    sop_class: RetrieveClass, level: str | None, keys: dict[str, object], words: str
) -> None:
    """A900H: the identifier does not match the SOP class (PS3.4 Tables C.4-2, C.4-3)."""
    with pytest.raises(PacsException) as caught:
        retrieve_query(identifier(level, keys), sop_class)
    assert caught.value.error.code is ErrorCode.RETRIEVE_INVALID_IDENTIFIER
    assert caught.value.error.code.dimse_status == 0xA900
    assert words in caught.value.error.message
