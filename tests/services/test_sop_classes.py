"""The SOP class registry against the standard's list and the feature document's."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pydicom
import pytest
from pydicom._uid_dict import UID_dictionary
from pynetdicom import sop_class as reference  # noqa: TID251  # the list of another implementation

from pacs_sdk.core import ErrorCode, Failure, Success
from pacs_sdk.services import (
    DICOM_EDITION,
    ServiceClass,
    all_sop_classes,
    chosen_sop_classes,
    find_sop_class,
    sop_class_name,
    sop_class_sets,
    sop_classes_by_use,
    storage_sop_classes,
)
from pacs_sdk.services.sop_classes.registry import _COMMON_FIRST

STORAGE = "1.2.840.10008.5.1.4.1.1."

FEATURE_DOCUMENT = {
    "CT Image Storage": "2",
    "MR Image Storage": "4",
    "Computed Radiography Image Storage": "1",
    "Digital X-Ray Image Storage - For Presentation": "1.1",
    "Secondary Capture Image Storage": "7",
    "Ultrasound Image Storage": "6.1",
    "Enhanced US Volume Storage": "6.2",
    "Ultrasound Multi-frame Image Storage": "3.1",
    "X-Ray Angiographic Image Storage": "12.1",
    "Enhanced XA Image Storage": "12.1.1",
    "X-Ray Radiofluoroscopic Image Storage": "12.2",
    "X-Ray 3D Angiographic Image Storage": "13.1.1",
    "X-Ray 3D Craniofacial Image Storage": "13.1.2",
    "Nuclear Medicine Image Storage": "20",
    "Positron Emission Tomography Image Storage": "128",
    "Enhanced PET Image Storage": "130",
    "Legacy Converted Enhanced PET Image Storage": "128.1",
    "RT Plan Storage": "481.5",
    "RT Dose Storage": "481.2",
    "RT Structure Set Storage": "481.3",
    "RT Image Storage": "481.1",
    "RT Beams Treatment Record Storage": "481.4",
    "RT Brachy Treatment Record Storage": "481.6",
    "RT Treatment Summary Record Storage": "481.7",
    "RT Ion Plan Storage": "481.8",
    "RT Ion Beams Treatment Record Storage": "481.9",
    "Segmentation Storage": "66.4",
    "Surface Segmentation Storage": "66.5",
    "Basic Text SR Storage": "88.11",
    "Enhanced SR Storage": "88.22",
    "Comprehensive SR Storage": "88.33",
    "Comprehensive 3D SR Storage": "88.34",
    "Extensible SR Storage": "88.35",
    "Key Object Selection Document Storage": "88.59",
    "Mammography CAD SR Storage": "88.50",
    "Chest CAD SR Storage": "88.65",
    "Colon CAD SR Storage": "88.69",
    "X-Ray Radiation Dose SR Storage": "88.67",
}
"""The storage table of the feature document, by the name of PS3.6: it calls 6.2, Enhanced US
Volume Storage, "US Multi-frame", whose UID is 3.1."""


@pytest.mark.parametrize("name", FEATURE_DOCUMENT)
def test_every_storage_class_of_the_feature_document_is_there(name: str) -> None:
    """Each storage SOP class the feature document lists is served, under its name of PS3.6."""
    found = find_sop_class(STORAGE + FEATURE_DOCUMENT[name])
    assert found in storage_sop_classes()
    assert found is not None
    assert found.name == name
    assert not found.is_retired
    assert found.service_class is ServiceClass.STORAGE


def test_the_retired_one_of_the_feature_document_is_marked() -> None:
    """The old Nuclear Medicine Image Storage is served, and known to be retired."""
    found = find_sop_class(STORAGE + "5")
    assert found in storage_sop_classes()
    assert found is not None
    assert found.is_retired


# -- the whole list ----------------------------------------------------------------------------


def test_every_sop_class_of_the_dictionary_is_there_once() -> None:
    """Nothing of PS3.6 is left out, and the edition is recorded."""
    wanted = {uid for uid, row in UID_dictionary.items() if row[1].endswith("SOP Class")}
    listed = [one.uid for one in all_sop_classes()]
    assert len(listed) == len(set(listed))
    assert set(listed) == wanted
    assert pydicom.__dicom_version__ == DICOM_EDITION
    for one in all_sop_classes():
        assert find_sop_class(one.uid) is one
        assert find_sop_class(one.keyword or one.uid) is one


def test_every_sop_class_belongs_to_a_service_class() -> None:
    """The rules of UIDs leave none of the edition's SOP classes out."""
    assert [one.uid for one in all_sop_classes() if one.service_class is None] == []


