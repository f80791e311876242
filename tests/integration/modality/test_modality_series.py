"""Series of one modality: the right one of a messy folder, in the right unit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode, PacsError, Result
from pacs_sdk.encoding import Instance
from pacs_sdk.integration.itk import LoadedSeries, LoadOptions
from pacs_sdk.integration.modality import load_ct_series, load_mr_series, load_pet_series
from pacs_sdk.storage import Query, open_archive
from tests.integration.made_series import in_files, in_memory, made_slices
from tests.integration.segmentation.made_seg import dataset_with

sitk = pytest.importorskip("SimpleITK")


def pet_slices(**changes: object) -> list[pydicom.Dataset]:
    """Make four PET slices whose dose has halved, and whose slopes differ."""
    given = dataset_with(
        RadiopharmaceuticalStartTime="100000",
        RadionuclideTotalDose="370000000",
        RadionuclideHalfLife="3600",
    )
    attributes: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.128",
        "Modality": "PT",
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN"],
        "SeriesDate": "20240229",
        "SeriesTime": "110000",
        "AcquisitionDate": "20240229",
        "AcquisitionTime": "111000",
        "PatientWeight": "74",
        "RadiopharmaceuticalInformationSequence": [given],
        "SeriesInstanceUID": "1.2.3.9",
    } | changes
    slices = made_slices(4, **attributes)
    for number, one in enumerate(slices):
        one.RescaleSlope = f"{2 + number}"
        one.SOPInstanceUID = f"1.2.3.9.{number + 1}"
    return slices


STORED = np.stack([np.arange(12).reshape(3, 4) + 100 * number for number in range(4)])
BQ_ML = STORED * np.array([2, 3, 4, 5])[:, None, None]
"""What the slices of :func:`pet_slices` hold."""


def test_suv_of_a_series() -> None:
    """74,000 g over 185 MBq is 0.0004 for each Bq/ml, whatever the slope of the slice."""
    series = load_pet_series(in_memory(pet_slices())).unwrap()
    assert series.array.dtype == np.float32
    assert series.array == pytest.approx(BQ_ML * 0.0004, rel=1e-6)
    assert series.report.value_unit == "g/ml{SUVbw}"
    assert "3600 s" in series.report.rescale
    assert series.image[0, 0, 1] == pytest.approx(300 * 0.0004)
    assert not series.array.flags.writeable


def test_activities_and_other_types() -> None:
    """Without SUV the values stay in Bq/ml; another type needs what it needs."""
    instances = in_memory(pet_slices())
    assert np.array_equal(load_pet_series(instances, suv=None).unwrap().array, BQ_ML)
    error = load_pet_series(instances, suv="LBMJANMA").failure()
    assert error.code is ErrorCode.MISSING_REQUIRED_VALUE
    assert error.details["keyword"] == "PatientSize"
    assert load_pet_series(instances, suv="SUL").failure().code is ErrorCode.INVALID_ARGUMENT


def test_frames_that_were_not_corrected_for_decay() -> None:
    """Slices acquired one half-life apart, not corrected: the later one's factor is double."""
    slices = pet_slices(DecayCorrection="NONE", CorrectedImage="ATTN", ActualFrameDuration="1000")
    for one in slices[2:]:
        one.AcquisitionTime = "121000"
    series = load_pet_series(in_memory(slices)).unwrap()
    factors = series.array[:, 1, 1] / BQ_ML[:, 1, 1]
    assert factors[2] / factors[0] == pytest.approx(2)
    assert factors[1] == pytest.approx(factors[0])
    assert "each slice its own, ×" in series.report.rescale


def test_the_series_of_a_modality_among_others(tmp_path: Path) -> None:
    """In a folder of CT, PET and MR each function finds its own series."""
    in_files(in_memory(made_slices(3, RescaleIntercept="-1024")), tmp_path / "a")
    in_files(in_memory(pet_slices()), tmp_path / "b")
    mr = made_slices(5, Modality="MR", SeriesInstanceUID="1.2.3.8")
    for number, one in enumerate(mr):
        one.SOPInstanceUID = f"1.2.3.8.{number + 1}"
    in_files(in_memory(mr), tmp_path / "c")
    assert load_ct_series(tmp_path).unwrap().array[0, 0, 0] == -1024
    assert load_pet_series(tmp_path).unwrap().report.modality == "PT"
    assert load_mr_series(tmp_path).unwrap().report.slice_count == 5
    assert load_mr_series(tmp_path, series_instance_uid="1.2.3.8").unwrap().array.shape[0] == 5
    error = load_mr_series(tmp_path, series_instance_uid="1.2.3.4").failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "CT" in error.message


