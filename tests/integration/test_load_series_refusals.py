"""What cannot become one volume exactly is refused, naming file, attribute and reason."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import attrs
import numpy as np
import pydicom
import pytest
from pydicom.uid import EnhancedCTImageStorage, RLELossless

from pacs_sdk.core import ErrorCode, MemoryBytes, PacsError
from pacs_sdk.core.errors import PacsException
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, transfer_syntax
from pacs_sdk.integration.itk import load_series, load_volume
from tests.integration.made_series import ROWS_COLUMNS, in_files, in_memory, made_slice, made_slices


def refusal(
    datasets: list[pydicom.Dataset], code: ErrorCode = ErrorCode.SERIES_NOT_LOADABLE
) -> PacsError:
    """Load what must be refused, and give the error."""
    error = load_volume(in_memory(datasets)).failure()
    assert error.code is code, error
    return error


def at(number: int, z: float, **changes: object) -> pydicom.Dataset:
    """Make slice ``number`` at a height of its own."""
    position = ["-10", "20", f"{z:.10g}"]
    return made_slice(number, ImagePositionPatient=position, **changes)  # type: ignore[arg-type]


# -- which series ---------------------------------------------------------------------------


def test_several_series_are_listed() -> None:
    """The message names each with modality and count, and how to choose."""
    other = made_slices(2, SeriesInstanceUID="1.2.3.5", Modality="MR", SeriesDescription="T1")
    error = refusal(made_slices(3) + other)
    assert "series_instance_uid=" in error.message
    assert "1.2.3.4 (CT, 3 objects, 'Made <up>')" in error.message
    assert "1.2.3.5 (MR, 2 objects, 'T1')" in error.message
    assert error.details["series"] == ("1.2.3.4", "1.2.3.5")


@pytest.mark.parametrize(
    ("sop_class_uid", "loader"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "load_segmentation"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "load_dose"),
    ],
)
def test_what_another_function_loads_is_no_choice(sop_class_uid: str, loader: str) -> None:
    """A folder of a CT with its segmentation or dose has one image series to load."""
    other = made_slices(1, SeriesInstanceUID="1.2.3.5", SOPClassUID=sop_class_uid)
    other[0].SOPInstanceUID = "1.2.3.5.1"
    volume = load_volume(in_memory(other + made_slices(3))).unwrap()
    assert volume.report.series_instance_uid == "1.2.3.4"
    (skipped,) = volume.report.skipped
    assert f"{loader} of pacs_sdk.integration" in skipped.reason


def test_a_series_that_is_not_there() -> None:
    """The message says which ones are."""
    error = load_volume(in_memory(made_slices(3)), series_instance_uid="1.9").failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "there is no series 1.9; the image series are: 1.2.3.4 (" in error.message


def test_a_folder_without_images(tmp_path: Path) -> None:
    """An empty folder, and one with other objects."""
    empty = load_volume(tmp_path).failure()
    assert empty.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "no DICOM object at all" in empty.message
    report = made_slice(0, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    del report.Rows, report.PixelData
    assert "only 1.2.3.4 (SR, 1 objects" in refusal([report]).message


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing path, a file that is not DICOM, another object, an archive without a series."""
    missing = load_volume(tmp_path / "nowhere").failure()
    assert (missing.code, "nowhere" in missing.message) == (ErrorCode.FILE_NOT_FOUND, True)
    (tmp_path / "notes.txt").write_text("Not an image, and long enough to be looked at closely.")
    named = load_volume([tmp_path / "notes.txt"]).failure()
    assert (named.code, "notes.txt" in named.message) == (ErrorCode.NOT_DICOM, True)
    for source in ([1, 2], 7, None):
        wrong = load_volume(source).failure()  # type: ignore[arg-type]
        assert wrong.code is ErrorCode.INVALID_ARGUMENT

    class Archive:
        def instances(self, query: object, /) -> None: ...

    error = load_volume(Archive()).failure()  # type: ignore[arg-type]
    assert (error.code, "series_instance_uid=" in error.message) == (
        ErrorCode.INVALID_ARGUMENT,
        True,
    )


