"""JPEG images whose scans end early: libjpeg makes the rest up, and so they are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import decode_frames
from tests.encoding.compressed_images import BASE, DELIMITER, dataset_of, item, noise, padded
from tests.encoding.encoding_helpers import ct, photo

END: Final = b"\xff\xd9"


def jpeg_of(codestream: bytes, pixels: np.ndarray, end: str, bits: int = 0) -> Dataset:
    """Make an image of one frame of the transfer syntax with this end of its UID."""
    value = item() + item(padded(codestream)) + DELIMITER
    photometric = "YBR_FULL_422" if pixels.ndim == 3 and end == "50" else ""
    return dataset_of(BASE + end, pixels[None], value, photometric, bits)


def refusal(dataset: Dataset) -> str:
    """Decode what has to be refused; return why it is."""
    error = decode_frames(dataset).failure()
    assert error.code is ErrorCode.PIXEL_DATA_FAILED
    return error.message


def first_data(codestream: bytes) -> int:
    """Tell where the data of the first scan begin, after its header (ISO/IEC 10918-1 B.2.3)."""
    header = codestream.index(b"\xff\xda")
    return header + 2 + int.from_bytes(codestream[header + 2 : header + 4], "big")


def cut_scans(codestream: bytes, kept: float) -> Iterator[bytes]:
    """Cut a scan at some places up to a part of it, and put an end behind."""
    begin, end = first_data(codestream), codestream.rindex(END)
    for place in np.linspace(begin, begin + (end - begin) * kept, 12).astype(int):
        if codestream[place - 1] != 0xFF:  # FF00 is one byte
            yield codestream[:place] + END


def encoded(pixels: np.ndarray, end: str, bits: int) -> bytes:
    """Compress a frame by the process of a transfer syntax."""
    options: dict[str, Any] = {"bitspersample": bits}
    if end in ("57", "70"):
        options |= {"lossless": True, "predictor": 1 if end == "70" else 7}
        if pixels.ndim == 3:
            options |= {"colorspace": "RGB", "outcolorspace": "RGB"}
    elif pixels.ndim == 3:
        options = {"level": 90, "subsampling": "420"}
    return bytes(imagecodecs.jpeg8_encode(pixels, **options))


IMAGES = [
    (ct(8), "50", 8),
    (photo(), "50", 8),
    (ct(12), "51", 12),
    (ct(8), "70", 8),
    (ct(12), "70", 12),
    (ct(16), "57", 16),
    (photo(), "57", 8),
]
images = pytest.mark.parametrize(
    ("pixels", "end", "bits"),
    IMAGES,
    ids=[f"{end}-{one.shape}-{bits}" for one, end, bits in IMAGES],
)


@images
def test_a_scan_that_ends_early(pixels: np.ndarray, end: str, bits: int) -> None:
    """Wherever the data end before the last row or block, the image is refused, end or no end."""
    whole = encoded(pixels, end, bits)
    assert raised(decode_frames(jpeg_of(whole, pixels, end, bits))).shape == (1, *pixels.shape)
    for cut in cut_scans(whole, 0.98):
        found = refusal(jpeg_of(cut, pixels, end, bits))
        assert "ends before the image does" in found or "too short" in found
        assert "has no end" in refusal(jpeg_of(cut[:-2], pixels, end, bits))


@images
def test_usual_images_are_decoded_once(
    pixels: np.ndarray, end: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an image that ends in the middle of the range is decoded again to be sure."""
    decode, calls = imagecodecs.jpeg8_decode, []

    def counted(codestream: bytes, **options: Any) -> np.ndarray:
        calls.append(len(codestream))
        made: np.ndarray = decode(codestream, **options)
        return made

    monkeypatch.setattr(imagecodecs, "jpeg8_decode", counted)
    raised(decode_frames(jpeg_of(encoded(pixels, end, bits), pixels, end, bits)))
    assert len(calls) == 1
    grey = np.full_like(pixels, 1 << bits - 1)
    found = raised(decode_frames(jpeg_of(encoded(grey, end, bits), grey, end, bits)))
    assert np.array_equal(found[0], grey)
    assert len(calls) == 3


