"""What a lossy compression writes into the data set, and what decompression must not remove."""

from __future__ import annotations

import struct

import attrs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    EncodeOptions,
    Instance,
    decode_frames,
    encoded_frames,
    read_file,
    transcode,
)
from tests.encoding.compressed_images import BASE, RLE, noise
from tests.encoding.shipped import path_of
from tests.encoding.transcoding import image_of, native_dataset

JPEG = BASE + "50"


def smooth(samples: int = 1) -> np.ndarray:
    """Make two frames that compress well."""
    rows, columns = np.indices((64, 48))
    plane = (rows * 2 + columns).astype(np.uint8)
    frames = np.stack([plane, 255 - plane])
    return frames if samples == 1 else np.repeat(frames[..., None], samples, axis=3)


def image(**values: object) -> Instance:
    """Make an image with these attributes."""
    dataset = native_dataset(smooth())
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return image_of(dataset)


def attributes(instance: Instance) -> Dataset:
    """Decode what is to be looked at."""
    return raised(instance.dataset()).pydicom


def test_lossy_compression_is_recorded() -> None:
    """Flag, ratio, method, derivation and what it was made of (PS3.3 C.7.6.1.1.5, C.12.4.1)."""
    before = image(ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    after = raised(transcode(before, JPEG))
    found = attributes(after)
    assert found.LossyImageCompression == "01"
    assert found.LossyImageCompressionMethod == "ISO_10918_1"
    length = sum(memoryview(raised(frame)).nbytes for frame in raised(encoded_frames(after)))
    assert float(found.LossyImageCompressionRatio) == pytest.approx(
        smooth().nbytes / length, rel=0.01
    )
    assert list(found.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert f"ratio {found.LossyImageCompressionRatio}:1" in found.DerivationDescription
    (code,) = found.DerivationCodeSequence
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("113040", "DCM")
    (source,) = found.SourceImageSequence
    assert source.ReferencedSOPClassUID == before.sop_class_uid
    assert source.ReferencedSOPInstanceUID == before.sop_instance_uid
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121320"
    assert np.abs(raised(decode_frames(after)).astype(int) - smooth()).max() <= 12


def test_a_lossy_image_is_another_instance() -> None:
    """It has a new SOP Instance UID, unless its caller decides otherwise."""
    before = image()
    after = raised(transcode(before, JPEG))
    assert after.sop_instance_uid != before.sop_instance_uid
    assert attributes(after).SOPInstanceUID == after.sop_instance_uid
    assert raised(transcode(before, JPEG)).sop_instance_uid != after.sop_instance_uid
    named = raised(transcode(before, JPEG, new_sop_instance_uid="1.2.3.4"))
    assert (named.sop_instance_uid, attributes(named).SOPInstanceUID) == ("1.2.3.4", "1.2.3.4")
    kept = raised(transcode(before, JPEG, new_sop_instance_uid=False))
    assert kept.sop_instance_uid == before.sop_instance_uid
    assert "SourceImageSequence" not in attributes(kept)
    assert attributes(kept).LossyImageCompression == "01"
    error = transcode(before, JPEG, new_sop_instance_uid="x").failure()
    assert error.code is ErrorCode.INVALID_UID


def test_a_second_lossy_step_is_appended() -> None:
    """Ratios and methods stand in the order of the steps, descriptions too."""
    once = raised(transcode(image(DerivationDescription="Cropped"), JPEG))
    again = raised(transcode(once, BASE + "91", options=EncodeOptions(compression_ratio=20)))
    found = attributes(again)
    assert list(found.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_15444_1"]
    assert len(found.LossyImageCompressionRatio) == 2
    assert found.DerivationDescription.startswith("Cropped; Lossy compression with JPEG Baseline")
    assert found.DerivationDescription.count("Lossy compression with") == 2
    assert len(found.DerivationCodeSequence) == 2
    first, second = found.SourceImageSequence
    assert second.ReferencedSOPInstanceUID == once.sop_instance_uid
    assert second.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert first.ReferencedSOPInstanceUID != second.ReferencedSOPInstanceUID


def test_a_description_stays_within_its_vr() -> None:
    """A Derivation Description that is full is left as it is; the code says the rest."""
    found = attributes(raised(transcode(image(DerivationDescription="x" * 1000), JPEG)))
    assert found.DerivationDescription == "x" * 1000
    assert found.DerivationCodeSequence[0].CodeValue == "113040"


def test_invalid_values_are_appended_to() -> None:
    """Earlier values that break their VR's rules keep their bytes, in whatever character set."""
    before = image()
    encoded = bytes(before.encoded.view())
    at = encoded.index(struct.pack("<HH", 0x7FE0, 0x0010))
    image_type = element(0x0008, 0x0008, b"CS", b"ORIGINAL\\PRIMARY\\Axial, far too long a text")
    rest = (
        element(0x0028, 0x2110, b"CS", b"yes ")
        + element(0x0028, 0x2112, b"DS", b"ab\\1.5")
        + element(0x0028, 0x2114, b"CS", b"jpg?")
    )
    first = encoded.index(struct.pack("<HH", 0x0028, 0x0002))
    described = element(0x0008, 0x2111, b"ST", b"gr\xfc\xdfe ")
    whole = image_type + encoded[:first] + described + encoded[first:at] + rest + encoded[at:]
    after = raised(transcode(attrs.evolve(before, encoded=MemoryBytes(whole)), JPEG))
    found = bytes(after.encoded.view())
    for value in (
        b"DERIVED\\PRIMARY\\Axial, far too long a text",
        b"gr\xfc\xdfe; Lossy compression with",
        b"ab\\1.5\\",
        b"jpg?\\ISO_10918_1",
    ):
        assert value in found
    assert attributes(after).LossyImageCompression == "01"


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """Lay out an element of Explicit VR Little Endian with a short length (PS3.5 7.1.2)."""
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def test_facts_about_values_go_when_values_change() -> None:
    """Smallest and largest value stay where nothing is lost, and go where something is."""
    values = {"SmallestImagePixelValue": 0, "LargestImagePixelValue": 255, "PixelPaddingValue": 7}
    before = image(**values)
    kept = attributes(raised(transcode(before, RLE)))
    assert {keyword: kept[keyword].value for keyword in values} == values
    lossy = attributes(raised(transcode(before, JPEG)))
    assert "SmallestImagePixelValue" not in lossy
    assert "LargestImagePixelValue" not in lossy
    assert lossy.PixelPaddingValue == 7


def test_frames_of_functional_groups_are_derived() -> None:
    """Frame Type says DERIVED where Image Type does (PS3.3 C.8.16.1)."""
    group = Dataset()
    group.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    frame = Dataset()
    frame.CTImageFrameTypeSequence = Sequence([group])
    dataset = native_dataset(smooth())
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.SharedFunctionalGroupsSequence = Sequence([frame])
    found = attributes(raised(transcode(image_of(dataset), JPEG)))
    shared = found.SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence[0]
    assert list(shared.FrameType) == ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    assert list(found.ImageType) == ["DERIVED", "PRIMARY", "VOLUME", "NONE"]


def test_lossy_flags_stay_when_decompressed() -> None:
    """Once set, Lossy Image Compression is never reset (PS3.3 C.7.6.1.1.5)."""
    lossy = raised(transcode(image(), JPEG))
    for to in ("ExplicitVRLittleEndian", RLE):
        after = raised(transcode(lossy, to))
        assert after.sop_instance_uid == lossy.sop_instance_uid
        old, new = attributes(lossy), attributes(after)
        for keyword in (
            "LossyImageCompression",
            "LossyImageCompressionRatio",
            "LossyImageCompressionMethod",
            "DerivationDescription",
            "ImageType",
        ):
            assert new[keyword].value == old[keyword].value


def test_a_lossy_source_that_does_not_say_so() -> None:
    """Frames of JPEG Baseline have lost something; decoded, the attribute has to say it."""
    lossy = raised(transcode(image(), JPEG))
    dataset = attributes(lossy)
    del dataset.LossyImageCompression
    silent = image_of(dataset, JPEG)
    for to in ("ExplicitVRLittleEndian", RLE):
        assert attributes(raised(transcode(silent, to))).LossyImageCompression == "01"


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_image_pixel_module(photometric: str) -> None:
    """Photometric Interpretation and Planar Configuration say what is encoded."""
    pixels = noise(8, 3, frames=2)
    before = image_of(native_dataset(pixels, planar=True, photometric=photometric))
    assert attributes(before).PlanarConfiguration == 1
    found = attributes(raised(transcode(before, BASE + "80")))
    assert (found.PhotometricInterpretation, found.PlanarConfiguration) == (photometric, 0)
    back = attributes(raised(transcode(raised(transcode(before, RLE)), "ExplicitVRLittleEndian")))
    assert back.PlanarConfiguration == 0
    assert back.PixelData[: pixels.nbytes] == pixels.tobytes()
    if photometric == "RGB":
        found = attributes(raised(transcode(before, BASE + "90")))
        assert found.PhotometricInterpretation in {"YBR_RCT", "RGB"}


def test_number_of_frames_and_the_rest_stay() -> None:
    """Attributes that need no change keep their bytes, in their order."""
    before = raised(read_file(path_of("CT_small.dcm")))
    after = raised(transcode(before, BASE + "80"))
    old, new = bytes(before.encoded.view()), bytes(after.encoded.view())
    end = old.index(struct.pack("<HH", 0x7FE0, 0x0010))
    assert new[:end] == old[:end]


@pytest.mark.parametrize(
    ("end", "method", "options"),
    [
        ("50", "ISO_10918_1", EncodeOptions()),
        ("81", "ISO_14495_1", EncodeOptions(max_error=2)),
        ("91", "ISO_15444_1", EncodeOptions(compression_ratio=8)),
        ("203", "ISO_15444_15", EncodeOptions(compression_ratio=8)),
        ("112", "ISO_18181_1", EncodeOptions(distance=2.0)),
    ],
)
def test_methods(end: str, method: str, options: EncodeOptions) -> None:
    """Each lossy syntax has its defined term (PS3.3 C.7.6.1.1.5.1)."""
    after = raised(transcode(image(), BASE + end, options=options))
    assert attributes(after).LossyImageCompressionMethod == method
    native = raised(transcode(after, EXPLICIT_VR_LITTLE_ENDIAN))
    assert np.array_equal(raised(decode_frames(native)), raised(decode_frames(after)))
