"""Whatever bytes the attributes are, there is a picture or a failure with a code."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import attrs
import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance, instance_from_dataset
from pacs_sdk.encoding.rendering import image_windows, modality_values, render_frame
from tests.encoding.rendering.images import (
    grey_image,
    items,
    lut_item,
    with_overlay,
    with_palette,
    words,
)

EXPECTED = {
    ErrorCode.DECODE_FAILED,
    ErrorCode.INVALID_ARGUMENT,
    ErrorCode.LIMIT_EXCEEDED,
    ErrorCode.PIXEL_DATA_FAILED,
    ErrorCode.TRUNCATED,
    ErrorCode.VALUE_CONVERSION_FAILED,
}


def _with_everything() -> Dataset:
    """Make a grey image of two frames that has every attribute of the pipeline."""
    image = grey_image(np.arange(24).reshape(2, 3, 4), BitsStored=12, HighBit=11)
    image.RescaleSlope, image.RescaleIntercept, image.RescaleType = "1.5", "-10", "HU"
    image.WindowCenter, image.WindowWidth = ["10", "20"], ["30", "40"]
    image.VOILUTFunction = "SIGMOID"
    image.add_new("PixelPaddingValue", "US", 3)
    image.PixelSpacing = ["1", "2"]
    image.ModalityLUTSequence = Sequence([lut_item((4, 1, 16), [1, 2, 3, 4], "US")])
    image.VOILUTSequence = Sequence([lut_item((4, 0, 8), b"\1\2\3\4")])
    image.PresentationLUTSequence = Sequence([lut_item((2, 0, 10), [0, 1023], "US")])
    group = Dataset()
    group.PixelValueTransformationSequence = items(RescaleSlope=2, RescaleIntercept=0)
    group.FrameVOILUTSequence = items(WindowCenter=3, WindowWidth=4)
    image.PerFrameFunctionalGroupsSequence = Sequence([Dataset(), group])
    return with_overlay(image, np.ones((2, 3, 4)), origin=[0, 2], frames=2, first=1)


def _palette() -> Dataset:
    image = grey_image(np.arange(12).reshape(3, 4), "u1")
    return with_palette(
        image, (6, 0, 16), (words(0, 2, 5, 9, 1, 2, 7, 2, 1, 0, 0),) * 3, "Segmented"
    )


IMAGES = tuple(raised(instance_from_dataset(make())) for make in (_with_everything, _palette))


@pytest.mark.parametrize("instance", IMAGES, ids=["grey", "palette"])
def test_undamaged(instance: Instance) -> None:
    """The images can be rendered, so that damage is what makes a failure below."""
    assert all(raised(render_frame(instance, frame)).steps for frame in (0, -1))


@given(
    which=st.sampled_from(IMAGES),
    frame=st.sampled_from((0, 1)),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=6),
    window=st.sampled_from((None, 0)),
)
def test_changed_bytes(
    which: Instance, frame: int, changes: list[tuple[int, int]], window: int | None
) -> None:
    """Bytes of the data set are overwritten: lengths, VRs, tags, values."""
    data = bytearray(which.encoded.view())
    for place, value in changes:
        data[place % len(data)] = value
    instance = attrs.evolve(which, encoded=MemoryBytes(bytes(data)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of values that don't fit their VR
        results = (
            render_frame(instance, frame, window=window, square_pixels=True, size=(9, 9)),
            modality_values(instance, frame),
            image_windows(instance, frame),
        )
    for result in results:
        if result.value_or(None) is None:
            assert result.failure().code in EXPECTED


_TAGS = (
    "WindowCenter", "WindowWidth", "RescaleSlope", "PixelPaddingValue", "VOILUTSequence",
    "PerFrameFunctionalGroupsSequence", "ModalityLUTSequence", "PixelSpacing", "VOILUTFunction",
    0x60000010, 0x60000011, 0x60000015, 0x60000040, 0x60000050, 0x60000051, 0x60000100,
    0x60003000, "RedPaletteColorLookupTableDescriptor",
    "SegmentedRedPaletteColorLookupTableData",
)  # fmt: skip


@given(
    which=st.sampled_from((_with_everything, _palette)),
    tag=st.sampled_from(_TAGS),
    vr_and_value=st.sampled_from(
        [
            ("FD", [float("nan"), float("inf")]),
            ("FD", float("inf")),
            ("FD", [-1e300, 1e300, 5e-324]),
            ("LO", "text"),
            ("OB", b"\1\2\3\4"),
            ("UN", b"\xff\xff\xff\xff\xff\xff"),
            ("SV", -(2**63)),
            ("UV", [2**64 - 1] * 3),
            ("SQ", []),
            ("SQ", [Dataset()]),
            ("AT", [0x00100010, 0x00100020]),
            ("US", []),
        ]
    ),
)
def test_another_vr(
    which: Callable[[], Dataset], tag: str | int, vr_and_value: tuple[str, object]
) -> None:
    """An attribute comes under a VR that it doesn't have, with values that make no sense."""
    image = which()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image.add_new(tag, *vr_and_value)
        except (TypeError, ValueError):  # pydicom has no element of that
            reject()
        results = (
            render_frame(image, square_pixels=True, size=(9, 9)),
            render_frame(image, -1, window=0),
            modality_values(image),
        )
    for result in results:
        if result.value_or(None) is None:
            assert result.failure().code in EXPECTED