OTHERS_CALL_IT = {
    "Application Event Logging": reference._APPLICATION_EVENT_CLASSES,
    "Basic Worklist Management": reference._BASIC_WORKLIST_CLASSES,
    "Color Palette Query/Retrieve": reference._COLOR_PALETTE_CLASSES,
    "Defined Procedure Protocol Query/Retrieve": reference._DEFINED_PROCEDURE_CLASSES,
    "Display System Management": reference._DISPLAY_SYSTEM_CLASSES,
    "Hanging Protocol Query/Retrieve": reference._HANGING_PROTOCOL_CLASSES,
    "Implant Template Query/Retrieve": reference._IMPLANT_TEMPLATE_CLASSES,
    "Instance Availability Notification": reference._INSTANCE_AVAILABILITY_CLASSES,
    "Inventory Query/Retrieve": reference._INVENTORY_CLASSES,
    "Media Creation Management": reference._MEDIA_CREATION_CLASSES,
    "Media Storage": reference._MEDIA_STORAGE_CLASSES,
    "Non-Patient Object Storage": reference._NON_PATIENT_OBJECT_CLASSES,
    "Print Management": reference._PRINT_MANAGEMENT_CLASSES,
    "Procedure Step": reference._PROCEDURE_STEP_CLASSES,
    "Protocol Approval Query/Retrieve": reference._PROTOCOL_APPROVAL_CLASSES,
    "Query/Retrieve": reference._QR_CLASSES,
    "Relevant Patient Information Query": reference._RELEVANT_PATIENT_QUERY_CLASSES,
    "RT Machine Verification": reference._RT_MACHINE_VERIFICATION_CLASSES,
    "Storage": reference._STORAGE_CLASSES,
    "Storage Commitment": reference._STORAGE_COMMITMENT_CLASSES,
    "Storage Management": reference._STORAGE_MANAGEMENT_CLASSES,
    "Substance Administration Query": reference._SUBSTANCE_ADMINISTRATION_CLASSES,
    "Unified Procedure Step": reference._UNIFIED_PROCEDURE_STEP_CLASSES,
    "Verification": reference._VERIFICATION_CLASSES,
}


@pytest.mark.parametrize("title", OTHERS_CALL_IT)
def test_service_classes_are_those_of_another_implementation(title: str) -> None:
    """What pynetdicom puts together is together here too, as far as the editions agree."""
    (kind,) = [one for one in ServiceClass if one.title == title]
    ours = {one.uid for one in all_sop_classes() if one.service_class is kind}
    theirs = set(OTHERS_CALL_IT[title].values())
    assert theirs & UID_dictionary.keys() <= ours


def test_iods_are_those_of_the_standards_tables() -> None:
    """The map of highdicom, made from PS3.4 Table B.5-1, says the same of every one it has."""
    package = pytest.importorskip("highdicom")
    text = resources.files(package).joinpath("_standard/sop_class_iod_map.json").read_text("utf-8")
    wanted = json.loads(text)
    checked = 0
    for one in all_sop_classes():
        if one.uid in wanted:
            named = SPELT_OUT.get(one.iod, one.iod).replace(" SC Image", " Secondary Capture Image")
            assert named.lower().replace(" ", "-").replace("/", "-") == wanted[one.uid]
            checked += 1
    assert checked > 170


SPELT_OUT = {
    "CR Image": "Computed Radiography Image",
    "US Image": "Ultrasound Image",
    "US Multi-frame Image": "Ultrasound Multi-frame Image",
    "NM Image": "Nuclear Medicine Image",
    "PET Image": "Positron Emission Tomography Image",
}
"""Titles of PS3.3 that PS3.4 spells out."""


