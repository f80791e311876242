"""Pixel Data with more frames than Number of Frames says is not transcoded in part."""

from __future__ import annotations

import numpy as np
import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EncodeOptions,
    Instance,
    OffsetTable,
    decode_frames,
    instance_from_dataset,
    transcode,
)
from tests.encoding.compressed_images import (
    BASE,
    DEFLATED_FRAMES,
    DELIMITER,
    RLE,
    UNCOMPRESSED_FRAMES,
    dataset_of,
    item,
    noise,
)
from tests.encoding.transcoding import LOSSLESS, image_of, native_dataset, syntax_of_keyword

NATIVE = "ExplicitVRLittleEndian"
THREE = noise(8, frames=3)


def claiming(instance: Instance, frames: int | None) -> Instance:
    """Say another Number of Frames of the same pixels."""
    dataset = raised(instance.dataset()).pydicom
    if frames is None:
        del dataset.NumberOfFrames
    else:
        dataset.NumberOfFrames = frames
    return raised(instance_from_dataset(dataset, instance.syntax))


def refusal(instance: Instance, to: str) -> str:
    """Transcode what has to be refused; return why it is."""
    error = transcode(instance, to).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    assert "Number of Frames (0028,0008) is" in error.message
    return error.message


def split(frame: bytes, at: int) -> bytes:
    """Lay out a frame in two fragments."""
    return item(frame[:at]) + item(frame[at:])


def compressed_frames(uid: str) -> list[bytes]:
    """Compress the three frames."""
    instance = raised(transcode(image_of(native_dataset(THREE)), uid))
    value = raised(instance.dataset()).pydicom.PixelData
    pos, found = 8 + int.from_bytes(value[4:8], "little"), []
    while value[pos : pos + 4] == b"\xfe\xff\x00\xe0":
        end = pos + 8 + int.from_bytes(value[pos + 4 : pos + 8], "little")
        found.append(value[pos + 8 : end])
        pos = end
    return found


@pytest.mark.parametrize("claimed", [1, 2, None])
@pytest.mark.parametrize("to", [RLE, BASE + "70", BASE + "90", DEFLATED_FRAMES])
def test_native_frames_are_not_left_out(to: str, claimed: int | None) -> None:
    """A value with room for a whole frame more is refused; decoded, it gives what is claimed."""
    instance = claiming(image_of(native_dataset(THREE)), claimed)
    assert "1312 bytes, which make 3 frames" in refusal(instance, to)
    assert np.array_equal(raised(decode_frames(instance)), THREE[: claimed or 1])


def test_between_native_syntaxes_every_byte_stays() -> None:
    """Nothing is lost there, so nothing is refused."""
    before = claiming(image_of(native_dataset(THREE)), 2)
    after = raised(transcode(before, IMPLICIT_VR_LITTLE_ENDIAN))
    value = raised(after.dataset()).pydicom.PixelData
    assert value == THREE.tobytes() + b"\0"


@pytest.mark.parametrize("extra", [1, 2, 434])
def test_padding_is_no_frame(extra: int) -> None:
    """Fewer bytes than a frame has are left out, however many; so is one byte, a whole frame."""
    dataset = native_dataset(THREE)
    dataset.PixelData += bytes(extra)
    after = raised(transcode(image_of(dataset), RLE))
    assert np.array_equal(raised(decode_frames(after)), THREE)
    pixel = native_dataset(np.full((1, 1, 1), 7, "u1"))
    assert pixel.PixelData == b"\7\0"
    assert raised(decode_frames(raised(transcode(image_of(pixel), RLE)))) == 7


def test_subsampled_native_frames() -> None:
    """YBR_FULL_422 has two bytes a pixel (PS3.3 C.7.6.3.1.2), so that six make three frames."""
    dataset = native_dataset(np.zeros((2, 2, 4, 3), "u1"), photometric="YBR_FULL_422")
    dataset.PixelData = bytes(96)
    assert "96 bytes, which make 6 frames" in refusal(image_of(dataset), RLE)
    assert raised(decode_frames(dataset)).shape == (2, 2, 4, 3)
    dataset.PixelData = bytes(32)
    assert raised(transcode(image_of(dataset), RLE)).size


@pytest.mark.parametrize("table", OffsetTable, ids=lambda table: table.name)
@pytest.mark.parametrize("claimed", [1, 2, None])
@pytest.mark.parametrize("uid", LOSSLESS)
def test_compressed_frames_are_not_left_out(
    uid: str, claimed: int | None, table: OffsetTable
) -> None:
    """By tables or by fragments, frames that are too many are noticed; decoding gives the rest."""
    whole = raised(transcode(image_of(native_dataset(THREE)), uid, offset_table=table))
    assert raised(transcode(whole, NATIVE)).size
    instance = claiming(whole, claimed)
    decoded = decode_frames(instance)
    if claimed == 2 and table is not OffsetTable.BASIC:
        # Without a table of as many frames these cannot be told apart at all.
        assert "fragments for 2 frames" in decoded.failure().message
        assert "fragments for 2 frames" in transcode(instance, NATIVE).failure().message
        return
    assert "make 3 frames" in refusal(instance, NATIVE)
    assert np.array_equal(raised(decoded), THREE[: claimed or 1])


def test_recompressed_frames_are_not_left_out() -> None:
    """So it is where JPEG becomes JPEG XL without being decoded, and the other way."""
    jpeg = raised(transcode(image_of(native_dataset(THREE)), BASE + "50", options=EncodeOptions()))
    assert "make 3 frames" in refusal(claiming(jpeg, 2), BASE + "111")
    xl = raised(transcode(jpeg, BASE + "111"))
    assert "make 3 frames" in refusal(claiming(xl, 1), BASE + "50")


@pytest.mark.parametrize("uid", [one for one in LOSSLESS if one != DEFLATED_FRAMES])
@pytest.mark.parametrize("listed", [False, True])
def test_fragments_of_one_frame_are_no_frames(uid: str, listed: bool) -> None:
    """A last frame of several fragments is one frame, wherever it is cut."""
    frames = compressed_frames(uid)
    for at in (2, 8, len(frames[2]) // 4 * 2, len(frames[2]) - 2):
        fragments = split(frames[2], at)
        dataset = dataset_of(uid, THREE[2:], item(bytes(4) * listed) + fragments + DELIMITER)
        instance = raised(instance_from_dataset(dataset, syntax_of_keyword(uid)))
        after = raised(transcode(instance, NATIVE))
        assert np.array_equal(raised(decode_frames(after)), THREE[2:])


@pytest.mark.parametrize("uid", [BASE + "80", BASE + "90", RLE, UNCOMPRESSED_FRAMES])
def test_frames_after_one_of_several_fragments(uid: str) -> None:
    """Another frame may follow one of several fragments, and have several itself."""
    frames = compressed_frames(uid)
    value = item() + split(frames[0], 100) + split(frames[1], 50) + DELIMITER
    instance = raised(
        instance_from_dataset(dataset_of(uid, THREE[:1], value), syntax_of_keyword(uid))
    )
    assert "make 2 frames" in refusal(instance, NATIVE)
