"""Ordinary series become exactly the volume that their attributes describe."""

from __future__ import annotations

import gc
import random
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import RLELossless

from pacs_sdk.core import ErrorCode
from pacs_sdk.encoding import TransferSyntax, all_transfer_syntaxes, read_file
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.integration.itk import LoadedVolume, load_series, load_volume
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from tests.integration.made_series import ROWS_COLUMNS, in_files, in_memory, made_slice, made_slices

NATIVE = [syntax for syntax in all_transfer_syntaxes() if not syntax.encapsulated]


def loaded(source: object, **options: object) -> LoadedVolume:
    """Load what must be loadable."""
    return load_volume(source, **options).unwrap()  # type: ignore[arg-type]


# -- order and geometry -------------------------------------------------------------------


def test_slices_are_ordered_by_position_alone() -> None:
    """Shuffled slices whose Instance Numbers are all the same come out in order."""
    instances = in_memory(made_slices(7, InstanceNumber=1))
    random.Random(4).shuffle(instances)
    volume = loaded(instances)
    assert volume.array[:, 0, 0].tolist() == [0, 100, 200, 300, 400, 500, 600]
    assert volume.sop_instance_uids == tuple(f"1.2.3.4.{number}" for number in range(1, 8))


def test_slices_run_along_the_cross_product_of_row_and_column() -> None:
    """With rows to the right and columns to the back the normal points to the feet."""
    orientation = ["-1", "0", "0", "0", "1", "0"]
    volume = loaded(in_memory(made_slices(3, ImageOrientationPatient=orientation)))
    assert volume.array[:, 0, 0].tolist() == [200, 100, 0]
    assert volume.geometry.origin == (-10, 20, 0)
    assert volume.geometry.direction == (-1, 0, 0, 0, 1, 0, 0, 0, -1)


def test_pixel_spacing_is_between_rows_then_between_columns() -> None:
    """Pixel Spacing 0.5 and 0.625 is y then x (PS3.3 10.7.1.3); the volume's spacing is x, y, z."""
    geometry = loaded(in_memory(made_slices(3))).geometry
    assert geometry.spacing == (0.625, 0.5, 2.5)
    assert geometry.size == (4, 3, 3)
    assert geometry.origin == (-10, 20, -5)


def test_numbers_are_compared_not_their_text() -> None:
    """0.625000 in one header and 6.25e-1 in another are one spacing."""
    datasets = made_slices(3)
    datasets[1].PixelSpacing = ["0.500000", "6.25e-1"]
    assert loaded(in_memory(datasets)).geometry.spacing == (0.625, 0.5, 2.5)


@pytest.mark.parametrize("jitter", [1e-14, 1e-6, 0.02])
def test_a_little_jitter_is_accepted_and_reported(jitter: float) -> None:
    """A slice off its place by less than a hundredth of a step changes nothing but the report."""
    datasets = made_slices(9)
    datasets[4].ImagePositionPatient[2] = f"{5 + jitter:.14f}"
    report = loaded(in_memory(datasets)).report
    assert report.geometry.spacing[2] == pytest.approx(2.5)
    assert report.spacing is not None
    assert report.spacing.largest_displacement == pytest.approx(jitter, abs=1e-12)
    assert report.spacing.jitter == pytest.approx(jitter / 2.5, abs=1e-12)


@pytest.mark.parametrize("stated", ["-2.5", "9"])
def test_positions_decide_about_spacing(stated: str) -> None:
    """A negative or wrong SpacingBetweenSlices does not matter, and the report says so."""
    volume = loaded(in_memory(made_slices(3, SpacingBetweenSlices=stated)))
    assert volume.geometry.spacing[2] == 2.5
    assert any("SpacingBetweenSlices (0018,0088)" in note for note in volume.report.notes)


def test_doubts_are_noted() -> None:
    """Two slices can't show a gap; without a frame of reference nothing can be related."""
    notes = loaded(in_memory(made_slices(2, FrameOfReferenceUID=None))).report.notes
    assert [note.split(":")[0] for note in notes] == [
        "two slices only",
        "no FrameOfReferenceUID (0020,0052)",
    ]


@pytest.mark.parametrize(
    ("changes", "expected", "tag"),
    [
        ({"SpacingBetweenSlices": "3"}, 3.0, "(0018,0088)"),
        ({"SpacingBetweenSlices": "-3"}, 2.5, "(0018,0050)"),
        ({}, 2.5, "(0018,0050)"),
    ],
)
def test_a_single_slice_takes_its_spacing_from_an_attribute(
    changes: dict[str, object], expected: float, tag: str
) -> None:
    """It has no neighbour to measure by, so the report flags where the number came from."""
    volume = loaded(in_memory([made_slice(0, **changes)]))  # type: ignore[arg-type]
    assert volume.array.shape == (1, 3, 4)
    assert volume.geometry.spacing[2] == expected
    assert volume.report.spacing is None
    assert any(tag in note for note in volume.report.notes)


