"""NIfTI and NRRD files, against nibabel, SimpleITK and dcm2niix."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom.data
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.export import nifti_affine, write_nifti, write_nrrd
from pacs_sdk.integration.itk import Volume, VolumeAxis, VolumeGeometry, load_volume
from pacs_sdk.integration.modality import dataset_to_volumes
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from tests.integration.made_series import in_files, in_memory, made_slice
from tests.integration.modality.made_objects import made_cine

SHIPPED = Path(pydicom.data.__file__).parent / "test_files"

ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "axial, feet first": (-1, 0, 0, 0, 1, 0),
    "axial, prone": (-1, 0, 0, 0, -1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "coronal, rows upward": (0, 0, 1, 1, 0, 0),
    "oblique": PhantomSpec().orientation,
    "doubly oblique": (0.730682, 0.681383, 0.042686, -0.615445, 0.630329, 0.473195),
}

GRID = VolumeGeometry(
    (4, 3, 2), (10.0, 20.0, 30.0), (0.5, 0.75, 2.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
)
VALUES = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def read(path: Path) -> Any:
    """Read a file with nibabel."""
    return nibabel.load(path)


def test_an_affine_by_hand() -> None:
    """The voxel (0, 0, 0) is the first of the last row: x −10, y −(20 + 2 × 0.75), z 30 mm."""
    assert nifti_affine(GRID).tolist() == [
        [-0.5, 0, 0, -10],
        [0, 0.75, 0, -21.5],
        [0, 0, 2, 30],
        [0, 0, 0, 1],
    ]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_values_and_codes(ending: str, tmp_path: Path) -> None:
    """Values keep their type; both transforms say scanner coordinates in millimetres."""
    image = read(write_nifti(Volume(VALUES, GRID), tmp_path / f"v{ending}").unwrap())
    assert np.array_equal(np.asarray(image.dataobj), VALUES.T[:, ::-1])
    assert image.get_data_dtype() == np.int16
    assert image.affine == pytest.approx(nifti_affine(GRID))
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
    assert image.header.get_qform() == pytest.approx(nifti_affine(GRID))
    assert image.header.get_xyzt_units()[0] == "mm"
    assert [path.name for path in tmp_path.iterdir()] == [f"v{ending}"]


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int32", "int64", "float32", "float64", "bool"]
)
def test_types(dtype: str, tmp_path: Path) -> None:
    """Every type of numbers comes back; booleans are bytes."""
    values = (VALUES % 2).astype(dtype)
    image = read(write_nifti(Volume(values, GRID), tmp_path / "v.nii").unwrap())
    assert image.get_data_dtype() == (np.uint8 if dtype == "bool" else np.dtype(dtype))
    assert np.array_equal(np.asarray(image.dataobj), values.T[:, ::-1])


def test_four_dimensions_and_colour(tmp_path: Path) -> None:
    """Several volumes are a fourth axis; red, green and blue are RGB24."""
    several = np.stack([VALUES, VALUES + 100])
    axis = VolumeAxis(("EchoTime",), (("4",), ("9",)))
    image = read(write_nifti(Volume(several, GRID, axis=axis), tmp_path / "v.nii").unwrap())
    assert image.shape == (4, 3, 2, 2)
    assert np.array_equal(np.asarray(image.dataobj)[..., 1], VALUES.T[:, ::-1] + 100)
    colour = np.arange(72, dtype=np.uint8).reshape(2, 3, 4, 3)
    found = np.asarray(read(write_nifti(Volume(colour, GRID), tmp_path / "c.nii").unwrap()).dataobj)
    assert found[1, 2, 0]["G"] == colour[0, 0, 1, 1]
    error = write_nifti(Volume(colour.astype(np.uint16), GRID), tmp_path / "d.nii").failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("keyword", "values", "step"),
    [
        ("FrameTime", ("0", "40", "80"), 0.04),
        ("TriggerTime", ("5", "105", "205"), 0.1),
        ("TriggerTime", ("0", "100", "500"), None),
        ("FrameReferenceTime", ("1000", "3000", "5000"), 2.0),
        ("EchoTime", ("4", "9", "14"), None),
    ],
)
def test_the_time_between_volumes(
    keyword: str, values: tuple[str, ...], step: float | None, tmp_path: Path
) -> None:
    """Even times are the spacing of the fourth axis; anything else leaves it 1, without a unit."""
    axis = VolumeAxis((keyword,), tuple((value,) for value in values))
    volume = Volume(np.stack([VALUES] * 3), GRID, axis=axis)
    header = read(write_nifti(volume, tmp_path / "v.nii").unwrap()).header
    assert header.get_zooms() == pytest.approx((0.5, 0.75, 2.0, 1.0 if step is None else step))
    assert header.get_xyzt_units() == ("mm", "unknown" if step is None else "sec")


@pytest.mark.parametrize(
    ("acquisition", "times", "step"),
    [
        # gradient echoes of a whole volume: the repetition time is that of a line
        ("3D", ("120000", "120010", "120020"), 10.0),
        ("3D", ("235955.5", "000005.5", "000015.5"), 10.0),
        ("3D", ("120000", "120010", "120120"), None),
        ("3D", ("120000", "120000", "120000"), None),
        # positions that are counted against time
        ("3D", ("120020", "120010", "120000"), None),
        ("3D", ("", "", ""), None),
        # slices one by one: times say it, unless they are those of the series or too coarse
        ("2D", ("120000.00", "120002.50", "120005.00"), 2.5),
        ("2D", ("120000", "120000", "120000"), 2.2),
        ("2D", ("120000", "120002", "120004"), 2.2),
        ("2D", ("", "", ""), 2.2),
    ],
)
def test_the_time_between_counted_volumes(
    acquisition: str, times: tuple[str, ...], step: float | None, tmp_path: Path
) -> None:
    """Acquisition times tell it; else Repetition Time, but never that of a 3D acquisition."""
    slices = []
    for number in range(9):
        time, place = divmod(number, 3)
        one = made_slice(
            place,
            Modality="MR",
            RepetitionTime="5" if acquisition == "3D" else "2200",
            MRAcquisitionType=acquisition,
            TemporalPositionIdentifier=time + 1,
            AcquisitionTime=times[time],
        )
        one.SOPInstanceUID = f"1.2.3.4.{number + 1}"
        slices.append(one)
    volume = load_volume(in_memory(slices)).unwrap()
    header = read(write_nifti(volume, tmp_path / "v.nii").unwrap()).header
    assert header.get_zooms()[3] == pytest.approx(1.0 if step is None else step)
    assert header.get_xyzt_units()[1] == ("unknown" if step is None else "sec")


def test_frames_without_a_place_say_so(tmp_path: Path) -> None:
    """A loop of ultrasound has no scanner coordinates: both codes are 0."""
    (loop,) = dataset_to_volumes(made_cine(np.ones((2, 3, 4), np.uint8))).unwrap()
    image = read(write_nifti(loop, tmp_path / "v.nii").unwrap())
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (0, 0)


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    """Another ending or a missing folder is refused, and nothing is left behind."""
    volume = Volume(VALUES, GRID)
    for write, good in ((write_nifti, "v.nii"), (write_nrrd, "v.nrrd")):
        assert write(volume, tmp_path / "v.png").failure().code is ErrorCode.INVALID_ARGUMENT
        error = write(volume, tmp_path / "none" / good).failure()
        assert error.code is ErrorCode.FILE_WRITE_FAILED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_nrrd_and_meta_image(ending: str, tmp_path: Path) -> None:
    """SimpleITK reads back values and geometry, exactly."""
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.ReadImage(str(write_nrrd(Volume(VALUES, GRID), tmp_path / f"v{ending}").unwrap()))
    assert np.array_equal(sitk.GetArrayFromImage(image), VALUES)
    assert (image.GetOrigin(), image.GetSpacing()) == (GRID.origin, GRID.spacing)
    assert image.GetDirection() == GRID.direction


# -- dcm2niix ------------------------------------------------------------------------


def converted(program: Path, folder: Path, place: Path) -> Any:
    """Convert a folder by dcm2niix and read the only image that it makes."""
    place.mkdir()
    command = [str(program), "-b", "n", "-z", "n", "-f", "x", "-o", str(place), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (path,) = place.glob("*.nii")
    return read(path)


def assert_same_as_dcm2niix(program: Path, folder: Path, place: Path) -> None:
    """Compare voxels exactly, and the affine as exactly as single precision is."""
    theirs = converted(program, folder, place / "theirs")
    ours = read(write_nifti(load_volume(folder).unwrap(), place / "ours.nii").unwrap())
    assert ours.shape == theirs.shape
    assert np.array_equal(ours.get_fdata(), theirs.get_fdata())
    # Both are stored in single precision, and computed in it by dcm2niix.
    assert ours.affine == pytest.approx(theirs.affine, abs=1e-6 * np.abs(theirs.affine).max())
    for code in ("qform_code", "sform_code"):
        assert ours.header[code] == theirs.header[code]
    assert ours.header.get_zooms() == pytest.approx(theirs.header.get_zooms())


@pytest.mark.interop("dcm2niix")
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=list(ORIENTATIONS))
def test_the_phantom_as_dcm2niix(
    orientation: tuple[float, ...], dcm2niix: Path, tmp_path: Path
) -> None:
    """Eight orientations: the same voxels in the same order, the same affine."""
    spec = PhantomSpec(
        slices=9,
        rows=40,
        columns=32,
        pixel_spacing=(7.3, 6.1),
        slice_spacing=9.7,
        orientation=orientation,
        rescale_slope=1.0,
        shuffle_seed=11,
    )
    in_files(make_phantom(spec).unwrap().instances, tmp_path / "in")
    assert_same_as_dcm2niix(dcm2niix, tmp_path / "in", tmp_path)


SERIES = {
    "CT, five slices": "dicomdirtests/98892001/CT5N/*",
    "CT, one small slice": "CT_small.dcm",
    "MR, one small slice": "MR_small.dcm",
    "MR, an oblique slice": "dicomdirtests/98892003/MR700/4467",
    "MR, a localiser": "dicomdirtests/98892003/MR1/4919",
}


@pytest.mark.interop("dcm2niix")
@pytest.mark.parametrize("pattern", SERIES.values(), ids=list(SERIES))
def test_series_of_pydicom_as_dcm2niix(pattern: str, dcm2niix: Path, tmp_path: Path) -> None:
    """Series that ship inside pydicom: the same voxels and affine."""
    (tmp_path / "in").mkdir()
    for path in SHIPPED.glob(pattern):
        shutil.copy(path, tmp_path / "in")
    assert_same_as_dcm2niix(dcm2niix, tmp_path / "in", tmp_path)


@pytest.mark.interop("dcm2niix")
def test_a_time_series_as_dcm2niix(dcm2niix: Path, tmp_path: Path) -> None:
    """Three volumes in time: the same voxels and affine, and the repetition time as fourth step."""
    rng = np.random.default_rng(0)
    slices = []
    for number in range(15):
        volume, plane = divmod(number, 5)
        values = rng.integers(0, 1000, (12, 16)).astype(np.int16)
        one = made_slice(
            plane,
            values,
            SOPClassUID="1.2.840.10008.5.1.4.1.1.4",
            Modality="MR",
            ScanningSequence="EP",
            SequenceVariant="NONE",
            RepetitionTime="2000",
            EchoTime="30",
            TemporalPositionIdentifier=volume + 1,
            AcquisitionNumber=volume + 1,
            SpacingBetweenSlices="2.5",
        )
        one.SOPInstanceUID, one.InstanceNumber = f"1.2.3.4.{number + 1}", number + 1
        slices.append(one)
    in_files(in_memory(slices), tmp_path / "in")
    assert_same_as_dcm2niix(dcm2niix, tmp_path / "in", tmp_path)
    assert read(tmp_path / "ours.nii").header.get_zooms()[3] == 2.0
