"""Each DICOM file that ships inside pydicom: read, scanned, written, its pixels decoded."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    INDEX_TAGS,
    Instance,
    TransferSyntax,
    decode_dataset,
    decode_frames,
    encode_dataset,
    instance_from_dataset,
    part10_header,
    read_bytes,
    read_file,
    write_file,
)
from tests.encoding.shipped import (
    BROKEN_DATA_SETS,
    NOT_DICOM,
    READABLE,
    REFUSED,
    REWRITTEN_OTHERWISE,
    path_of,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

DECODABLE = [name for name in READABLE if name not in BROKEN_DATA_SETS]

NATIVE = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)


def as_pydicom_reads(name: str) -> pydicom.FileDataset:
    """Read a file with pydicom, those without file meta too."""
    return pydicom.dcmread(path_of(name), force=True)


def instance_of(name: str) -> Instance:
    """Open a file that is known to be readable."""
    return raised(read_file(path_of(name)))


def text_of(dataset: Dataset, tag: int) -> str:
    """Write a value as a header does: several joined by a backslash, none as nothing."""
    element = dataset[tag]
    if element.VM > 1:
        return "\\".join(str(value) for value in element.value)
    return "" if element.value is None else str(element.value)


def test_there_are_enough_files() -> None:
    """The tables cover what ships: an empty folder would make this module pass unseen."""
    assert len(READABLE) > 150
    for name in (*NOT_DICOM, *REFUSED, *BROKEN_DATA_SETS, *REWRITTEN_OTHERWISE):
        assert path_of(name).is_file(), name


@pytest.mark.parametrize("name", NOT_DICOM)
def test_other_files_are_not_dicom(name: str) -> None:
    """A file that isn't DICOM is refused with words that name it."""
    error = read_file(path_of(name)).failure()
    assert error.code is ErrorCode.NOT_DICOM
    assert str(path_of(name)) in error.message


@pytest.mark.parametrize(("name", "code"), REFUSED.items())
def test_damaged_files_are_refused(name: str, code: ErrorCode) -> None:
    """A file without its end, its syntax or its UIDs is refused with the code for that."""
    assert read_file(path_of(name)).failure().code is code


@pytest.mark.parametrize(
    "name", [name for name, code in REFUSED.items() if code is not ErrorCode.TRUNCATED]
)
def test_data_sets_of_files_without_identifiers(name: str) -> None:
    """What makes no instance is a data set all the same, equal to pydicom's reading."""
    file = path_of(name).read_bytes()
    meta = 144 + int.from_bytes(file[140:144], "little")  # by (0002,0000), PS3.10 7.1
    ours = raised(decode_dataset(file[meta:], IMPLICIT_VR_LITTLE_ENDIAN)).pydicom
    assert len(ours)
    assert ours == as_pydicom_reads(name)
    encoded = raised(encode_dataset(ours, IMPLICIT_VR_LITTLE_ENDIAN))
    assert encoded == file[meta:]


@pytest.mark.parametrize(("name", "code"), BROKEN_DATA_SETS.items())
def test_broken_data_sets_are_reported(name: str, code: ErrorCode) -> None:
    """Damage inside a sequence is found when the data set is decoded."""
    assert instance_of(name).dataset().failure().code is code


@pytest.mark.parametrize("name", DECODABLE)
def test_data_set_equals_pydicoms(name: str) -> None:
    """The decoded data set equals pydicom's reading of the file, element by element."""
    ours, theirs = raised(instance_of(name).dataset()).pydicom, as_pydicom_reads(name)
    assert list(ours.keys()) == list(theirs.keys())
    assert ours == theirs


@pytest.mark.parametrize("name", DECODABLE)
def test_header_equals_the_data_set(name: str) -> None:
    """The scanned header has exactly the index attributes that pydicom finds, as text."""
    header, theirs = raised(instance_of(name).header()), as_pydicom_reads(name)
    assert set(header.raw) == {tag for tag in INDEX_TAGS if tag in theirs}
    for tag in header.raw:
        is_sequence = DicomTag(tag).dictionary_vr == "SQ"  # which is no text
        assert header.text(tag) == ("" if is_sequence else text_of(theirs, tag))