def test_what_is_not_there() -> None:
    """Without such a series the error says which modalities there are."""
    instances = in_memory(made_slices(2))
    assert "the modalities are: CT" in load_pet_series(instances).failure().message
    assert "no DICOM object" in load_ct_series([]).failure().message


def test_ct_in_other_units() -> None:
    """A CT whose Rescale Type is not HU has no Hounsfield units."""
    instances = in_memory(made_slices(2, RescaleType="US"))
    assert load_ct_series(instances).failure().code is ErrorCode.INVALID_ARGUMENT


def test_ct_of_which_some_slices_are_in_other_units() -> None:
    """What the first one says does not hold for all."""
    slices = made_slices(2, RescaleType="HU")
    slices[1].RescaleType = "US"
    error = load_ct_series(in_memory(slices)).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "not the same in all slices" in error.message


def test_ct_without_a_rescale_slope() -> None:
    """The error names what is missing."""
    slices = made_slices(2, RescaleSlope=None, RescaleIntercept=None)
    error = load_ct_series(in_memory(slices)).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "Rescale Slope (0028,1053) is missing" in error.message


def test_settings_go_through() -> None:
    """Other arguments are those of load_series."""
    error = load_ct_series(in_memory(made_slices(2)), max_volume_bytes=1).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED


def test_values_that_are_no_activity() -> None:
    """Stored values have no SUV."""
    error = load_pet_series(in_memory(pet_slices()), rescale="none").failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


def gappy_pet(**changes: object) -> list[Instance]:
    """Make a series of which the last slice but one is missing."""
    slices = pet_slices(**changes)
    slices[3].ImagePositionPatient[2] = "5"
    return in_memory(slices)


def test_what_is_put_in_is_suv() -> None:
    """A value for padding or for a missing slice is the SUV that was asked for."""
    instances = gappy_pet(PixelPaddingValue=5)
    series = load_pet_series(instances, padding=-2.5, on_gap="fill", fill_value=-1.5).unwrap()
    expected = np.insert(BQ_ML * 0.0004, 3, -1.5, axis=0)
    expected[0, 1, 1] = -2.5  # the only 5 that is stored
    assert series.array.dtype == np.float32
    assert series.array == pytest.approx(expected, rel=1e-6)
    assert series.report.value_range[0] == -2.5
    masked = load_pet_series(instances, padding="mask", on_gap="fill").unwrap()
    assert masked.mask is not None
    assert masked.mask.sum() == 4 * 12 - 1
    assert not masked.array[3].any()  # the smallest value there is


def test_slices_between_others_of_another_factor() -> None:
    """What is interpolated is the mean of the SUV, each computed by its own factor."""
    instances = gappy_pet(DecayCorrection="NONE", CorrectedImage="ATTN", ActualFrameDuration="1000")
    later = instances[3].dataset().unwrap().pydicom
    later.AcquisitionTime = "121000"
    instances[3:] = in_memory([later])
    suv = load_pet_series(instances, on_gap="interpolate").unwrap().array
    activity = load_pet_series(instances, on_gap="interpolate", suv=None).unwrap().array
    assert (suv[4] / activity[4])[1, 1] == pytest.approx(2 * (suv[2] / activity[2])[1, 1])
    assert suv[3] == pytest.approx((suv[2] + suv[4]) / 2, rel=1e-6)


def test_suv_in_the_memory_of_the_image() -> None:
    """With ``image_memory="shared"`` the array lies over the image's memory, as elsewhere."""
    series = load_pet_series(in_memory(pet_slices()), image_memory="shared").unwrap()
    assert np.shares_memory(sitk.GetArrayViewFromImage(series.image), series.array)
    assert series.array == pytest.approx(BQ_ML * 0.0004, rel=1e-6)