# -- what one object says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SamplesPerPixel": 3, "PlanarConfiguration": 0}, "SamplesPerPixel (0028,0002)"),
        ({"PhotometricInterpretation": "RGB"}, "(0028,0002) is 1, which contradicts RGB"),
        ({"PhotometricInterpretation": None}, "(0028,0004) is missing"),
        ({"NumberOfFrames": 2, "SOPClassUID": EnhancedCTImageStorage}, "(0028,0008) is 2; only"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "ImageType (0008,0008)"),
        ({"Rows": None}, "Rows (0028,0010) is missing"),
        ({"Columns": 0}, "Columns (0028,0011) is 0"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient (0020,0032) is missing"),
        ({"ImagePositionPatient": ["1", "2"]}, "'1\\\\2', not 3 numbers"),
        ({"ImageOrientationPatient": None}, "ImageOrientationPatient (0020,0037) is missing"),
        ({"ImageOrientationPatient": ["1", "0", "0", "0", "2", "0"]}, "lengths 1 and 2, not 1"),
        ({"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]}, "not a right angle"),
        ({"PixelSpacing": None}, "PixelSpacing (0028,0030) is missing"),
        ({"PixelSpacing": ["0", "1"]}, "PixelSpacing (0028,0030) is not above 0 mm"),
        ({"BitsAllocated": 12}, "BitsAllocated (0028,0100) is 12"),
        ({"BitsStored": 17}, "BitsStored (0028,0101) is 17, which contradicts 16"),
        ({"HighBit": 14}, "HighBit (0028,0102) is 14, which contradicts 16"),
        ({"PixelRepresentation": None}, "PixelRepresentation (0028,0103) is missing"),
        ({"RescaleSlope": "0"}, "RescaleSlope (0028,1053) is 0"),
    ],
)
def test_an_object_that_is_no_slice(changes: dict[str, object], words: str) -> None:
    """The error names the object and the attribute, with its tag in the details."""
    datasets = [*made_slices(2), made_slice(2, **changes)]  # type: ignore[arg-type]
    error = refusal(datasets)
    assert words in error.message
    assert error.message.startswith("instance 1.2.3.4.3: ")
    assert error.details["path"] == "instance 1.2.3.4.3"
    assert str(error.details["tag"]) in error.message


@pytest.mark.parametrize("text", [b"-10\\20\\nan ", b"1e999\\2\\3 ", b"left\\2\\3"])
def test_positions_that_are_no_numbers(text: bytes, tmp_path: Path) -> None:
    """Text of a DS that is no finite number is refused, not passed on as NaN."""
    (path,) = in_files(in_memory(made_slices(1)), tmp_path)
    value = b"-10\\20\\-5.0"
    assert value in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(value, text.ljust(len(value))))
    error = load_volume(path).failure()
    assert "ImagePositionPatient (0020,0032) is" in error.message
    assert error.message.startswith(str(path))


def test_nothing_usable_is_an_error_even_when_not_strict() -> None:
    """An empty volume is never an answer."""
    error = load_volume(in_memory(made_slices(2, PixelSpacing=None)), strict=False).failure()
    assert "PixelSpacing (0028,0030) is missing" in error.message


def test_a_modality_lut_is_not_ignored() -> None:
    """Values that go through a table would come out wrong by slope and intercept."""
    item = pydicom.Dataset()
    item.LUTDescriptor = [16, 0, 16]
    datasets = made_slices(2, RescaleSlope=None, RescaleIntercept=None, ModalityLUTSequence=[item])
    assert "ModalityLUTSequence (0028,3000)" in refusal(datasets).message


# -- slices that do not fit together ----------------------------------------------------------------


