"""JPEG (PS3.5 8.2.1) by libjpeg-turbo."""

from __future__ import annotations

from typing import Final

import attrs
import imagecodecs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.capable import ImagecodecsCodec, low_bits
from pacs_sdk.encoding.codecs.codestream import (
    Codestream,
    check_codestream,
    check_jpeg_complete,
    jpeg_codestream,
)
from pacs_sdk.encoding.codecs.description import (
    Capability,
    EncodeOptions,
    FrameDescription,
    pixel_failure,
)
from pacs_sdk.encoding.codecs.jpeg_scans import check_components, may_end_early, with_longer_scans
from pacs_sdk.encoding.codecs.stored import unsigned_room, without_sign, ybr_to_rgb

__all__ = ["JpegCodec"]

_BASELINE: Final = "1.2.840.10008.1.2.4.50"
_EXTENDED: Final = "1.2.840.10008.1.2.4.51"
_LOSSLESS: Final = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JFIF: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
_JFIF_END: Final = 20
"""SOI and the segment APP0, whose length field says 16."""


class JpegCodec(ImagecodecsCodec):
    """JPEG Baseline, Extended (8 and 12 bits) and Lossless (up to 16), by libjpeg-turbo."""

    name = "jpeg8"
    capabilities = (
        Capability(
            transfer_syntax_uid=_BASELINE,
            bits_allocated=(8,),
            bits_stored=(1, 8),
            signed=False,
            palette=False,
            lossless=False,
            lossy=True,
        ),
        Capability(
            transfer_syntax_uid=_EXTENDED,
            bits_allocated=(8, 16),
            bits_stored=(1, 12),
            samples=(1,),
            signed=False,
            palette=False,
            lossless=False,
            lossy=True,
        ),
        *(
            Capability(transfer_syntax_uid=uid, bits_allocated=(8, 16), bits_stored=(1, 16))
            for uid in _LOSSLESS
        ),
    )

    def _decoded(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> np.ndarray:
        data = bytes(frame)
        found = jpeg_codestream(data)
        check_codestream(found, description)
        check_jpeg_complete(found, data)
        check_components(found, data)
        stored_as, wanted = _jpeg_colour_spaces(found, description)

        def decode(codestream: bytes, room: np.ndarray | None) -> np.ndarray:
            return imagecodecs.jpeg8_decode(
                codestream, colorspace=stored_as, outcolorspace=wanted, out=room
            )

        decoded = decode(data, unsigned_room(out, found.precision))
        if may_end_early(found, data, decoded):
            longer = decode(with_longer_scans(found, data), None)
            if not np.array_equal(decoded, longer):
                raise pixel_failure("a scan of its JPEG codestream ends before the image does")
        values = without_sign(decoded, found.precision, description)
        if found.lossless_jpeg or description.photometric.startswith("YBR_PARTIAL"):
            return ybr_to_rgb(values, description)
        return values

    def is_lossy(self, transfer_syntax_uid: str, options: EncodeOptions) -> bool:
        """Whether something may be lost: by the processes with a DCT, always."""
        return transfer_syntax_uid not in _LOSSLESS

    def _stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        stored = attrs.evolve(description, planar=False)
        if transfer_syntax_uid in _LOSSLESS:
            return stored
        if stored.samples > 1:
            ybr = stored.photometric == "YBR_FULL"
            stored = attrs.evolve(stored, photometric="YBR_FULL_422", raw=ybr)
        # What comes out of a DCT has 8 or 12 bits, and no other number of them is allowed.
        bits = 8 if stored.bits_allocated == 8 else 12
        return attrs.evolve(stored, bits_stored=bits, high_bit=bits - 1)

    def encode(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
    ) -> bytes:
        """Encode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        values = low_bits(frame, stored)
        if transfer_syntax_uid in _LOSSLESS:
            # RGB and YBR_FULL alike: as RGB they get no transform.
            space = "RGB" if stored.samples > 1 else None
            made = imagecodecs.jpeg8_encode(
                values,
                lossless=True,
                predictor=1,  # the one selection value of .70, allowed by .57 as well
                bitspersample=max(stored.bits_stored, 2),  # ISO/IEC 10918-1 B.2.2
                colorspace=space,
                outcolorspace=space,
            )
        elif stored.samples > 1:
            made = imagecodecs.jpeg8_encode(
                values,
                options.quality,
                colorspace="YCBCR" if stored.raw else "RGB",
                outcolorspace="YCBCR",
                subsampling="422",
            )
        else:
            made = imagecodecs.jpeg8_encode(
                values, options.quality, bitspersample=stored.bits_stored
            )
        return _without_jfif(bytes(made))


def _without_jfif(codestream: bytes) -> bytes:
    """Take the JFIF segment out; it says nothing that the attributes don't (PS3.5 8.2.1)."""
    if codestream.startswith(_JFIF):
        return codestream[:2] + codestream[_JFIF_END:]
    return codestream


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