@pytest.mark.parametrize("name", READABLE)
def test_written_instance_keeps_its_bytes(name: str, tmp_path: Path) -> None:
    """An instance is written with its data set byte for byte, and pydicom reads it the same."""
    instance = instance_of(name)
    path = raised(write_file(instance, tmp_path / "copy.dcm"))
    copy = raised(read_file(path))
    assert copy.encoded.view() == instance.encoded.view()
    assert copy.transfer_syntax_uid == instance.transfer_syntax_uid
    reread = pydicom.dcmread(path)
    assert reread.file_meta.MediaStorageSOPInstanceUID == instance.sop_instance_uid
    if name not in BROKEN_DATA_SETS:
        assert reread == as_pydicom_reads(name)


@pytest.mark.parametrize("name", DECODABLE)
def test_encoding_what_was_decoded_gives_the_same_bytes(name: str) -> None:
    """Decoding and encoding in the same syntax changes no byte, but for named reasons."""
    instance = instance_of(name)
    encoded = raised(encode_dataset(raised(instance.dataset()), instance.syntax))
    same = encoded == bytes(instance.encoded.view())
    assert same != (name in REWRITTEN_OTHERWISE)


@pytest.mark.parametrize("name", [name for name in DECODABLE if name in REWRITTEN_OTHERWISE])
def test_what_is_rewritten_otherwise_means_the_same(name: str) -> None:
    """Where bytes change, pydicom reads the same elements, group lengths apart."""
    instance = instance_of(name)
    encoded = raised(encode_dataset(raised(instance.dataset()), instance.syntax))
    header = part10_header("1.2", "1.2.3", instance.transfer_syntax_uid)
    theirs = as_pydicom_reads(name)
    for tag in [tag for tag in theirs.keys() if tag.element == 0]:  # noqa: SIM118  # raw elements
        del theirs[tag]
    assert pydicom.dcmread(io.BytesIO(header + encoded)) == theirs


@pytest.mark.parametrize("syntax", NATIVE, ids=str)
@pytest.mark.parametrize(
    "name", [name for name in DECODABLE if not instance_of(name).syntax.encapsulated]
)
@pytest.mark.slow
def test_native_syntaxes_convert_into_one_another(name: str, syntax: TransferSyntax) -> None:
    """What we write in another syntax pydicom reads as we do, and the way back is exact.

    Implicit VR has no place for the VR of a private element, so from there only the way
    to explicit VR and back is.
    """
    original = instance_of(name)
    dataset = raised(original.dataset())
    there = raised(encode_dataset(dataset, syntax))
    ours = raised(decode_dataset(there, syntax))
    file = part10_header("1.2", "1.2.3", syntax.uid) + there
    assert pydicom.dcmread(io.BytesIO(file)) == ours.pydicom
    if syntax.explicit_vr or not original.syntax.explicit_vr:
        back = raised(encode_dataset(ours, original.syntax))
        assert back == raised(encode_dataset(dataset, original.syntax))


@pytest.mark.parametrize("name", [name for name in DECODABLE if "DICOMDIR" not in name])
def test_written_data_set_is_read_back(name: str, tmp_path: Path) -> None:
    """A data set read by pydicom is written as a file that both read as the same."""
    theirs = as_pydicom_reads(name)
    if "SOPClassUID" not in theirs or "SOPInstanceUID" not in theirs:
        code = write_file(theirs, tmp_path / "x.dcm").failure().code
        assert code is ErrorCode.MISSING_REQUIRED_VALUE
        return
    path = raised(write_file(theirs, tmp_path / "copy.dcm"))
    ours = raised(raised(read_file(path)).dataset())
    assert ours == pydicom.dcmread(path)
    assert ours["SOPInstanceUID"] == theirs.SOPInstanceUID


PYDICOM_CANNOT = (
    "JPEG-lossy.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEGLSNearLossless_16.dcm",
    "JPGExtended.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_jls_lossy_sample.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
)
"""JPEG-LS, JPEG with 12 bits and lossless JPEG, for which pydicom wants optional packages;
with Pillow missing, which the SDK does not depend on, Baseline JPEG as well."""


def pydicoms_pixels(name: str, raw: bool = False) -> np.ndarray | None:
    """Decode with pydicom; ``None`` where the installed decoders can't."""
    dataset = as_pydicom_reads(name)
    dataset.pixel_array_options(raw=raw)
    try:
        return dataset.pixel_array
    except (RuntimeError, ValueError):
        return None


