"""Series of one modality: the right one of a messy folder, in the right unit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.itk import LoadOptions
from pacs_sdk.integration.modality import load_ct_series, load_mr_series, load_pet_series
from pacs_sdk.storage import Query, open_archive
from tests.integration.made_series import in_files, in_memory, made_slices
from tests.integration.segmentation.made_seg import dataset_with

pytest.importorskip("SimpleITK")


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


def test_settings_go_through() -> None:
    """Other arguments are those of load_series."""
    error = load_ct_series(in_memory(made_slices(2)), max_volume_bytes=1).failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED


def test_values_that_are_no_activity() -> None:
    """Stored values have no SUV, and slices with factors of their own are not mixed."""
    error = load_pet_series(in_memory(pet_slices()), rescale="none").failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    slices = pet_slices(DecayCorrection="NONE", CorrectedImage="ATTN", ActualFrameDuration="1000")
    slices[3].AcquisitionTime = "121000"
    slices[3].ImagePositionPatient[2] = "5"  # one is missing before it
    instances = in_memory(slices)
    error = load_pet_series(instances, on_gap="interpolate").failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "factor" in error.message
    assert load_pet_series(instances, on_gap="interpolate", suv=None).unwrap().array.shape[0] == 5


def test_absurd_values() -> None:
    """Values beyond single precision are refused, not infinite."""
    error = load_pet_series(in_memory(pet_slices(PatientWeight="1e45"))).failure()
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
