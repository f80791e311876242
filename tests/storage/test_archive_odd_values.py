"""Contradictory and odd values: they never cost the archive an instance."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INDEX_TAGS,
    encode_dataset,
)
from pacs_sdk.storage import Archive, Query
from tests.storage.archive_parts import Parts, content, values
from tests.storage.made_instances import encoded_instance, made_instance


def test_contradictory_patient_data_is_recorded_without_patient_data(parts: Parts) -> None:
    """The first instance decides; the log names attributes and UIDs, never their values."""
    secret = {"PatientName": "Roe^Jane", "PatientBirthDate": "19700101", "PatientSex": "F"}
    parts.archive.store(made_instance(PatientBirthDate="19600101", PatientSex="M")).unwrap()
    parts.archive.store(made_instance(**secret)).unwrap()
    parts.archive.store(made_instance(PatientID="P2")).unwrap()
    assert values(parts.archive, "PATIENT", "PatientName") == ["Doe^John"]
    assert values(parts.archive, "STUDY", "PatientBirthDate") == ["19600101"]
    assert parts.numbers() == (1, 1, 1, 3)
    recorded = parts.logger.at_least("warning")
    assert recorded
    for entry in recorded:
        for private in ("Roe", "Jane", "Doe", "John", "19700101", "19600101", "P1", "P2"):
            assert private not in repr(entry.fields)


def test_patients_without_an_id_are_not_mixed_up(parts: Parts) -> None:
    """Two studies without Patient ID are two patients, each with its own name."""
    for study, name in (("1.4", "Doe^John"), ("1.5", "Roe^Jane")):
        parts.archive.store(
            made_instance(
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.1",
                PatientID=None,
                PatientName=name,
            )
        ).unwrap()
    assert values(parts.archive, "STUDY", "PatientName") == ["Doe^John", "Roe^Jane"]
    assert parts.numbers() == (2, 2, 2, 2)


ODD_VALUES = {
    "date-in-words": {"StudyDate": b"yesterday"},
    "date-of-acr-nema": {"StudyDate": b"1997.04.24"},
    "time-with-letters": {"StudyTime": b"noon"},
    "number-too-large": {"InstanceNumber": b"99999999999999999999"},
    "number-in-words": {"InstanceNumber": b"first"},
    "number-of-infinity": {"InstanceNumber": b"1e999"},
    "several-numbers": {"SeriesNumber": b"1\\2\\3"},
    "nul-inside": {"PatientName": b"Doe\0John", "AccessionNumber": b"\0\0A\0\0"},
    "backslashes": {"StudyDescription": b"a\\b\\c", "PatientID": b"\\"},
    "names-in-three-groups": {"PatientName": b"Yamada^Tarou=\x1b$B;3ED\x1b(B^x=y=z=w"},
    "unknown-charset": {"SpecificCharacterSet": b"KLINGON", "PatientName": b"\xff\xfe\x80"},
    "wrong-charset": {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": b"M\xfcller"},
    "surrogates": {"SpecificCharacterSet": b"ISO_IR 192", "PatientName": b"\xed\xa0\x80x"},
    "gb18030": {"SpecificCharacterSet": b"GB18030", "PatientName": b"\x81\x30\x81\x30\xff"},
    "long-text": {"StudyDescription": b"x" * 60_000, "PatientName": b"=" * 5000},
    "odd-binary": {"Rows": b"\x01", "Columns": b"\1\2\3\4\5\6", "BitsAllocated": b""},
    "modality-with-comma": {"Modality": b"CT,MR\\PT"},
    "negative-frames": {"NumberOfFrames": b"-5"},
}


def check_odd(archive: Archive, elements: dict[str, bytes]) -> None:
    """Store an instance of odd values; find it, and encode the answer."""
    sent = encoded_instance(elements)
    archive.store(sent).unwrap()
    uid = sent.sop_instance_uid
    (match,) = archive.find(Query.of("IMAGE", SOPInstanceUID=uid).unwrap()).unwrap()
    answer = match.dataset()
    assert answer["SOPInstanceUID"] == uid
    assert str(answer)
    assert match._repr_html_()
    encode_dataset(answer, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    assert content(archive.open(uid).unwrap()) == content(sent)
    (study,) = archive.find(Query.of("STUDY", StudyInstanceUID="1.2").unwrap()).unwrap()
    encode_dataset(study.dataset(), IMPLICIT_VR_LITTLE_ENDIAN).unwrap()


@pytest.mark.parametrize("elements", ODD_VALUES.values(), ids=ODD_VALUES.keys())
def test_odd_values_never_cost_an_instance(parts: Parts, elements: dict[str, bytes]) -> None:
    """Whatever a modality writes is stored, found, and told again without a warning."""
    check_odd(parts.archive, elements)


INDEXED = sorted(
    {DicomTag(tag).keyword for tag in INDEX_TAGS if DicomTag(tag).dictionary_vr != "SQ"}
    - {"SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(INDEXED), st.binary(max_size=40), max_size=12))
def test_no_bytes_in_any_attribute_cost_an_instance(
    parts: Parts, elements: dict[str, bytes]
) -> None:
    """Random bytes in any attribute of the index are stored, found, and told again."""
    check_odd(parts.archive, elements)