# -- values ---------------------------------------------------------------------------------


def test_whole_rescaling_gives_int16() -> None:
    """Slope 1 and intercept −1024 stay whole numbers of 16 bits."""
    volume = loaded(in_memory(made_slices(2, RescaleIntercept="-1024")))
    assert volume.array.dtype == np.int16
    assert volume.array[1, 0].tolist() == [-924, -923, -922, -921]
    assert volume.report.value_range == (-1024, -913)
    assert volume.report.value_unit == "HU"


def test_values_beyond_16_bits_give_int32() -> None:
    """One value of 65535 in the last slice makes the whole volume int32."""
    last = np.full((3, 4), 0xFFFF, np.uint16)
    first = np.zeros((3, 4), np.uint16)
    volume = loaded(in_memory([made_slice(0, first), made_slice(1, last)]))
    assert volume.array.dtype == np.int32
    assert volume.array[:, 0, 0].tolist() == [0, 65535]


def test_the_type_is_decided_over_all_slices() -> None:
    """A first slope that is a whole number does not truncate the fractions of the next."""
    datasets = made_slices(3)
    datasets[1].RescaleSlope = "0.5"
    datasets[2].RescaleSlope = "0.25"
    volume = loaded(in_memory(datasets))
    assert volume.array.dtype == np.float32
    assert volume.array[:, 0, 1].tolist() == [1, 50.5, 50.25]
    assert "each slice its own" in volume.report.rescale


def test_tiny_slopes_keep_their_precision() -> None:
    """PET slopes near 1e-8 give values right to the last bit of single precision."""
    stored = np.array([[1, 2, 3, 32767]] * 3, np.int16)
    datasets = [
        made_slice(number, stored, RescaleSlope=slope, RescaleIntercept=None, Modality="PT")
        for number, slope in enumerate(("1.2345678e-08", "3.14159e-08"))
    ]
    expected = np.float32(stored[0] * np.array([[1.2345678e-08], [3.14159e-08]]))
    assert np.array_equal(loaded(in_memory(datasets)).array[:, 0], expected)


def test_more_than_24_bits_with_fractions_give_double_precision() -> None:
    """32-bit dose grids would lose digits in single precision."""
    stored = np.full((3, 4), 0xFFFFFFFF, np.uint32)
    volume = loaded(in_memory([made_slice(0, stored, RescaleSlope="1e-6")]))
    assert volume.array.dtype == np.float64
    assert volume.array[0, 0, 0] == 0xFFFFFFFF * 1e-6


def test_absent_rescaling_leaves_the_stored_values() -> None:
    """MR images often have neither slope nor intercept."""
    datasets = made_slices(2, RescaleSlope=None, RescaleIntercept=None, Modality="MR")
    volume = loaded(in_memory(datasets))
    assert volume.array[1, 0].tolist() == [100, 101, 102, 103]
    assert volume.report.rescale.startswith("none stated")


def test_bits_above_bits_stored_are_no_part_of_the_value() -> None:
    """Overlays in the upper four of 16 bits are cleared; 12-bit numbers keep their sign."""
    unsigned = np.array([[0xF123] * 4] * 3, np.uint16)
    twelve_bits = {"BitsStored": 12, "HighBit": 11}
    assert loaded(in_memory([made_slice(0, unsigned, **twelve_bits)])).array[0, 0, 0] == 0x123
    signed = np.array([[0x0FFF] * 4] * 3, np.int16)  # -1 in 12 bits, not sign-extended
    assert loaded(in_memory([made_slice(0, signed, **twelve_bits)])).array[0, 0, 0] == -1


def test_eight_bit_images_are_loaded() -> None:
    """Pixels of one byte, an odd number of them, padded."""
    values = np.arange(9, dtype=np.uint8).reshape(3, 3) + np.uint8(240)
    padded = values.tobytes() + b"\0"
    assert np.array_equal(
        loaded(in_memory([made_slice(0, values, PixelData=padded)])).array[0], values
    )