@pytest.mark.parametrize(
    ("keyword", "iod", "service_class"),
    [
        ("CTImageStorage", "CT Image", ServiceClass.STORAGE),
        ("PositronEmissionTomographyImageStorage", "PET Image", ServiceClass.STORAGE),
        ("DigitalXRayImageStorageForProcessing", "Digital X-Ray Image", ServiceClass.STORAGE),
        ("TwelveLeadECGWaveformStorage", "12-Lead ECG", ServiceClass.STORAGE),
        ("ModalityPerformedProcedureStep", "Modality Performed Procedure Step", None),
        ("StudyRootQueryRetrieveInformationModelFind", "", ServiceClass.QUERY_RETRIEVE),
        ("BasicGrayscalePrintManagementMeta", "", ServiceClass.PRINT_MANAGEMENT),
        ("HangingProtocolStorage", "Hanging Protocol", ServiceClass.NON_PATIENT_OBJECT_STORAGE),
    ],
)
def test_iod_and_service_class(keyword: str, iod: str, service_class: ServiceClass | None) -> None:
    """What a SOP class is about, and which annex of PS3.4 has its rules."""
    found = find_sop_class(keyword)
    assert found is not None
    assert found.iod == iod
    assert service_class in (found.service_class, None)


def test_meta_and_foreign_sop_classes_are_marked() -> None:
    """A Meta SOP Class stands for several; DICOS and DICONDE are not medicine."""
    meta = find_sop_class("BasicGrayscalePrintManagementMeta")
    assert meta is not None
    assert meta.is_meta
    dicos = find_sop_class("DICOSCTImageStorage")
    assert dicos is not None
    assert (dicos.domain, dicos.is_meta) == ("DICOS", False)
    assert ServiceClass.STORAGE.section == "PS3.4 B"
    assert ServiceClass.REAL_TIME_COMMUNICATION.section == "PS3.22"