def test_the_end_of_a_small_image_in_a_segment() -> None:
    """Such an end is not that of the image: EXIF keeps thumbnails before the first scan."""
    pixels = ct(8)
    frame = encoded(pixels, "50", 8)
    content = b"Exif\0\0" + b"\xff\xd8 small \xff\xd9"
    segment = b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content
    whole = frame[:2] + segment + frame[2:]
    expected = raised(decode_frames(jpeg_of(frame, pixels, "50")))
    assert np.array_equal(raised(decode_frames(jpeg_of(whole, pixels, "50"))), expected)
    for length in (len(whole) // 2, first_data(whole), whole.index(b"\xff\xda")):
        assert "has no end" in refusal(jpeg_of(whole[:length], pixels, "50"))


# -- restart intervals --------------------------------------------------------------------

LOSSLESS_HEADER: Final = (
    b"\xff\xd8"  # SOI
    b"\xff\xc3\x00\x0b"  # SOF3: lossless, 11 bytes
    b"\x08\x00\x04\x00\x08"  # 8 bits, 4 lines of 8 samples
    b"\x01\x01\x11\x00"  # one component, number 1, not subsampled
    b"\xff\xc4\x00\x15\x00"  # DHT of 21 bytes, table 0
    b"\x01\x01"
    + bytes(14)
    + b"\x00\x01"  # code 0 is category 0, code 10 is category 1
    + b"\xff\xdd\x00\x04\x00\x08"  # DRI: an interval has 8 samples, a line
    b"\xff\xda\x00\x08\x01\x01\x00\x01\x00\x00"  # SOS: component 1, table 0, predictor 1
)
LINE: Final = b"\xa0\x3f"
"""128 (the middle) + 1, then seven times the same: 10 1, seven times 0, six bits of padding."""


def test_a_scan_that_ends_between_restart_intervals() -> None:
    """Intervals that are missing at the end are noticed by what follows the last one."""
    lines = [LINE, b"\xff\xd0" + LINE, b"\xff\xd1" + LINE, b"\xff\xd2" + LINE]
    pixels = np.full((4, 8), 129, "u1")
    whole = LOSSLESS_HEADER + b"".join(lines) + END
    assert np.array_equal(raised(decode_frames(jpeg_of(whole, pixels, "70")))[0], pixels)
    for kept in (1, 2, 3):
        cut = LOSSLESS_HEADER + b"".join(lines[:kept]) + END
        assert "ends before the image does" in refusal(jpeg_of(cut, pixels, "70"))


# -- several scans ------------------------------------------------------------------------


def scans_of(pixels: np.ndarray) -> tuple[bytes, list[bytes]]:
    """Compress each sample in a scan of its own, with a table of its own before it.

    Returns:
        Everything before the first scan's table, and the tables and scans.
    """
    scans, head = [], b""
    for number in range(pixels.shape[2]):
        plane = np.ascontiguousarray(pixels[..., number])
        single = bytes(imagecodecs.jpeg8_encode(plane, lossless=True, predictor=1))
        table, scan = single.index(b"\xff\xc4"), single.index(b"\xff\xda")
        # The component's number follows the length and the count of components.
        part = single[scan : scan + 5] + bytes([number + 1]) + single[scan + 6 : -2]
        table_bytes = int.from_bytes(single[table + 2 : table + 4], "big") + 2
        scans.append(single[table : table + table_bytes] + part)
    rows, columns, samples = pixels.shape
    head = b"\xff\xd8\xff\xc3" + (8 + 3 * samples).to_bytes(2, "big") + b"\x08"
    head += rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes([samples])
    return head + b"".join(bytes([one + 1, 0x11, 0]) for one in range(samples)), scans


def test_components_in_scans_of_their_own() -> None:
    """Each scan has to reach its end, and each component needs one."""
    pixels = noise(8, 3)[0]
    head, scans = scans_of(pixels)
    whole = head + b"".join(scans) + END
    assert np.array_equal(raised(decode_frames(jpeg_of(whole, pixels, "57")))[0], pixels)
    filled = head + b"\xff\xff".join(scans) + b"\xff" + END  # with fill bytes (B.1.1.2)
    assert np.array_equal(raised(decode_frames(jpeg_of(filled, pixels, "57")))[0], pixels)
    for number in range(3):
        cut = [scan[: -30 if place == number else None] for place, scan in enumerate(scans)]
        frame = head + b"".join(cut) + END
        assert "ends before the image does" in refusal(jpeg_of(frame, pixels, "57"))
        missing = head + b"".join(scans[:number] + scans[number + 1 :]) + END
        assert "scans of 2 of its 3 components" in refusal(jpeg_of(missing, pixels, "57"))
