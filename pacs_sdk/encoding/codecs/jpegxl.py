"""JPEG XL (PS3.5 8.2.15) by libjxl."""

from __future__ import annotations

from typing import Final

import attrs
import imagecodecs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.capable import ImagecodecsCodec, low_bits
from pacs_sdk.encoding.codecs.codestream import Codestream, check_codestream
from pacs_sdk.encoding.codecs.description import (
    Capability,
    EncodeOptions,
    FrameDescription,
    encode_failure,
    pixel_failure,
)
from pacs_sdk.encoding.codecs.jpeg import JpegCodec
from pacs_sdk.encoding.codecs.jpegxl_header import jpegxl_header
from pacs_sdk.encoding.codecs.stored import (
    conform_bits,
    conform_shape,
    numbers_or_cells,
    ybr_to_rgb,
)

__all__ = ["JpegXlCodec"]

_LOSSLESS: Final = "1.2.840.10008.1.2.4.110"
_RECOMPRESSION: Final = "1.2.840.10008.1.2.4.111"
_LOSSY: Final = "1.2.840.10008.1.2.4.112"
_RECOMPRESSED_JPEG: Final = b"jbrd"
"""The box with which a JPEG XL file can become the JPEG file again."""


class JpegXlCodec(ImagecodecsCodec):
    """JPEG XL by libjxl; a recompressed JPEG too."""

    name = "jpegxl"
    capabilities = (
        Capability(transfer_syntax_uid=_LOSSLESS, bits_allocated=(8, 16), bits_stored=(1, 16)),
        Capability(
            transfer_syntax_uid=_RECOMPRESSION,
            bits_allocated=(8,),
            bits_stored=(8, 8),
            signed=False,
            palette=False,
            encodes=False,
            remark="it holds JPEG files, so it is made of JPEG Baseline frames, never of pixels",
        ),
        Capability(
            transfer_syntax_uid=_LOSSY,
            bits_allocated=(8, 16),
            bits_stored=(1, 16),
            signed=False,
            palette=False,
            lossy=True,
        ),
    )

    def _decoded(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> np.ndarray:
        data = bytes(frame)
        header = jpegxl_header(data)
        found = Codestream(header.rows, header.columns, description.samples, 1)
        check_codestream(found, description)
        if header.animated:
            raise pixel_failure("its JPEG XL codestream is an animation, not one frame")
        if header.extra_channels >= description.samples:
            raise pixel_failure(
                f"its JPEG XL codestream has {header.extra_channels} extra channels"
            )
        if _RECOMPRESSED_JPEG in data[:4096]:
            # Decoded as the JPEG that it is, it gives the same values; and libjxl takes colour
            # for YCbCr where only Photometric Interpretation says RGB.
            jpeg = imagecodecs.jpegxl_decode_jpeg(data, numthreads=1)
            return JpegCodec().decode(jpeg, description)
        decoded = imagecodecs.jpegxl_decode(data, keeporientation=True, numthreads=1)
        shaped = conform_shape(decoded, description)
        if shaped.dtype.kind != "u":
            raise pixel_failure(f"it decodes to {shaped.dtype}, not to whole numbers")
        cells = description.cells and not description.unused_below
        bits = description.bits_allocated if cells else description.bits_stored
        conformed = conform_bits(shaped, description, bits)
        values = numbers_or_cells(conformed, bits, description)
        return ybr_to_rgb(values, description)

    def is_lossy(self, transfer_syntax_uid: str, options: EncodeOptions) -> bool:
        """Whether something may be lost: where a distance is allowed."""
        return transfer_syntax_uid == _LOSSY and options.distance > 0

    def _stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        stored = attrs.evolve(description, planar=False)
        if stored.samples == 1 or not self.is_lossy(transfer_syntax_uid, options):
            return stored
        if stored.photometric != "RGB":
            raise encode_failure(
                f"lossy JPEG XL makes XYB of RGB (PS3.3 C.7.6.3.1.2), not of {stored.photometric}"
            )
        return attrs.evolve(stored, photometric="XYB", raw=False)

    def encode(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
    ) -> bytes:
        """Encode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        lossy = self.is_lossy(transfer_syntax_uid, options)
        return bytes(
            imagecodecs.jpegxl_encode(
                low_bits(frame, stored),
                effort=options.effort,
                lossless=not lossy,
                distance=options.distance if lossy else None,
                bitspersample=stored.bits_stored,
                usecontainer=False,
                numthreads=1,
            )
        )