@given(
    stored=st.lists(st.integers(0, 0xFFFF), min_size=12, max_size=12),
    signed=st.booleans(),
    slope=st.sampled_from([-3, -1, 1, 2, 40000]),
    intercept=st.sampled_from([0, -1024, 40000, -32768, -(2**31), 1.5]),
)
def test_values_are_stored_value_times_slope_plus_intercept(
    stored: list[int], signed: bool, slope: int, intercept: float
) -> None:
    """Whatever type is chosen, and even where intermediate results wrap around."""
    pixels = np.array(stored, np.uint16).reshape(3, 4).view(np.int16 if signed else np.uint16)
    dataset = made_slice(0, pixels, RescaleSlope=str(slope), RescaleIntercept=str(intercept))
    volume = loaded(in_memory([dataset]))
    expected = [int(value) * slope + Fraction(intercept) for value in pixels.ravel()]
    if volume.array.dtype == np.float32:
        assert intercept == 1.5
        rounded = np.array([float(value) for value in expected], np.float32)
        assert volume.array.ravel().tolist() == rounded.tolist()
    else:
        assert [Fraction(value) for value in volume.array.ravel().tolist()] == expected
    assert volume.report.value_range == (volume.array.min(), volume.array.max())


# -- sources ----------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
def test_every_native_encoding_gives_the_same_volume(syntax: TransferSyntax) -> None:
    """Implicit, explicit, big endian and deflated data sets hold the same slices."""
    datasets = made_slices(3)
    if not syntax.little_endian:
        for dataset in datasets:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
            dataset.set_original_encoding(False, False)
    expected = loaded(in_memory(made_slices(3))).array
    assert np.array_equal(loaded(in_memory(datasets, syntax)).array, expected)


def test_compressed_slices_are_decoded() -> None:
    """RLE slices give the same volume as native ones."""
    datasets = made_slices(3)
    for dataset in datasets:
        pixels = np.frombuffer(dataset.PixelData, "<i2").reshape(ROWS_COLUMNS)
        dataset.compress(RLELossless, pixels, generate_instance_uid=False)
    rle = next(s for s in all_transfer_syntaxes() if s.uid == RLELossless)
    expected = loaded(in_memory(made_slices(3))).array
    assert np.array_equal(loaded(in_memory(datasets, rle)).array, expected)


def test_a_folder_is_searched_to_its_depths(tmp_path: Path) -> None:
    """Files lie in folders within folders; what is not DICOM is skipped with the reason."""
    first, second = in_memory(made_slices(4))[:2], in_memory(made_slices(4))[2:]
    in_files(first, tmp_path / "a" / "b")
    in_files(second, tmp_path / "c")
    (tmp_path / "README.txt").write_text("Notes about this patient, kept with the images.")
    volume = loaded(tmp_path)
    assert volume.array[:, 0, 0].tolist() == [0, 100, 200, 300]
    (skipped,) = volume.report.skipped
    assert skipped.name.endswith("README.txt")
    assert "not DICOM" in skipped.reason


def test_sources_of_every_kind_give_the_same(tmp_path: Path) -> None:
    """A folder as text or path; paths; contents of files; instances; a mixture of these."""
    instances = in_memory(made_slices(3))
    paths = in_files(instances, tmp_path)
    contents = [path.read_bytes() for path in paths]
    sources = [
        str(tmp_path),
        tmp_path,
        paths,
        map(str, paths),
        contents,
        instances,
        iter(instances),
    ]
    sources.append([paths[0], contents[1], instances[2]])
    expected = loaded(instances).array
    assert all(np.array_equal(loaded(source).array, expected) for source in sources)
    assert np.array_equal(loaded(paths[1]).array, expected[1:2])
    assert np.array_equal(loaded(instances[1]).array, expected[1:2])
    assert np.array_equal(loaded(read_file(paths[1]).unwrap()).array, expected[1:2])


def test_one_of_several_series_is_chosen_by_its_uid() -> None:
    """The objects of the others are reported as skipped."""
    other = made_slices(2, SeriesInstanceUID="1.2.3.5", RescaleIntercept="7")
    instances = in_memory(made_slices(3)) + in_memory(other)
    volume = loaded(instances, series_instance_uid="1.2.3.5")
    assert volume.array[0, 0, 0] == 7
    assert len(volume.report.skipped) == 3
    assert "CT Image Storage of another series, 1.2.3.4" in volume.report.skipped[0].reason


