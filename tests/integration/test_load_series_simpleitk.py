"""For ordinary series, voxels and geometry are those of SimpleITK.ImageSeriesReader, exactly."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.itk import LoadedSeries, load_series
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from tests.integration.made_series import in_files, in_memory, made_slice, made_slices

sitk: Any = pytest.importorskip("SimpleITK")

SHIPPED = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"
"""Series that pydicom's wheel brings along."""

ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "axial, feet first": (-1, 0, 0, 0, 1, 0),
    "axial, prone": (-1, 0, 0, 0, -1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "coronal, rows upward": (0, 0, 1, 1, 0, 0),
    "oblique, exact in decimals": PhantomSpec().orientation,
    "doubly oblique, rounded": (0.730682, 0.681383, 0.042686, -0.615445, 0.630329, 0.473195),
}


def read_by_simple_itk(folder: Path, series_instance_uid: str = "") -> Any:
    """Read a series as SimpleITK's users do."""
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series_instance_uid)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    return reader.Execute()


def assert_same(series: LoadedSeries, image: Any) -> None:
    """Compare with no tolerance at all."""
    assert np.array_equal(series.array, sitk.GetArrayViewFromImage(image))
    for ask in ("GetSize", "GetOrigin", "GetSpacing", "GetDirection"):
        assert getattr(series.image, ask)() == getattr(image, ask)()
    assert series.geometry.direction == image.GetDirection()
    assert series.geometry.spacing == image.GetSpacing()


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=list(ORIENTATIONS))
def test_the_phantom_in_eight_orientations(orientation: tuple[float, ...], tmp_path: Path) -> None:
    """Shuffled files of an asymmetrical body, fractions of Hounsfield units."""
    spec = PhantomSpec(
        slices=9,
        rows=40,
        columns=32,
        pixel_spacing=(7.3, 6.1),
        slice_spacing=9.7,
        orientation=orientation,
        shuffle_seed=11,
    )
    phantom = make_phantom(spec).unwrap()
    in_files(phantom.instances, tmp_path)
    series = load_series(tmp_path).unwrap()
    assert_same(series, read_by_simple_itk(tmp_path))
    assert np.array_equal(series.array, phantom.truth.hounsfield())
    assert series.sop_instance_uids == phantom.truth.sop_instance_uids
    image: Any = series.image  # only partly annotated
    for landmark in phantom.truth.landmarks:
        voxel = image.TransformPhysicalPointToIndex(landmark.point)
        assert voxel == landmark.index
        assert image[voxel] == landmark.hounsfield


def test_a_ct_series_from_pydicom() -> None:
    """Five axial slices of 16-bit signed values with an intercept of −1024."""
    series = load_series(SHIPPED / "98892001" / "CT5N").unwrap()
    assert series.array.shape == (5, 16, 16)
    assert series.array.dtype == np.int16
    assert_same(series, read_by_simple_itk(SHIPPED / "98892001" / "CT5N"))


def test_a_series_within_a_messy_folder() -> None:
    """Among directories, read-me files and eleven other series, all of it in the report."""
    uid = "1.3.6.1.4.1.5962.1.1.0.0.0.1194734704.16302.0.6"
    series = load_series(SHIPPED, series_instance_uid=uid).unwrap()
    assert_same(series, read_by_simple_itk(SHIPPED / "98892001" / "CT5N"))
    reasons = {Path(one.name).name: one.reason for one in series.report.skipped}
    assert reasons["DICOMDIR"] == "a DICOMDIR, which holds no image"
    assert "not DICOM" in reasons["README.txt"]
    assert reasons["4919"].startswith("MR Image Storage of another series")
    left_out = len(series.report.skipped) - 20
    assert f"Skipped      and {left_out} more" in str(series.report).splitlines()


@pytest.mark.parametrize("number", ["15820", "4919", "5641"])
def test_mr_slices_from_pydicom(number: str) -> None:
    """Sagittal MR series of one slice, with neither slope nor intercept.

    SimpleITK takes 1 mm as the spacing along the normal; ours is that of the attributes.
    """
    path = SHIPPED / "98892003" / "MR1" / number
    series = load_series(path).unwrap()
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path)])
    image = reader.Execute()
    dataset = pydicom.dcmread(path)
    expected = dataset.get("SpacingBetweenSlices") or dataset.SliceThickness
    image.SetSpacing((*image.GetSpacing()[:2], float(expected)))
    assert_same(series, image)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("slope", "intercept"), [("1", "-1024"), ("2", "7"), ("0.1", "-3.3")])
def test_values_of_every_width_and_sign(
    bits: int, signed: bool, slope: str, intercept: str, tmp_path: Path
) -> None:
    """Our single precision is SimpleITK's double precision rounded once, our integers are its."""
    allocated = 8 if bits == 8 else 16
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    dtype = np.dtype(f"{'i' if signed else 'u'}{allocated // 8}")
    values = np.linspace(low, high, 3 * 12).round().astype(dtype).reshape(3, 3, 4)
    attributes: dict[str, Any] = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    attributes |= {"BitsStored": bits, "HighBit": bits - 1}
    in_files(in_memory([made_slice(n, values[n], **attributes) for n in range(3)]), tmp_path)
    series = load_series(tmp_path).unwrap()
    theirs = sitk.GetArrayFromImage(read_by_simple_itk(tmp_path))
    assert np.array_equal(series.array, theirs.astype(series.array.dtype))
    if series.array.dtype.kind == "i":
        assert np.array_equal(series.array, theirs)


def test_a_hole_that_simple_itk_reads_across() -> None:
    """Four slices, one of them 202.5 mm away: SimpleITK makes steps of 68 mm of it."""
    folder = SHIPPED / "77654033" / "CT2"
    uid = "1.3.6.1.4.1.5962.1.1.0.0.0.1196530851.28319.0.2"
    error = load_series(folder, series_instance_uid=uid).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "161 slices are missing, the usual step being 1.25 mm" in error.message
    assert "CT2/" in error.message
    assert read_by_simple_itk(folder, uid).GetSpacing()[2] == pytest.approx(205 / 3)


def test_localisers_from_pydicom_are_refused() -> None:
    """Three projections around the head are one series, and no volume."""
    error = load_series(SHIPPED / "98892003" / "MR700").failure()
    assert "different values of ImageOrientationPatient (0020,0037)" in error.message


def test_slopes_that_differ_where_simple_itk_takes_the_first(tmp_path: Path) -> None:
    """Each slice is rescaled by its own slope; the type is decided over all of them."""
    datasets = made_slices(3)
    datasets[2].RescaleSlope = "1.5"
    in_files(in_memory(datasets), tmp_path)
    series = load_series(tmp_path).unwrap()
    assert series.array[2, 0].tolist() == [300, 301.5, 303, 304.5]


@pytest.mark.parametrize("memory", ["on_demand", "shared"])
def test_a_series_can_go_to_another_process(memory: Any) -> None:
    """Pickled or copied, it has its values, and an image of its own."""
    series = load_series(in_memory(made_slices(3)), image_memory=memory).unwrap()
    for other in (pickle.loads(pickle.dumps(series)), copy.deepcopy(series)):  # noqa: S301
        assert_same(other, series.image)
        assert other.image is not series.image
        assert other.report == series.report
