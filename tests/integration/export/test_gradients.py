"""Diffusion gradients beside NIfTI files: by hand, and against dcm2niix."""

from __future__ import annotations

import subprocess
from pathlib import Path

import attrs
import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.export import write_gradients
from pacs_sdk.integration.itk import load_volume
from pacs_sdk.integration.phantom import PhantomSpec
from tests.integration.made_series import in_files, in_memory, made_slice, made_slices

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def diffusion_slices(
    weightings: list[tuple[float, tuple[float, float, float]]],
    orientation: tuple[float, ...] = AXIAL,
) -> list[pydicom.Dataset]:
    """Make four slices for each b-value and direction."""
    rng = np.random.default_rng(8)
    normal = np.cross(orientation[:3], orientation[3:])
    slices = []
    for volume, (b_value, direction) in enumerate(weightings):
        for plane in range(4):
            place = np.array([-10, 20, -5]) + 2.5 * plane * normal
            one = made_slice(
                plane,
                rng.integers(0, 1000, (12, 16)).astype(np.int16),
                SOPClassUID="1.2.840.10008.5.1.4.1.1.4",
                Modality="MR",
                Manufacturer="Philips Medical Systems",
                PatientPosition="HFS",
                ScanningSequence="EP",
                SequenceVariant="NONE",
                RepetitionTime="2000",
                EchoTime="30",
                SpacingBetweenSlices="2.5",
                ImageOrientationPatient=[f"{part:.8g}" for part in orientation],
                ImagePositionPatient=[f"{part:.8g}" for part in place],
                DiffusionBValue=b_value,
                DiffusionGradientOrientation=list(direction),
            )
            number = volume * 4 + plane + 1
            one.SOPInstanceUID, one.InstanceNumber = f"1.2.3.4.{number}", number
            slices.append(one)
    return slices


def table_of(path: Path) -> np.ndarray:
    """Read a file of numbers, a column for each volume."""
    return np.loadtxt(path, ndmin=2)


def test_directions_of_an_axial_series(tmp_path: Path) -> None:
    """To the left is along the columns, to the back against the rows upwards, to the head up."""
    weightings = [
        (0.0, (0.0, 0.0, 0.0)),
        (1000.0, (1.0, 0.0, 0.0)),
        (1000.0, (0.0, 1.0, 0.0)),
        (1000.0, (0.0, 0.0, 1.0)),
    ]
    volume = load_volume(in_memory(diffusion_slices(weightings))).unwrap()
    values, vectors = write_gradients(volume, tmp_path / "dwi.nii.gz").unwrap()
    assert (values.name, vectors.name) == ("dwi.bval", "dwi.bvec")
    columns = {
        (b_value, *vector)
        for b_value, vector in zip(table_of(values)[0], table_of(vectors).T.tolist(), strict=True)
    }
    assert columns == {(0, 0, 0, 0), (1000, 1, 0, 0), (1000, 0, -1, 0), (1000, 0, 0, 1)}


def test_slices_against_their_normal(tmp_path: Path) -> None:
    """The affine of such a volume has a positive determinant: FSL mirrors its first axis."""
    weightings = [(1000.0, (0.6, 0.0, 0.8)), (2000.0, (0.6, 0.0, 0.8))]
    volume = load_volume(in_memory(diffusion_slices(weightings))).unwrap()
    against = attrs.evolve(volume.geometry, direction=(1, 0, 0, 0, 1, 0, 0, 0, -1))
    turned = attrs.evolve(volume, geometry=against)
    _, vectors = write_gradients(turned, tmp_path / "dwi.nii").unwrap()
    assert table_of(vectors).T.tolist() == [[-0.6, 0, -0.8], [-0.6, 0, -0.8]]


def test_a_series_without_diffusion(tmp_path: Path) -> None:
    """Volumes without a b-value are refused, and no file is left behind."""
    volume = load_volume(in_memory(made_slices(3))).unwrap()
    error = write_gradients(volume, tmp_path / "ct.nii").failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert list(tmp_path.iterdir()) == []


def test_directions_that_are_not_said_are_no_zeros(tmp_path: Path) -> None:
    """Several volumes of one b-value differ in their directions; an average over all has none."""
    weightings = [(0.0, (0.0, 0.0, 0.0)), (1000.0, (1.0, 0.0, 0.0)), (1000.0, (0.0, 1.0, 0.0))]
    datasets = diffusion_slices(weightings)
    for number, one in enumerate(datasets):
        del one.DiffusionGradientOrientation
        one.AcquisitionNumber = number // 4 + 1
    volume = load_volume(in_memory(datasets)).unwrap()
    error = write_gradients(volume, tmp_path / "dwi.nii").failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "2 volumes have the b-value 1000" in error.message
    assert list(tmp_path.iterdir()) == []
    averages = load_volume(in_memory(datasets[:8])).unwrap()
    values, vectors = write_gradients(averages, tmp_path / "dwi.nii").unwrap()
    assert table_of(values).tolist() == [[0, 1000]]
    assert not table_of(vectors).any()


@pytest.mark.interop("dcm2niix")
@pytest.mark.parametrize("orientation", [AXIAL, PhantomSpec().orientation, (0, 1, 0, 0, 0, -1)])
def test_gradients_as_dcm2niix(
    orientation: tuple[float, ...], dcm2niix: Path, tmp_path: Path
) -> None:
    """The same directions for the same volumes, whose order may differ."""
    rng = np.random.default_rng(9)
    weightings: list[tuple[float, tuple[float, float, float]]] = [(0.0, (0.0, 0.0, 0.0))]
    for b_value in (500.0, 1000.0, 1000.0, 2000.0):
        x, y, z = (vector := rng.normal(size=3)) / np.linalg.norm(vector)
        weightings.append((b_value, (float(x), float(y), float(z))))
    in_files(in_memory(diffusion_slices(weightings, orientation)), tmp_path / "in")
    (tmp_path / "out").mkdir()
    command = [str(dcm2niix), "-b", "n", "-z", "n", "-f", "x", "-o", str(tmp_path / "out")]
    subprocess.run([*command, str(tmp_path / "in")], check=True, capture_output=True, timeout=60)
    volume = load_volume(tmp_path / "in").unwrap()
    values, vectors = write_gradients(volume, tmp_path / "dwi.nii").unwrap()
    ours = np.vstack([table_of(values), table_of(vectors)]).T
    theirs = np.vstack([table_of(tmp_path / "out/x.bval"), table_of(tmp_path / "out/x.bvec")]).T
    assert len(ours) == len(theirs) == 5
    for row in theirs:
        assert np.abs(ours - row).max(axis=1).min() < 1e-5