def test_mixed_orientations() -> None:
    """A localiser among axial slices: both orientations are named with their counts."""
    localiser = made_slice(7, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"])
    error = refusal([*made_slices(3), localiser])
    assert "2 different values of ImageOrientationPatient (0020,0037)" in error.message
    assert "3 with 1\\0\\0\\0\\1\\0 (such as instance 1.2.3.4.1)" in error.message
    assert "1 with 0\\1\\0\\0\\0\\-1 (such as instance 1.2.3.4.8)" in error.message


def test_mixed_sizes() -> None:
    """Slices of 3 × 4 and of 2 × 4 pixels."""
    error = refusal([*made_slices(2), made_slice(2, np.zeros((2, 4), np.int16))])
    assert "Rows (0028,0010)" in error.message
    assert "1 with 2 (such as instance 1.2.3.4.3)" in error.message


def test_mixed_pixel_spacings() -> None:
    """A reconstruction with another field of view in the same series."""
    error = refusal([*made_slices(2), made_slice(2, PixelSpacing=["0.5", "0.626"])])
    assert "PixelSpacing (0028,0030)" in error.message


def test_mixed_frames_of_reference() -> None:
    """Positions in two frames of reference cannot be compared; absent ones are not doubted."""
    error = refusal([*made_slices(2), made_slice(2, FrameOfReferenceUID="1.7")])
    assert "FrameOfReferenceUID (0020,0052)" in error.message
    absent = [*made_slices(2), made_slice(2, FrameOfReferenceUID=None)]
    volume = load_volume(in_memory(absent)).unwrap()
    assert volume.array.shape[0] == 3
    assert any("1 of the slices have no FrameOfReferenceUID" in one for one in volume.report.notes)


@pytest.mark.parametrize("uids", list(itertools.permutations([None, "1.6", "1.7"])))
def test_an_absent_frame_of_reference_joins_no_others(uids: tuple[str | None, ...]) -> None:
    """Wherever the slice without one comes, slices of two frames of reference stay apart."""
    datasets = [made_slice(n, FrameOfReferenceUID=uid) for n, uid in enumerate(uids)]
    error = refusal(datasets)
    assert "2 different values of FrameOfReferenceUID (0020,0052)" in error.message
    first, second = (uid for uid in uids if uid)
    assert f"0: 2 with {first} (such as instance 1.2.3.4.1)" in error.message
    assert f"1: 1 with {second} (such as" in error.message
    left = load_volume(in_memory(datasets), on_mixed="largest").unwrap()
    assert left.array.shape[0] == 2
    assert second in left.report.skipped[0].reason


def test_different_images_of_one_place() -> None:
    """Nothing tells them apart but a number of no meaning, which the message names."""
    second = [
        made_slice(n, np.full((3, 4), n, np.int16), InstanceNumber=9, SOPInstanceUID=f"1.5.{n}")
        for n in range(3)
    ]
    error = refusal(made_slices(3) + second)
    assert "different images of the same place (3 such places)" in error.message
    assert "InstanceNumber '1' and '9'" in error.message


def test_the_same_pixels_are_not_the_same_image() -> None:
    """With another slope, or moved sideways, they mean something else."""
    for change in ({"RescaleSlope": "2"}, {"ImagePositionPatient": ["-9", "20", "-2.5"]}):
        other = made_slice(1, SOPInstanceUID="1.8", **change)
        error = refusal([*made_slices(3), other])
        assert (
            "instance 1.8 show different images of the same place (1 such place)" in error.message
        )


def test_one_place_for_all() -> None:
    """A time series of one slice has no extent along the normal at all."""
    error = refusal([at(number, 5) for number in range(4)])
    assert "different images of the same place" in error.message


def test_one_uid_for_two_images() -> None:
    """At the same place, and elsewhere."""
    other = made_slice(1, np.zeros((3, 4), np.int16))
    assert "SOPInstanceUID (0008,0018) is the same" in refusal([*made_slices(3), other]).message
    moved = at(1, 7.5)
    assert (
        "elsewhere" in refusal([*made_slices(3)[:2], at(2, 5, SOPInstanceUID="1.8"), moved]).message
    )


# -- steps -----------------------------------------------------------------------------------------


def test_missing_slices_are_named_by_their_place() -> None:
    """Slices 3, 6 and 7 of 0 to 10 are missing."""
    error = refusal([made_slice(number) for number in (0, 1, 2, 4, 5, 8, 9, 10)])
    assert "3 slices are missing, the usual step being 2.5 mm" in error.message
    assert (
        "1 after instance 1.2.3.4.3 at (-10, 20, 0) mm, before instance 1.2.3.4.5, a step of 5 mm"
        in error.message
    )
    assert "2 after instance 1.2.3.4.6 at (-10, 20, 7.5) mm" in error.message
    gaps = error.details["gaps"]
    assert isinstance(gaps, tuple)
    assert len(gaps) == 2


def test_a_missing_slice_among_four() -> None:
    """The usual step is found even where half of the steps are gaps."""
    assert "1 slice is missing" in refusal([made_slice(number) for number in (0, 1, 3)]).message


def test_two_spacings_in_one_series() -> None:
    """A head CT with thin slices at the base: not a gap, but irregular."""
    heights = [0, 2.5, 5, 7.5, 12.5, 17.5, 22.5]
    error = refusal([at(number, z) for number, z in enumerate(heights)])
    assert "the steps between slices are irregular: 2.5 to 5 mm" in error.message
    assert "between instance 1.2.3.4.4 and instance 1.2.3.4.5" in error.message


def test_one_slice_off_its_place() -> None:
    """Two percent of a step is more than the tolerance, unless the caller allows it."""
    datasets = [at(number, 2.5 * number + 0.05 * (number == 3)) for number in range(7)]
    assert "irregular" in refusal(datasets).message
    assert load_volume(in_memory(datasets), spacing_tolerance=0.03).unwrap().array.shape[0] == 7


def test_small_differences_must_not_add_up() -> None:
    """Steps within the tolerance, but half the stack would be a quarter of a slice off."""
    steps = [1.0] * 60 + [1.009] * 60
    heights = np.concatenate([[0], np.cumsum(steps)])
    error = refusal([at(number, float(z)) for number, z in enumerate(heights)])
    assert "drift" in error.message


def test_a_gantry_tilt_is_computed_from_the_positions() -> None:
    """Slices shifted by tan(12°) of their height: the angle is told, whatever (0018,1120) says."""
    shift = math.tan(math.radians(12))
    datasets = [
        made_slice(
            number,
            GantryDetectorTilt="0",
            ImagePositionPatient=["0", f"{2.5 * number * shift:.10f}", f"{2.5 * number}"],
        )
        for number in range(5)
    ]
    error = refusal(datasets)
    assert "gantry tilt of 12.00°" in error.message
    assert error.details["tilt_degrees"] == pytest.approx(12)


def test_a_slice_beside_the_stack() -> None:
    """One slice that is moved sideways is named."""
    datasets = made_slices(4)
    datasets[2].ImagePositionPatient[0] = "-7"
    error = refusal(datasets)
    assert error.message.startswith("instance 1.2.3.4.3: ImagePositionPatient (0020,0032) is 3 mm")


def test_a_single_slice_without_any_thickness() -> None:
    """Nothing says how thick it is, and 1 mm would be a guess."""
    error = refusal([made_slice(0, SliceThickness=None)])
    assert "SliceThickness (0018,0050) is missing, and so is SpacingBetweenSlices" in error.message


# -- pixels ------------------------------------------------------------------------------------------


def test_pixels_that_are_too_short() -> None:
    """The data set is complete, its Pixel Data has a row less than it says."""
    short = made_slice(2, PixelData=bytes(16), PatientComments="long enough " * 3)
    error = refusal([*made_slices(2), short], ErrorCode.PIXEL_DATA_FAILED)
    assert error.message.startswith("instance 1.2.3.4.3: Pixel Data (7FE0,0010) has 16 bytes")


def test_no_pixels_at_all() -> None:
    """Rows and Columns are there, Pixel Data is not."""
    bare = made_slice(2, PatientComments="long enough " * 3)
    del bare.PixelData
    error = refusal([*made_slices(2), bare], ErrorCode.PIXEL_DATA_FAILED)
    assert error.message.startswith("instance 1.2.3.4.3: the data set has no Pixel Data")


def test_compressed_pixels_that_cannot_be_decoded() -> None:
    """RLE rubbish; and RLE under a native transfer syntax. The errors name the object."""
    dataset = made_slice(0)
    pixels = np.frombuffer(dataset.PixelData, "<i2").reshape(ROWS_COLUMNS)
    dataset.compress(RLELossless, pixels, generate_instance_uid=False)
    (fine,) = in_memory([dataset], transfer_syntax(RLELossless).unwrap())
    assert load_volume(fine).unwrap().array[0, 0].tolist() == [0, 1, 2, 3]
    cut = bytes(fine.encoded.view()).replace(b"\x02\x00\x00\x00\x40\x00\x00\x00", bytes(8))
    rubbish = attrs.evolve(fine, encoded=MemoryBytes(cut))
    native = attrs.evolve(fine, transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN.uid)
    for broken, words in ((rubbish, ""), (native, "is compressed, its transfer syntax is not")):
        error = load_volume(broken).failure()
        assert error.code is ErrorCode.PIXEL_DATA_FAILED
        assert error.message.startswith("instance 1.2.3.4.1: ")
        assert words in error.message


def test_a_lie_about_the_size_takes_no_memory() -> None:
    """65535 × 65535 pixels in a few hundred bytes are refused before anything is allocated."""
    error = refusal([made_slice(0, Rows=65535, Columns=65535)], ErrorCode.PIXEL_DATA_FAILED)
    assert "need 8589672450 bytes" in error.message


def test_the_volume_is_limited() -> None:
    """The limit is told, and how to raise it."""
    error = load_volume(in_memory(made_slices(3)), max_volume_bytes=71).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert "takes 72 bytes, the limit is 71 (max_volume_bytes=)" in error.message
    assert load_volume(in_memory(made_slices(3)), max_volume_bytes=72).unwrap().array.size == 36


def test_memory_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allocation that fails is an error in words, for NumPy's memory and for SimpleITK's."""
    sitk = pytest.importorskip("SimpleITK")

    def no_memory(*_: object) -> None:
        raise RuntimeError("Failed to allocate memory for image.")

    monkeypatch.setattr(sitk, "Image", no_memory)
    error = load_series(in_memory(made_slices(3)), image_memory="shared").failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert "no memory for a volume of 72 bytes" in error.message
    copied = load_series(in_memory(made_slices(3))).unwrap()
    with pytest.raises(PacsException, match="no memory for an image of 72 bytes"):
        _ = copied.image


def test_values_beyond_floating_point() -> None:
    """A slope that makes infinities is refused; one that only single precision can't hold isn't."""
    assert "beyond 64-bit" in refusal([made_slice(40, RescaleSlope="1e306")]).message
    large = load_volume(in_memory([made_slice(40, RescaleSlope="1.5e37")])).unwrap()
    assert large.array.dtype == np.float64
    assert large.array[0, 0, 0] == 4000 * 1.5e37