def test_objects_without_pixels_do_not_make_a_series_ambiguous() -> None:
    """A dose report that lies in the same folder is skipped with its kind."""
    report = made_slice(9, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67", SeriesInstanceUID="1.2.9")
    del report.Rows, report.PixelData
    volume = loaded(in_memory([*made_slices(3), report]))
    assert [one.reason for one in volume.report.skipped] == [
        "X-Ray Radiation Dose SR Storage, which is no image"
    ]


# -- duplicates and broken files --------------------------------------------------------------


def test_exact_duplicates_are_dropped_and_reported() -> None:
    """The same instance twice, or the same image under another UID, adds no slice."""
    copy = made_slice(1, SOPInstanceUID="1.2.3.4.99")
    volume = loaded(in_memory([*made_slices(3), made_slice(2), copy]))
    assert volume.array[:, 0, 0].tolist() == [0, 100, 200]
    reasons = sorted(one.reason for one in volume.report.duplicates)
    assert reasons == [
        "the same SOP Instance UID and image as instance 1.2.3.4.3",
        "the same image and place as instance 1.2.3.4.2",
    ]


def test_a_broken_file_is_skipped_only_on_request(tmp_path: Path) -> None:
    """Without strict the reason stands in the report; never is it left out silently."""
    paths = in_files(in_memory(made_slices(4)), tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:-10])
    assert load_volume(tmp_path).failure().code is ErrorCode.TRUNCATED
    volume = loaded(tmp_path, strict=False)
    assert volume.array.shape[0] == 3
    assert [one.name for one in volume.report.skipped] == [str(paths[3])]
    assert "Pixel" in volume.report.skipped[0].reason or "7FE0" in volume.report.skipped[0].reason


def test_an_unusable_object_of_the_series_is_skipped_only_on_request() -> None:
    """A colour image among the slices is an error, unless skipping it is asked for."""
    colour = made_slice(
        3, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )
    instances = in_memory([*made_slices(3), colour])
    assert load_volume(instances).failure().code is ErrorCode.SERIES_NOT_LOADABLE
    volume = loaded(instances, strict=False)
    assert volume.array.shape[0] == 3
    assert "PhotometricInterpretation (0028,0004) RGB" in volume.report.skipped[0].reason


# -- what comes out ---------------------------------------------------------------------------


def test_the_report_prints_as_a_table() -> None:
    """Every line has a name and words; HTML is escaped."""
    report = loaded(in_memory(made_slices(3, PixelPaddingValue=-2000))).report
    lines = str(report).splitlines()
    assert lines[0].split() == ["Series", "1.2.3.4"]
    assert "Spacing      0.625 × 0.5 × 2.5 mm" in lines
    assert any("PixelPaddingValue (0028,0120) is -2000" in line for line in lines)
    assert report.slice_count == 3
    assert "Made &lt;up&gt;" in report._repr_html_()
    assert report._repr_html_().count("<tr>") == len(lines)


def test_the_image_and_the_array_are_one_memory() -> None:
    """On request no voxel is copied, and the array outlives the image's name."""
    pytest.importorskip("SimpleITK")
    series = load_series(in_memory(made_slices(3)), image_memory="shared").unwrap()
    image: Any = series.image  # only partly annotated
    assert image.GetSize() == (4, 3, 3)
    assert image[3, 2, 1] == series.array[1, 2, 3] == 111
    image[3, 2, 1] = 5
    array = series.array
    assert not array.flags.writeable
    del series, image
    gc.collect()
    assert array[1, 2, 3] == 5


def test_the_image_is_made_once() -> None:
    """By default it is a copy, made when it is first asked for, and then the same always."""
    sitk: Any = pytest.importorskip("SimpleITK")
    series = load_series(in_memory(made_slices(3))).unwrap()
    assert series.image is series.image
    assert np.array_equal(sitk.GetArrayViewFromImage(series.image), series.array)


def test_a_series_shows_itself_in_a_notebook() -> None:
    """A PNG picture and one line of words."""
    pytest.importorskip("SimpleITK")
    series = load_series(
        make_phantom(PhantomSpec(slices=4, rows=16, columns=16)).unwrap().instances
    )
    picture = series.unwrap()._repr_png_()
    assert picture is not None
    assert picture.startswith(b"\x89PNG")
    assert repr(series.unwrap()) == (
        "<LoadedSeries CT: 16 × 16 × 4 voxels of 0.7 × 0.75 × 2.5 mm, float32>"
    )


def test_a_volume_of_one_value_has_a_preview() -> None:
    """No window can be found in it, and still there is a picture."""
    flat = [made_slice(number, np.zeros((3, 4), np.int16), Modality="MR") for number in range(3)]
    assert loaded(in_memory(flat)).preview().unwrap().startswith(b"\x89PNG")


def test_loading_needs_simpleitk_only_for_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it load_series says what to install, and load_volume works."""
    monkeypatch.setitem(sys.modules, "SimpleITK", None)  # importing it now raises ImportError
    instances = in_memory(made_slices(3))
    error = load_series(instances).failure()
    assert error.code is ErrorCode.MISSING_DEPENDENCY
    assert "pip install 'pacs-sdk[itk]'" in error.message
    assert load_volume(instances).unwrap().array.shape == (3, 3, 4)


def test_the_syntax_default_is_what_tests_rely_on() -> None:
    """Instances made for these tests are Explicit VR Little Endian, the laid-over path."""
    (instance,) = in_memory(made_slices(1))
    assert instance.syntax == EXPLICIT_VR_LITTLE_ENDIAN
