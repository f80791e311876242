"""Enhanced multi-frame images: each frame by its own functional groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from pacs_sdk.core import ErrorCode
from pacs_sdk.encoding import Instance, transfer_syntax
from pacs_sdk.integration.itk import LoadedVolume, load_volume
from tests.integration.made_series import in_memory, made_slice

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"


def item(**values: Any) -> pydicom.Dataset:
    """Make an item of a sequence."""
    dataset = pydicom.Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def frame_groups(z: float, **macros: pydicom.Dataset) -> pydicom.Dataset:
    """Functional groups of a frame at a place."""
    groups = item(PlanePositionSequence=[item(ImagePositionPatient=["-10", "20", f"{z:g}"])])
    for keyword, macro in macros.items():
        setattr(groups, keyword, [macro])
    return groups


def enhanced(per_frame: list[pydicom.Dataset], **changes: Any) -> pydicom.Dataset:
    """Make an enhanced MR image; frame n has the value 10 × n all over."""
    values = np.repeat(np.arange(len(per_frame), dtype=np.int16) * 10, 12).reshape(-1, 4)
    dataset = made_slice(
        0,
        values,
        SOPClassUID=ENHANCED_MR,
        Modality="MR",
        Rows=3,
        NumberOfFrames=len(per_frame),
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        SliceThickness=None,
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])],
            PixelMeasuresSequence=[item(PixelSpacing=["0.5", "0.625"], SliceThickness="2.5")],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = per_frame
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


def loaded(dataset: pydicom.Dataset, **options: Any) -> LoadedVolume:
    """Load what must be loadable."""
    return load_volume(in_memory([dataset]), **options).unwrap()


def test_frames_are_ordered_by_their_positions() -> None:
    """The order of frames in the object has no say."""
    volume = loaded(enhanced([frame_groups(z) for z in (5, 0, 2.5)]))
    assert volume.array[:, 0, 0].tolist() == [10, 20, 0]
    assert volume.geometry.spacing == (0.625, 0.5, 2.5)
    assert volume.geometry.origin == (-10, 20, 0)
    assert [(one.sop_instance_uid, one.frame) for one in volume.sources] == [
        ("1.2.3.4.1", 1),
        ("1.2.3.4.1", 2),
        ("1.2.3.4.1", 0),
    ]


def test_slope_of_a_frame_wins_over_the_top_level() -> None:
    """And over the shared groups; each frame has its own."""
    transformed = [
        frame_groups(
            2.5 * n,
            PixelValueTransformationSequence=item(
                RescaleSlope=str(n + 1), RescaleIntercept="-1", RescaleType="US"
            ),
        )
        for n in range(3)
    ]
    dataset = enhanced(transformed, RescaleSlope="100", RescaleIntercept="7")
    assert loaded(dataset).array[:, 0, 0].tolist() == [-1, 19, 59]
    assert loaded(dataset, rescale="none").array[:, 0, 0].tolist() == [0, 10, 20]
    shared = enhanced([frame_groups(2.5 * n) for n in range(3)], RescaleSlope="100")
    shared.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence = [
        item(RescaleSlope="2", RescaleIntercept="0", RescaleType="US")
    ]
    assert loaded(shared).array[:, 0, 0].tolist() == [0, 20, 40]


@pytest.mark.parametrize("shared", [False, True])
def test_a_mapping_of_frames_is_noted(shared: bool) -> None:
    """Values of an enhanced PET may be real ones only by Real World Value Mapping."""
    mapping = item(RealWorldValueSlope=2.5, RealWorldValueIntercept=0.0)
    frames = [frame_groups(2.5 * n) for n in range(2)]
    dataset = enhanced(frames)
    for groups in dataset.SharedFunctionalGroupsSequence if shared else frames:
        groups.RealWorldValueMappingSequence = [mapping]
    notes = loaded(dataset).report.notes
    assert any("RealWorldValueMappingSequence (0040,9096)" in note for note in notes)


@pytest.mark.parametrize(
    ("macro", "keyword", "values", "name"),
    [
        ("MREchoSequence", "EffectiveEchoTime", (4.6, 9.2), "EchoTime"),
        ("MRDiffusionSequence", "DiffusionBValue", (0.0, 800.0), "DiffusionBValue"),
        ("FrameContentSequence", "TemporalPositionIndex", (1, 2), "TemporalPositionIdentifier"),
        (
            "CardiacSynchronizationSequence",
            "NominalCardiacTriggerDelayTime",
            (0.0, 40.0),
            "TriggerTime",
        ),
        ("MRTimingAndRelatedParametersSequence", "FlipAngle", (5.0, 15.0), "FlipAngle"),
        ("CTXRayDetailsSequence", "KVP", (80.0, 140.0), "KVP"),
    ],
)
def test_frames_of_one_place_are_an_axis(
    macro: str, keyword: str, values: tuple[float, float], name: str
) -> None:
    """Echoes, b-values, time points and heart phases, frame by frame."""
    frames = [
        frame_groups(2.5 * n, **{macro: item(**{keyword: value})})
        for n in range(3)
        for value in values
    ]
    volume = loaded(enhanced(frames))
    assert volume.array.shape == (2, 3, 3, 4)
    assert volume.axis is not None
    assert volume.axis.keywords == (name,)
    assert volume.axis.numbers(name) == values
    assert volume.array[1, :, 0, 0].tolist() == [10, 30, 50]


@pytest.mark.parametrize(
    ("macro", "keyword", "values"),
    [
        ("MRImageFrameTypeSequence", "ComplexImageComponent", ("MAGNITUDE", "PHASE")),
        ("FrameContentSequence", "StackID", ("1", "2")),
    ],
)
def test_frames_that_show_other_things_are_other_volumes(
    macro: str, keyword: str, values: tuple[str, str]
) -> None:
    """Magnitude and phase, or two stacks, at the same places."""
    frames = [
        frame_groups(2.5 * n, **{macro: item(**{keyword: value})})
        for value in values
        for n in range(3)
    ]
    dataset = enhanced(frames)
    error = load_volume(in_memory([dataset])).failure()
    assert f"2 different values of {keyword}" in error.message
    assert loaded(dataset, volume=1).array[:, 0, 0].tolist() == [30, 40, 50]


def test_times_of_frames_are_told_apart_to_the_millisecond() -> None:
    """Frame Acquisition DateTime has more digits than a number can hold."""
    frames = [
        frame_groups(
            2.5 * n,
            FrameContentSequence=item(FrameAcquisitionDateTime=f"20240229235959.00{time}"),
        )
        for n in range(3)
        for time in (2, 1)
    ]
    volume = loaded(enhanced(frames))
    assert volume.array[:, :, 0, 0].tolist() == [[10, 30, 50], [0, 20, 40]]
    assert volume.metadata.slices[0].acquisition_time == "235959.001"


def test_frames_that_were_converted_are_told_apart() -> None:
    """A legacy converted image has the echo times of its single-frame ones unassigned."""
    frames = [
        frame_groups(
            2.5 * n,
            UnassignedPerFrameConvertedAttributesSequence=item(EchoTime=echo, EchoNumbers=1),
        )
        for n in range(3)
        for echo in ("9.2", "4.6")
    ]
    volume = loaded(enhanced(frames, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.4"))
    assert volume.axis is not None
    assert volume.axis.labels == ("EchoTime=4.6", "EchoTime=9.2")
    assert volume.array[:, :, 0, 0].tolist() == [[10, 30, 50], [0, 20, 40]]
    frames[0].MREchoSequence = [item(EffectiveEchoTime=9.2)]  # what the standard has wins
    kept = frames[0].UnassignedPerFrameConvertedAttributesSequence[0]
    kept.EchoTime = "1"
    assert loaded(enhanced(frames)).array[1, 0, 0, 0] == 0


def test_frames_that_nothing_tells_apart_are_named() -> None:
    """Both are of one object, so the message has their numbers."""
    error = load_volume(in_memory([enhanced([frame_groups(0), frame_groups(0)])])).failure()
    assert error.message.startswith("frames 0 and 1 (from 0) of instance 1.2.3.4.1 show")


def test_times_of_frames_with_an_offset_go_on_after_midnight() -> None:
    """An offset from UTC makes a Frame Acquisition DateTime no text to be ordered by."""
    frames = [
        frame_groups(2.5 * n, FrameContentSequence=item(FrameAcquisitionDateTime=time))
        for n in range(3)
        for time in ("20240229235959.5+0100", "20240301000001+0100")
    ]
    volume = loaded(enhanced(frames))
    assert volume.array[:, :, 0, 0].tolist() == [[0, 20, 40], [10, 30, 50]]
    assert volume.metadata.slices[0].acquisition_time == "235959.5"


def test_directions_of_frames_are_in_the_metadata() -> None:
    """b-value and gradient direction of each frame."""
    frames = []
    for direction in ([1.0, 0.0, 0.0], [0.0, 0.6, 0.8]):
        weighting = item(
            DiffusionBValue=1000.0,
            DiffusionGradientDirectionSequence=[item(DiffusionGradientOrientation=direction)],
        )
        frames += [frame_groups(2.5 * n, MRDiffusionSequence=weighting) for n in range(2)]
    volume = loaded(enhanced(frames))
    assert volume.array.shape[0] == 2
    assert {one.gradient for one in volume.metadata.slices} == {(1, 0, 0), (0, 0.6, 0.8)}
    assert {one.b_value for one in volume.metadata.slices} == {1000}


def test_frames_of_other_orientations_are_other_volumes() -> None:
    """A localiser in one object: three frames of three planes."""
    planes = (["1", "0", "0", "0", "1", "0"], ["0", "1", "0", "0", "0", "-1"])
    frames = [
        frame_groups(0, PlaneOrientationSequence=item(ImageOrientationPatient=plane))
        for plane in planes
    ]
    error = load_volume(in_memory([enhanced(frames)])).failure()
    assert "ImageOrientationPatient (0020,0037)" in error.message
    assert loaded(enhanced(frames), volume=1).array.shape == (1, 3, 4)


def compressed(dataset: pydicom.Dataset) -> Instance:
    """Compress the frames by RLE."""
    pixels = np.frombuffer(dataset.PixelData, "<i2").reshape(-1, 3, 4)
    dataset.compress(RLELossless, pixels, generate_instance_uid=False)
    return in_memory([dataset], transfer_syntax(RLELossless).unwrap())[0]


def test_compressed_frames_are_decoded_one_by_one() -> None:
    """The same volume as from native frames."""
    frames = [frame_groups(2.5 * n) for n in range(4)]
    native = loaded(enhanced(frames)).array
    assert np.array_equal(load_volume(compressed(enhanced(frames))).unwrap().array, native)


def test_groups_that_are_missing_or_too_few() -> None:
    """Named by their attribute."""
    bare = enhanced([frame_groups(0), frame_groups(2.5)])
    del bare.PerFrameFunctionalGroupsSequence
    error = load_volume(in_memory([bare])).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "NumberOfFrames (0028,0008) is 2; only frames with functional groups" in error.message
    few = enhanced([frame_groups(0), frame_groups(2.5)], NumberOfFrames=3)
    error = load_volume(in_memory([few])).failure()
    assert "has 2 items, NumberOfFrames is 3" in error.message
    placeless = enhanced([frame_groups(0), item()])
    error = load_volume(in_memory([placeless])).failure()
    assert "frame 1: ImagePositionPatient (0020,0032) is missing" in error.message


def test_a_segmentation_is_refused_with_what_loads_it() -> None:
    """Its frames are masks of segments, several at a place."""
    dataset = enhanced(
        [frame_groups(0), frame_groups(2.5)], SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4"
    )
    error = load_volume(in_memory([dataset])).failure()
    assert "load_segmentation" in error.message
