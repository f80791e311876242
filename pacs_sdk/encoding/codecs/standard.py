"""The codecs that come with the SDK, on the libraries that imagecodecs brings."""

from __future__ import annotations

from typing import Final

import imagecodecs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.codestream import (
    Codestream,
    check_codestream,
    check_jpeg_complete,
    jpeg2k_codestream,
    jpeg_codestream,
)
from pacs_sdk.encoding.codecs.description import Codec, FrameDescription, pixel_failure
from pacs_sdk.encoding.codecs.jpegxl_size import jpegxl_size
from pacs_sdk.encoding.codecs.lossless_cells import DeflatedFrameCodec, RleCodec
from pacs_sdk.encoding.codecs.stored import conform_bits, conform_shape, ybr_to_rgb

__all__ = ["Jpeg2000Codec", "JpegCodec", "JpegLsCodec", "JpegXlCodec", "standard_codecs"]

_JPEG: Final = "1.2.840.10008.1.2.4."
_END_OF_IMAGE: Final = b"\xff\xd9"
_RECOMPRESSED_JPEG: Final = b"jbrd"
"""The box with which a JPEG XL file can become the JPEG file again."""


class _ImagecodecsCodec:
    """What the codecs on imagecodecs have in common."""

    name: str
    transfer_syntaxes: frozenset[str]

    def unavailable(self) -> str:
        """Say why it cannot be used here; nothing if it can."""
        if getattr(imagecodecs, self.name.upper()).available:
            return ""
        return f"the installed imagecodecs {imagecodecs.__version__} was built without {self.name}"


class JpegCodec(_ImagecodecsCodec):
    """JPEG Baseline, Extended (8 and 12 bits) and Lossless (up to 16), by libjpeg-turbo."""

    name = "jpeg8"
    transfer_syntaxes = frozenset(_JPEG + end for end in ("50", "51", "57", "70"))

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        data = bytes(frame)
        found = jpeg_codestream(data)
        check_codestream(found, description)
        check_jpeg_complete(found, data)
        stored_as, wanted = _jpeg_colour_spaces(found, description)
        decoded = imagecodecs.jpeg8_decode(data, colorspace=stored_as, outcolorspace=wanted)
        values = _without_sign(decoded, found, description)
        if found.lossless_jpeg or description.photometric.startswith("YBR_PARTIAL"):
            return ybr_to_rgb(values, description)
        return values


def _jpeg_colour_spaces(
    found: Codestream, description: FrameDescription
) -> tuple[str | None, str | None]:
    """Choose the colour transform (PS3.5 8.2.1): the space of the codestream, the one wanted.

    JPEG itself says nothing of colour. An Adobe segment, where there is one, is the word of
    the encoder; else Photometric Interpretation decides. The lossless process has none.
    """
    if found.samples != 3:
        return None, None
    if found.lossless_jpeg:
        return "RGB", "RGB"
    ybr = description.photometric.startswith("YBR")
    partial = description.photometric.startswith("YBR_PARTIAL")
    if ybr and (description.raw or partial):
        return "YCBCR", "YCBCR"
    if found.adobe:
        return None, "RGB"
    return "YCBCR" if ybr else "RGB", "RGB"


def _without_sign(
    decoded: np.ndarray, found: Codestream, description: FrameDescription
) -> np.ndarray:
    """Conform what was compressed without a sign: JPEG, JPEG-LS (PS3.5 8.2.1, 8.2.3)."""
    shaped = conform_shape(decoded, description)
    # Unsigned values above Bits Stored are overshoot of lossy compression: cutting bits off
    # would turn white into black.
    bits = min(found.precision, description.bits_stored) if description.signed else found.precision
    return conform_bits(shaped, description, bits)


class JpegLsCodec(_ImagecodecsCodec):
    """JPEG-LS, lossless and near-lossless, by CharLS."""

    name = "jpegls"
    transfer_syntaxes = frozenset((_JPEG + "80", _JPEG + "81"))

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        data = bytes(frame)
        found = jpeg_codestream(data)
        check_codestream(found, description)
        if _END_OF_IMAGE not in data:
            # CharLS looks for the end of a number for seconds where the scan is cut off.
            raise pixel_failure("its JPEG-LS codestream has no end")
        values = _without_sign(imagecodecs.jpegls_decode(data), found, description)
        return ybr_to_rgb(values, description)


class Jpeg2000Codec(_ImagecodecsCodec):
    """JPEG 2000 and High-Throughput JPEG 2000, by OpenJPEG.

    imagecodecs has OpenJPH for the latter too, which is faster. It isn't used: its errors
    get lost on the way (damaged data gave half an image and no exception), and there is
    damage that it never returns from.
    """

    name = "jpeg2k"
    transfer_syntaxes = frozenset(_JPEG + end for end in ("90", "91", "201", "202", "203"))

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`.

        The codestream undoes YBR_RCT and YBR_ICT itself, so these come as RGB even raw.
        """
        data = bytes(frame)
        found = jpeg2k_codestream(data)
        check_codestream(found, description)
        decoded = conform_shape(imagecodecs.jpeg2k_decode(data), description)
        if decoded.dtype.kind not in "iub":
            raise pixel_failure(f"it decodes to {decoded.dtype}, not to whole numbers")
        # Some writers put negative numbers into a codestream that says unsigned.
        values = conform_bits(decoded, description, found.precision)
        return ybr_to_rgb(values, description)


class JpegXlCodec(_ImagecodecsCodec):
    """JPEG XL by libjxl; a recompressed JPEG too."""

    name = "jpegxl"
    transfer_syntaxes = frozenset(_JPEG + end for end in ("110", "111", "112"))

    def decode(self, frame: Buffer, description: FrameDescription) -> np.ndarray:
        """Decode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        data = bytes(frame)
        rows, columns = jpegxl_size(data)
        check_codestream(Codestream(rows, columns, description.samples, 1), description)
        ybr = description.photometric.startswith("YBR")
        if description.raw and ybr and _RECOMPRESSED_JPEG in data[:4096]:
            return JpegCodec().decode(
                imagecodecs.jpegxl_decode_jpeg(data, numthreads=1), description
            )
        decoded = imagecodecs.jpegxl_decode(data, keeporientation=True, numthreads=1)
        shaped = conform_shape(decoded, description)
        if shaped.dtype.kind != "u":
            raise pixel_failure(f"it decodes to {shaped.dtype}, not to whole numbers")
        return conform_bits(shaped, description, description.bits_stored)


def standard_codecs() -> tuple[Codec, ...]:
    """Make the codecs that come with the SDK, preferred ones first."""
    return (
        RleCodec(),
        DeflatedFrameCodec(),
        JpegCodec(),
        JpegLsCodec(),
        Jpeg2000Codec(),
        JpegXlCodec(),
    )