@pytest.mark.slow
def test_nothing_is_made_before_it_is_needed() -> None:
    """Importing the services makes no list of SOP classes."""
    program = (
        "import pacs_sdk.services.sop_classes.registry as r;"
        "print(r.all_sop_classes.cache_info().currsize, r.storage_sop_classes.cache_info().currsize)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == ["0", "0"]


# -- what an archive keeps ---------------------------------------------------------------------


def test_only_storage_of_patient_objects_is_listed() -> None:
    """No query model, no commitment, no DICOMDIR, no hanging protocol."""
    served = {c.uid for c in storage_sop_classes()}
    assert "1.2.840.10008.1.20.1" not in served  # Storage Commitment
    assert "1.2.840.10008.1.3.10" not in served  # Media Storage Directory
    assert "1.2.840.10008.5.1.4.38.1" not in served  # Hanging Protocol
    assert "1.2.840.10008.5.1.4.1.1.201.2" not in served  # Inventory FIND
    assert "1.2.840.10008.5.1.1.29" not in served  # Hardcopy Grayscale Image
    assert all(UID_dictionary[uid][1] == "SOP Class" for uid in served)
    assert len(served) > 150


def test_names_are_the_standards() -> None:
    """A known UID has its name, an unknown one stands for itself."""
    assert sop_class_name("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert sop_class_name("1.2.3") == "1.2.3"
    assert find_sop_class("1.2.3") is None


def test_common_classes_come_first() -> None:
    """What fits into one association has images, reports, waveforms and radiotherapy."""
    ranked = [sop_class.uid for sop_class in sop_classes_by_use()]
    assert set(ranked) == {c.uid for c in storage_sop_classes() if not c.is_retired}
    assert ranked[0] == "1.2.840.10008.5.1.4.1.1.2"
    for suffix in ("88.33", "481.3", "9.1.1", "104.1", "66.4"):  # SR, RTSTRUCT, ECG, PDF, SEG
        assert f"1.2.840.10008.5.1.4.1.1.{suffix}" in ranked[:60]


def test_every_common_class_is_one() -> None:
    """No keyword of the ranking is misspelt: the common ones are all at the front."""
    known = {c.keyword for c in storage_sop_classes()}
    assert set(_COMMON_FIRST) <= known


# -- sets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suffixes"),
    [
        ("CT", "2 2.1 2.2"),
        ("MR", "4 4.1 4.2 4.3 4.4"),
        ("PT", "128 128.1 129 130"),
        ("NM", "5 20"),
        ("US", "3 3.1 6 6.1 6.2 6.3"),
        ("XA", "12.1 12.1.1 12.3 13.1.1 13.1.2"),
        ("MG", "1.2 1.2.1 13.1.3 13.1.4 13.1.5"),
        ("SEG", "66.4 66.5"),
        ("KO", "88.59"),
        ("ECG", "9.1.1 9.1.2 9.1.3 9.1.4"),
        ("documents", "104.1 104.2 104.3 104.4 104.5"),
    ],
)
def test_a_set_is_what_its_name_says(name: str, suffixes: str) -> None:
    """The whole set, of the edition 2024c, with the retired ones of the modality."""
    uids = {one.uid for one in sop_class_sets()[name].sop_classes}
    assert uids == {STORAGE + suffix for suffix in suffixes.split()}


def test_big_sets_hold_what_belongs_to_them() -> None:
    """Reports, radiotherapy and waveforms are whole arcs of UIDs; images have pixels."""
    sets = sop_class_sets()
    assert {one.uid for one in sets["SR"].sop_classes} == {
        one.uid for one in storage_sop_classes() if one.uid.startswith(f"{STORAGE}88.")
    } - {f"{STORAGE}88.59"}
    assert {one.uid for one in sets["RT"].sop_classes} == {
        one.uid
        for one in storage_sop_classes()
        if one.uid.startswith((f"{STORAGE}481.", "1.2.840.10008.5.1.4.34."))
    }
    assert {one.uid for one in sets["waveforms"].sop_classes} == {
        one.uid for one in storage_sop_classes() if one.uid.startswith(f"{STORAGE}9.")
    }
    images = {one.keyword for one in sets["all images"].sop_classes}
    assert {"CTImageStorage", "SegmentationStorage", "RTDoseStorage"} <= images
    assert {"VideoEndoscopicImageStorage", "DigitalXRayImageStorageForProcessing"} <= images
    assert not images & {"BasicTextSRStorage", "RTPlanStorage", "RawDataStorage"}
    assert sets["all"].sop_classes == storage_sop_classes()
    assert all(one.is_retired for one in sets["retired"].sop_classes)


def test_every_set_has_members_and_a_meaning() -> None:
    """No pattern is misspelt: each finds a SOP class."""
    for name, found in sop_class_sets().items():
        assert found.name == name
        assert found.sop_classes
        assert found.meaning


def chosen(*choice: str) -> tuple[str, ...]:
    """Choose what must be there."""
    return chosen_sop_classes(choice).unwrap()


def test_a_choice_joins_sets_keywords_and_uids() -> None:
    """Sets in any case, keywords, UIDs and private UIDs; each SOP class once."""
    uids = chosen("ct", "CTImageStorage", STORAGE + "88.59", "1.3.6.1.4.1.9590.100.1")
    assert uids == (
        *(one.uid for one in sop_class_sets()["CT"].sop_classes),
        STORAGE + "88.59",
        "1.3.6.1.4.1.9590.100.1",
    )


def test_a_choice_may_take_away() -> None:
    """What begins with an exclamation mark is taken out of what stands before it."""
    assert chosen("NM", "!retired") == (STORAGE + "20",)
    assert STORAGE + "7" not in chosen("all", "! SC")
    assert STORAGE + "7" in chosen("all", "!SC", "SecondaryCaptureImageStorage")


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (["CTT"], "did you mean 'CT'?"),
        (["CTImageStorag"], "did you mean 'CTImageStorage'?"),
        (["???"], "give a set such as CT, a keyword, or a UID"),
        (["1..3"], "'1..3' names no storage SOP classes"),
        (["Verification"], "Verification SOP Class is no storage SOP class"),
        (["InventoryStorage"], "Inventory Storage is no storage SOP class of patient objects"),
        (["CT", "!CT"], "leaves none to accept"),
        ([], "leaves none to accept"),
    ],
)
def test_a_choice_of_nothing_is_refused(choice: list[str], words: str) -> None:
    """The error names what is wrong, and what could have been meant."""
    match chosen_sop_classes(choice):
        case Failure(error):
            assert error.code is ErrorCode.INVALID_CONFIGURATION
            assert words in error.message
        case Success(uids):
            pytest.fail(f"chose {uids}")