@pytest.mark.parametrize("name", [name for name in DECODABLE if "DICOMDIR" not in name])
def test_pixels_equal_pydicoms(name: str) -> None:
    """Frames are what pydicom decodes, in our shape; where it can't, its own test has them."""
    if not {"PixelData", "FloatPixelData"} & set(as_pydicom_reads(name).dir()):
        assert decode_frames(path_of(name)).failure().code is ErrorCode.PIXEL_DATA_FAILED
        return
    theirs = pydicoms_pixels(name)
    match decode_frames(path_of(name)):
        case Success(frames):
            assert frames.ndim in (3, 4)
            if theirs is None:
                baseline = instance_of(name).transfer_syntax_uid.endswith(".4.50")
                assert baseline or name in PYDICOM_CANNOT
                return
            assert frames.dtype == theirs.dtype.newbyteorder("=")
            assert np.array_equal(frames.reshape(theirs.shape), theirs)
        case Failure(error):
            assert theirs is None
            assert error.code is ErrorCode.PIXEL_DATA_FAILED
            assert "\n" not in error.message


@pytest.mark.parametrize("name", [name for name in DECODABLE if "/" not in name])
def test_raw_pixels_equal_pydicoms(name: str) -> None:
    """Colour that isn't converted is what pydicom gives as raw."""
    result = decode_frames(path_of(name), raw=True)
    theirs = pydicoms_pixels(name, raw=True) if isinstance(result, Success) else None
    if theirs is not None:
        assert np.array_equal(raised(result).reshape(theirs.shape), theirs)


@pytest.mark.parametrize(
    ("name", "reference", "largest"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm", 0),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm", 0),
        ("SC_rgb_jls_lossy_line.dcm", "SC_rgb_rle.dcm", 2),  # near-lossless, NEAR is 2
        ("SC_rgb_jls_lossy_sample.dcm", "SC_rgb_rle.dcm", 2),
        ("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle.dcm", 6),
    ],
)
def test_what_pydicom_alone_cannot_decode(name: str, reference: str, largest: int) -> None:
    """A compressed copy is the image it was made of, exactly or nearly."""
    found, expected = (raised(decode_frames(path_of(one))) for one in (name, reference))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected.astype(int)).max() == largest


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("JPGExtended.dcm", "d30242775a414c01"),
        ("JPEG-lossy.dcm", "d30242775a414c01"),
        ("JPEGLSNearLossless_08.dcm", "9eb46aa86c342094"),
        ("JPEGLSNearLossless_16.dcm", "f929318278115ce9"),
    ],
)
def test_decoded_as_dcmtk_does(name: str, digest: str) -> None:
    """Images of which there is no other copy decode as DCMTK 3.6.7 (dcmdjpeg, dcmdjpls) does.

    The digest is of what DCMTK wrote, as little endian numbers.
    """
    found = raised(decode_frames(path_of(name)))
    stored = found.astype(found.dtype.newbyteorder("<")).tobytes()
    assert hashlib.sha256(stored).hexdigest()[:16] == digest


def test_most_shipped_images_decode() -> None:
    """The comparison above compares something: over fifty kinds of image decode."""
    kinds = [name for name in DECODABLE if "/" not in name]
    decoded = [name for name in kinds if isinstance(decode_frames(path_of(name)), Success)]
    assert len(decoded) > 50  # without Pillow, which the SDK does not depend on


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "liver_1frame.dcm"])
def test_memory_and_file_are_the_same(name: str) -> None:
    """A file read from memory is the instance that the path gives."""
    data = path_of(name).read_bytes()
    in_memory, in_file = raised(read_bytes(data)), instance_of(name)
    assert in_memory.encoded.view() == in_file.encoded.view()
    assert raised(in_memory.header()) == raised(in_file.header())
    assert np.array_equal(raised(in_memory.frames()), raised(in_file.frames()))


def test_instance_from_a_shipped_data_set() -> None:
    """A decoded data set becomes an instance again, in the syntax that is asked for."""
    dataset: DicomDataset = raised(instance_of("CT_small.dcm").dataset())
    instance = raised(instance_from_dataset(dataset, IMPLICIT_VR_LITTLE_ENDIAN))
    assert instance.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN.uid
    assert raised(instance.header()).text("PatientName") == "CompressedSamples^CT1"
    assert np.array_equal(raised(instance.frames()), raised(decode_frames(dataset)))