def test_values_that_are_suv_already() -> None:
    """Whole slopes and a factor of 1 give single precision all the same, also in the image."""
    for memory in ("on_demand", "shared"):
        series = load_pet_series(in_memory(pet_slices(Units="GML")), image_memory=memory).unwrap()
        assert series.array.dtype == np.float32
        assert np.array_equal(series.array, BQ_ML)
        assert np.array_equal(sitk.GetArrayFromImage(series.image), series.array)
        assert series.report.value_type == "float32"


@pytest.mark.parametrize(
    ("load", "changes"),
    [
        (load_ct_series, {}),
        (load_mr_series, {"Modality": "MR"}),
        (load_pet_series, {"Modality": "PT"}),
    ],
)
def test_a_file_that_is_cut_short(
    load: Callable[..., Result[LoadedSeries, PacsError]], changes: dict[str, object], tmp_path: Path
) -> None:
    """It is an error as of ``load_series``; ``strict=False`` leaves it out and says so."""
    slices = pet_slices(**changes) if load is load_pet_series else made_slices(4, **changes)
    paths = in_files(in_memory(slices), tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:-4])
    error = load(tmp_path).failure()
    assert error.code is ErrorCode.TRUNCATED
    assert str(paths[3]) in error.message
    report = load(tmp_path, strict=False).unwrap().report
    assert report.slice_count == 3
    (skipped,) = report.skipped
    assert skipped.name == str(paths[3])
    assert "7FE0,0010" in skipped.reason


@pytest.mark.parametrize("load", [load_ct_series, load_pet_series])
def test_images_that_cannot_be_slices(
    load: Callable[..., Result[LoadedSeries, PacsError]],
) -> None:
    """They are an error, or left out and listed; where nothing is left it is an error again."""
    slices = made_slices(3) if load is load_ct_series else pet_slices()[:3]
    del slices[2].PixelSpacing
    error = load(in_memory(slices)).failure()
    assert error.details["tag"] == "(0028,0030)"
    (skipped,) = load(in_memory(slices), strict=False).unwrap().report.skipped
    assert "(0028,0030)" in skipped.reason
    error = load(in_memory(slices[2:]), strict=False).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "(0028,0030)" in error.message


def test_what_was_left_out_is_listed(tmp_path: Path) -> None:
    """Other modalities, another series and files that are not DICOM are named with the reason."""
    in_files(in_memory(pet_slices()), tmp_path / "pet")
    in_files(in_memory(made_slices(1)), tmp_path / "ct")
    other = made_slices(1, Modality="PT", SeriesInstanceUID="1.2.3.8", SOPInstanceUID="1.2.3.8.1")
    in_files(in_memory(other), tmp_path / "other")
    (tmp_path / "notes.txt").write_text("This is not an image, but a note about one of them.")
    for suv in ("BW", None):
        report = load_pet_series(tmp_path, suv=suv, series_instance_uid="1.2.3.9").unwrap().report
        reasons = {Path(one.name).parent.name: one.reason for one in report.skipped}
        assert len(reasons) == len(report.skipped) == 3
        assert reasons["ct"] == "Modality (0008,0060) is CT, not PT"
        assert reasons["other"] == "of another series, 1.2.3.8"
        assert "DICOM" in reasons[tmp_path.name]


def test_absurd_values() -> None:
    """Values beyond single precision are refused, not infinite."""
    slices = pet_slices()
    slices[2].RescaleSlope = "1e45"
    error = load_pet_series(in_memory(slices)).failure()
    assert error.code is ErrorCode.VALUE_CONVERSION_FAILED
    assert "absurd" in error.message


def test_a_series_of_an_archive(tmp_path: Path) -> None:
    """An archive is asked for the series by its UID or a query."""
    with open_archive(tmp_path).unwrap() as archive:
        for instance in in_memory(pet_slices()):
            archive.store(instance).unwrap()
        query = Query.of("SERIES", Modality="PT").unwrap()
        series = load_pet_series(archive, query=query).unwrap()
        assert series.array == pytest.approx(BQ_ML * 0.0004, rel=1e-6)
        other = load_pet_series(archive, LoadOptions(series_instance_uid="1.2.3.9")).unwrap()
        assert np.array_equal(other.array, series.array)
