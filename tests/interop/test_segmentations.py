"""Segmentations and structure sets against dcmqi and plastimatch."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, instance_from_dataset, write_file
from pacs_sdk.integration.export import write_nrrd
from pacs_sdk.integration.itk import LoadedVolume, Volume, VolumeGeometry, load_volume
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.integration.segmentation import (
    Segment,
    load_segmentation,
    load_structure_set,
    masks_to_segmentation,
)
from tests.integration.made_series import in_files
from tests.integration.segmentation.test_structure_set import Drawn, structure_set

sitk: Any = pytest.importorskip("SimpleITK")

SEGMENTS = [Segment(1, "bone"), Segment(2, "lung")]


def phantom_in(folder: Path, orientation: tuple[float, ...]) -> LoadedVolume:
    """Write a small phantom as files and load it."""
    spec = PhantomSpec(
        slices=9,
        rows=24,
        columns=20,
        pixel_spacing=(2.0, 2.5),
        orientation=orientation,
        shuffle_seed=5,
    )
    in_files(make_phantom(spec).unwrap().instances, folder)
    return load_volume(folder).unwrap()


def labels_of(ct: LoadedVolume) -> NDArray[np.int16]:
    """Segment bone and lung by their values."""
    found: NDArray[np.int16] = np.where(ct.array > 600, 1, 0).astype(np.int16)
    found[np.abs(ct.array + 800) < 1] = 2
    return found


def run(*command: object) -> None:
    """Run a program that has to succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.mark.interop("segimage2itkimage")
@pytest.mark.parametrize(
    "orientation", [AXIAL, PhantomSpec().orientation], ids=["axial", "oblique"]
)
@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_dcmqi_reads_ours(
    kind: str, orientation: tuple[float, ...], peer_programs: dict[str, Path], tmp_path: Path
) -> None:
    """The images that dcmqi makes of a segmentation of ours have its voxels where they were."""
    ct = phantom_in(tmp_path / "ct", orientation)
    labels = labels_of(ct)
    seg = masks_to_segmentation(labels, SEGMENTS, ct, kind=kind).unwrap()
    path = write_file(seg, tmp_path / "seg.dcm").unwrap()
    out = tmp_path / "out"
    out.mkdir()
    program = peer_programs["segimage2itkimage"]
    run(program, "--inputDICOM", path, "--outputDirectory", out, "--outputType", "nrrd")
    found = np.zeros_like(labels)
    for file in out.glob("*.nrrd"):
        image = sitk.ReadImage(str(file))
        for index in np.argwhere(sitk.GetArrayFromImage(image)):
            place = tuple(int(part) for part in index[::-1])
            point = image.TransformIndexToPhysicalPoint(place)
            column, row, plane = (round(part) for part in ct.geometry.index_of(point))
            found[plane, row, column] = image[place]
    assert np.array_equal(found, labels)


@pytest.mark.interop("itkimage2segimage")
@pytest.mark.parametrize(
    "orientation", [AXIAL, PhantomSpec().orientation], ids=["axial", "oblique"]
)
def test_we_read_that_of_dcmqi(
    orientation: tuple[float, ...], peer_programs: dict[str, Path], tmp_path: Path
) -> None:
    """A segmentation that dcmqi writes has the masks that it was given."""
    ct = phantom_in(tmp_path / "ct", orientation)
    labels = labels_of(ct)
    nrrd = write_nrrd(Volume(labels, ct.geometry), tmp_path / "labels.nrrd").unwrap()
    code = {
        "CodeValue": "85756007",
        "CodingSchemeDesignator": "SCT",
        "CodeMeaning": "Tissue",
    }
    segments = [
        {
            "labelID": one.number,
            "SegmentLabel": one.label,
            "SegmentDescription": one.label,
            "SegmentAlgorithmType": "MANUAL",
            "SegmentedPropertyCategoryCodeSequence": code,
            "SegmentedPropertyTypeCodeSequence": code,
        }
        for one in SEGMENTS
    ]
    described = {
        "ContentCreatorName": "Reader",
        "ContentLabel": "SEGMENTATION",
        "SeriesDescription": "made by dcmqi",
        "SeriesNumber": "300",
        "InstanceNumber": "1",
        "segmentAttributes": [segments],
    }
    (tmp_path / "meta.json").write_text(json.dumps(described))
    run(
        peer_programs["itkimage2segimage"],
        *("--inputImageList", nrrd),
        *("--inputDICOMDirectory", tmp_path / "ct"),
        *("--inputMetadata", tmp_path / "meta.json"),
        *("--outputDICOM", tmp_path / "seg.dcm"),
    )
    found = load_segmentation(tmp_path / "seg.dcm", ct).unwrap()
    assert np.array_equal(found.label_map().unwrap(), labels)
    assert [one.label for one in found.segments] == ["bone", "lung"]


def stars(geometry: VolumeGeometry) -> list[Drawn]:
    """Draw an irregular star with a hole on six slices."""
    rng = np.random.default_rng(5)
    drawn: list[Drawn] = []
    for plane in range(1, 7):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 17))
        outer = zip(angles, rng.uniform(4, 8, 17), strict=True)
        for corners in (outer, ((angle, 2.3) for angle in angles)):
            points = tuple(
                (9.6 + reach * np.cos(angle), 11.3 + reach * np.sin(angle))
                for angle, reach in corners
            )
            drawn.append(("CLOSED_PLANAR", plane, points))
    assert geometry.size[2] > 7
    return drawn


@pytest.mark.interop("plastimatch")
@pytest.mark.parametrize("combine", ["xor", "union"])
def test_contours_as_plastimatch(
    combine: Any, peer_programs: dict[str, Path], tmp_path: Path
) -> None:
    """The voxels inside stars with holes are those that plastimatch finds, either way."""
    ct = phantom_in(tmp_path / "ct", AXIAL)
    header = ct.metadata.dataset.pydicom
    made = structure_set(
        *stars(ct.geometry),
        grid=ct.geometry,
        StudyInstanceUID=header.StudyInstanceUID,
        SeriesInstanceUID="1.2.3.481",
        FrameOfReferenceUID=header.FrameOfReferenceUID,
        Modality="RTSTRUCT",
        PatientID="X",
        PatientName="X",
    )
    made.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = header.FrameOfReferenceUID
    instance = instance_from_dataset(made, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    path = write_file(instance, tmp_path / "rtstruct.dcm").unwrap()
    run(
        peer_programs["plastimatch"],
        "convert",
        *("--input", path),
        *("--referenced-ct", tmp_path / "ct"),
        *("--output-prefix", tmp_path / "out"),
        *("--prefix-format", "nrrd"),
        *(("--xor-contours",) if combine == "xor" else ()),
    )
    theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out" / "GTV.nrrd")))
    ours = load_structure_set(path).unwrap().mask("GTV", ct, combine=combine).unwrap()
    assert ours.array.sum() > 400
    assert np.array_equal(ours.array, theirs != 0)
