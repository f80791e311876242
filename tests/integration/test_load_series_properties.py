"""Whatever the attributes say, loading gives a volume or a typed refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.results import Failure, Success
from pacs_sdk.integration.itk import load_volume, scan_series
from tests.integration.made_series import in_memory, made_slice

NUMBERS = st.one_of(
    st.sampled_from(["0", "-1", "1e-9", "1e9", "", "0.5"]),
    st.floats(-1e6, 1e6).map(lambda number: f"{number:.6g}"),
)
CHANGES = st.dictionaries(
    st.sampled_from(["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]),
    st.lists(NUMBERS, min_size=1, max_size=6),
    max_size=2,
)
MORE = st.fixed_dictionaries(
    {},
    optional={
        "RescaleSlope": NUMBERS,
        "RescaleIntercept": NUMBERS,
        "SliceThickness": NUMBERS,
        "EchoTime": NUMBERS,
        "InstanceNumber": st.integers(-5, 5).map(str),
        "BitsStored": st.integers(0, 33),
        "HighBit": st.integers(0, 33),
        "Rows": st.integers(0, 70),
        "NumberOfFrames": st.integers(-1, 4).map(str),
        "SamplesPerPixel": st.integers(0, 4),
        "PhotometricInterpretation": st.sampled_from(
            ["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "PALETTE COLOR", "WRONG", ""]
        ),
        "PixelPaddingValue": st.integers(0, 0xFFFF),
        "ImageType": st.sampled_from([["ORIGINAL", "PRIMARY", "MOSAIC"], ["DERIVED"]]),
    },
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "strict": st.booleans(),
        "on_gap": st.sampled_from(["error", "fill", "interpolate"]),
        "on_tilt": st.sampled_from(["error", "resample"]),
        "on_variable_spacing": st.sampled_from(["error", "resample"]),
        "on_duplicates": st.sampled_from(["drop", "first", "error"]),
        "on_mixed": st.sampled_from(["error", "largest"]),
        "rescale": st.sampled_from(["stated", "none", "philips"]),
        "padding": st.sampled_from(["keep", "mask", -1.0]),
        "monochrome1": st.sampled_from(["keep", "invert", "error"]),
        "interpolation": st.sampled_from(["linear", "nearest"]),
    },
)


def changed(number: int, changes: dict[str, Any]) -> pydicom.Dataset:
    """Make a slice with attributes that may be wrong, its values written as they are."""
    dataset = made_slice(number)
    for keyword, value in changes.items():
        dataset.add(
            pydicom.DataElement(
                pydicom.datadict.tag_for_keyword(keyword) or 0,
                pydicom.datadict.dictionary_VR(keyword).split(" ")[0],
                value,
                validation_mode=pydicom.config.IGNORE,
            )
        )
    return dataset


@given(slices=st.lists(st.tuples(CHANGES, MORE), min_size=1, max_size=4), policies=POLICIES)
def test_a_volume_or_a_refusal(
    slices: list[tuple[dict[str, Any], dict[str, Any]]], policies: dict[str, Any]
) -> None:
    """The volume fits its geometry and says where each slice came from; nothing else is raised."""
    datasets = [changed(number, {**one, **more}) for number, (one, more) in enumerate(slices)]
    instances = in_memory([*datasets, made_slice(7)])
    match load_volume(instances, max_volume_bytes=1 << 20, **policies):
        case Success(volume):
            grid = volume.geometry.size[::-1]
            axes = () if volume.axis is None else (len(volume.axis),)
            assert volume.array.shape[: len(axes) + 3] == (*axes, *grid)
            assert len(volume.sources) == int(np.prod((*axes, grid[0])))
            assert all(np.isfinite(volume.geometry.affine).ravel())
            assert str(volume.report)
            assert str(volume.metadata)
        case Failure(error):
            assert error.message
    assert str(scan_series(instances, **policies).unwrap())
