"""Elements have the VR of their attributes (PS3.5 6.2, A.4; PS3.6)."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from pacs_sdk.core.results import raised
from pacs_sdk.services.iod_validation import IodRule, Severity, validate_instance
from tests.services.iod_validation.iod_objects import item, make

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values


def errors_of(dataset: Dataset, folder: Path) -> dict[str, str]:
    """Write a data set as it is, and return the errors of the file: path and words."""
    path = folder / "one.dcm"
    dataset.save_as(path, enforce_file_format=True)
    report = raised(validate_instance(path))
    assert all(one.rule is IodRule.VALUE for one in report.errors)
    return {str(one.path): one.words for one in report.at_least(Severity.WARNING)}


def test_another_vr_than_that_of_the_attribute(tmp_path: Path) -> None:
    """An identifier written as a name, or a number in binary, does not conform; in items, too."""
    dataset = make("CT")
    dataset["PatientID"] = DataElement("PatientID", "PN", "a")
    request = item(RequestedProcedureID="x")
    request["ScheduledProcedureStepID"] = DataElement("ScheduledProcedureStepID", "LO", "y")
    dataset.RequestAttributesSequence = [request]
    dataset["SeriesNumber"] = DataElement("SeriesNumber", "US", 3)
    assert errors_of(dataset, tmp_path) == {
        "PatientID": "Patient ID (0010,0020) is PN, and not LO",
        "RequestAttributesSequence[0].ScheduledProcedureStepID": (
            "Scheduled Procedure Step ID (0040,0009) is LO, and not SH"
        ),
        "SeriesNumber": "Series Number (0020,0011) is US, and not IS",
    }


def test_a_vr_that_may_be_there(tmp_path: Path) -> None:
    """UN, one of several, a private one, and none at all in Implicit VR are right."""
    dataset = make("CT")
    dataset["StationName"] = DataElement("StationName", "UN", b"ROOM")
    dataset.add_new("PixelPaddingValue", "US", 0)
    dataset.private_block(0x0009, "ACME", create=True).add_new(2, "FD", 1.0)
    assert errors_of(dataset, tmp_path) == {}
    implicit = make("CT")
    implicit["PatientID"] = DataElement("PatientID", "PN", "a")
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert errors_of(implicit, tmp_path) == {}


def test_what_is_in_memory_is_checked(tmp_path: Path) -> None:
    """A data set that is yet to be written is checked by the VR that it would be written with."""
    dataset = make("CT")
    dataset["PatientID"] = DataElement("PatientID", "PN", "a")
    report = raised(validate_instance(dataset))
    assert [str(one.path) for one in report.errors] == ["PatientID"]
    assert report.errors[0].reference == "PS3.5 6.2"


def test_compressed_pixels_are_bytes(tmp_path: Path) -> None:
    """Encapsulated Pixel Data is OB, whatever Bits Allocated is (PS3.5 A.4)."""
    dataset = make("CT")
    dataset.file_meta.TransferSyntaxUID = RLELossless
    for vr, errors in (("OB", {}), ("OW", {"PixelData": "compressed pixels are OW, and not OB"})):
        dataset["PixelData"] = DataElement("PixelData", vr, encapsulate([bytes(70)]))
        dataset["PixelData"].is_undefined_length = True
        assert errors_of(dataset, tmp_path) == errors
