from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from pacs_sdk.core import DicomDataset
from pacs_sdk.encoding import ValidationMode, write_file
from tests.cli.helpers import DEADLINE_S, PROGRAM, SERIES, TEST_FILES, failed, pacs, succeeded


def test_text_lists_every_element() -> None:
    """One line an element: tag, VR, keyword, value; items are indented."""
    lines = succeeded(pacs("dump", TEST_FILES / "rtplan.dcm")).splitlines()
    assert "(0002,0010) UI TransferSyntaxUID" in lines[2]
    assert any(line.split() == ["(0010,0010)", "PN", "PatientName", "Last^First^mid^pre"]
               for line in lines)  # fmt: skip
    assert any(line.startswith("(300A,0010) SQ DoseReferenceSequence") for line in lines)
    assert any(line.startswith("  (300A,0012) IS DoseReferenceNumber") for line in lines)


def test_a_line_break_in_a_value_stays_one_line(tmp_path: Path) -> None:
    """A value with control characters neither breaks its line nor reaches the terminal."""
    dataset = DicomDataset(
        None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.3",
        PatientComments="first\r\nsecond\x07!",
    )
    path = write_file(dataset, tmp_path / "x.dcm", validation=ValidationMode.LENIENT).unwrap()
    (line,) = [
        one for one in succeeded(pacs("dump", path)).splitlines() if "PatientComments" in one
    ]
    assert line.endswith("first second !")


@pytest.mark.parametrize("name", ["CT_small.dcm", "rtplan.dcm", "MR_small.dcm"])
def test_json_is_the_dicom_json_model(name: str) -> None:
    """``--json`` read back by pydicom is the data set, pixels included; its text is UTF-8."""
    path = get_testdata_file(name)
    assert isinstance(path, str)
    text = succeeded(pacs("dump", path, "--json"))
    model = json.loads(text)
    assert model["00100010"]["vr"] == "PN"
    again = pydicom.Dataset.from_json(model)
    plain = pydicom.dcmread(path)
    if "SpecificCharacterSet" in plain:
        plain.SpecificCharacterSet = "ISO_IR 192"
    assert again.to_json_dict() == plain.to_json_dict()


def test_binary_values_of_a_big_endian_file_are_little_endian() -> None:
    """In JSON words have one byte order, whatever the file's (PS3.18 F.2.7)."""
    pixels = [
        json.loads(succeeded(pacs("dump", TEST_FILES / name, "--json")))["7FE00010"]
        for name in ("MR_small.dcm", "MR_small_bigendian.dcm")
    ]
    assert pixels[0] == pixels[1]


def test_json_has_null_for_an_empty_value_among_others(tmp_path: Path) -> None:
    """An empty one of several values is null (PS3.18 F.2.5), of names and of numbers, too."""
    dataset = DicomDataset(
        None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.3",
        ImageType=["ORIGINAL", "", "AXIAL"],
        OtherPatientNames=["Doe^J", "", "Roe^J"],
    )
    path = write_file(dataset, tmp_path / "x.dcm", validation=ValidationMode.LENIENT).unwrap()
    model = json.loads(succeeded(pacs("dump", path, "--json")))
    assert model["00080008"]["Value"] == ["ORIGINAL", None, "AXIAL"]
    assert model["00101001"]["Value"] == [{"Alphabetic": "Doe^J"}, None, {"Alphabetic": "Roe^J"}]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
@pytest.mark.slow
def test_json_is_valid_whatever_the_encoding_of_the_terminal(encoding: str, tmp_path: Path) -> None:
    """JSON is UTF-8; where stdout is not, what goes beyond ASCII is escaped as JSON does."""
    dataset = DicomDataset(
        None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.3",
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jörg😀",
    )
    path = write_file(dataset, tmp_path / "x.dcm").unwrap()
    done = subprocess.run(
        [*PROGRAM, "dump", path, "--json"],
        capture_output=True,
        check=True,
        timeout=DEADLINE_S,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert json.loads(done.stdout)["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg😀"}]


def test_json_of_numbers_that_json_lacks(tmp_path: Path) -> None:
    """NaN and infinities become text: what is printed is always JSON."""
    dataset = DicomDataset(
        None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.3",
        RealWorldValueSlope=float("nan"),
        SelectorFDValue=[float("inf"), float("-inf"), 1.5],
    )
    path = write_file(dataset, tmp_path / "x.dcm").unwrap()
    model = json.loads(succeeded(pacs("dump", path, "--json")))
    assert model["00409225"]["Value"] == ["NaN"]
    assert model["00720074"]["Value"] == ["inf", "-inf", 1.5]


def test_an_invalid_value_is_told_as_it_is(tmp_path: Path) -> None:
    """A value that is none of its VR is listed as it is, and text in JSON."""
    raw = min(SERIES.iterdir()).read_bytes()
    number = raw.index(b"IS", raw.index(b"\x20\x00\x13\x00"))
    length = int.from_bytes(raw[number + 2 : number + 4], "little")
    broken = raw[: number + 4] + b"x" * length + raw[number + 4 + length :]
    (tmp_path / "x.dcm").write_bytes(broken)
    lines = succeeded(pacs("dump", tmp_path / "x.dcm")).splitlines()
    assert any(
        line.split() == ["(0020,0013)", "IS", "InstanceNumber", "x" * length] for line in lines
    )
    assert lines[-1].startswith("(7FE0,0010) OW PixelData")
    model = json.loads(succeeded(pacs("dump", tmp_path / "x.dcm", "--json")))
    assert model["00200013"] == {"vr": "IS", "Value": ["x" * length]}


def test_what_json_has_no_room_for_is_one_line(tmp_path: Path) -> None:
    """Binary numbers that are cut off have no value: the file and the element are named."""
    raw = min(SERIES.iterdir()).read_bytes()
    rows = raw.index(b"\x28\x00\x10\x00US\x02\x00")
    (tmp_path / "x.dcm").write_bytes(raw[: rows + 6] + b"\x01\x00" + raw[rows + 8 : rows + 9]
                                     + raw[rows + 10 :])  # fmt: skip
    line = failed(pacs("dump", tmp_path / "x.dcm", "--json"))
    assert str(tmp_path / "x.dcm") in line
    assert "Rows" in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"hello, I am a text", "it is not DICOM"),
        (b"", "it is empty"),
        ((TEST_FILES / "CT_small.dcm").read_bytes()[:5000], "the data set ends inside"),
    ],
    ids=["text", "empty", "truncated"],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    """What is wrong with the file, and what to do."""
    path = tmp_path / "bad.dcm"
    path.write_bytes(content)
    line = failed(pacs("dump", path))
    assert str(path) in line
    assert words in line


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    """Neither is a file that can be read."""
    assert "there is no file" in failed(pacs("dump", tmp_path / "nothing.dcm"))
    assert "is a folder" in failed(pacs("dump", tmp_path))
