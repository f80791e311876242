"""JPEG-LS (PS3.5 8.2.3) by CharLS."""

from __future__ import annotations

from typing import Final

import attrs
import imagecodecs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.capable import ImagecodecsCodec, within_bits
from pacs_sdk.encoding.codecs.codestream import check_codestream, jpeg_codestream
from pacs_sdk.encoding.codecs.description import (
    Capability,
    EncodeOptions,
    FrameDescription,
    encode_failure,
    pixel_failure,
)
from pacs_sdk.encoding.codecs.stored import unsigned_room, without_sign, ybr_to_rgb

__all__ = ["JpegLsCodec"]

_LOSSLESS: Final = "1.2.840.10008.1.2.4.80"
_NEAR_LOSSLESS: Final = "1.2.840.10008.1.2.4.81"
_END_OF_IMAGE: Final = b"\xff\xd9"
_SOF_55: Final = b"\xff\xf7"
_SELECTED: Final = 4
"""Where a scan says how many components it has, from its marker SOS on (ISO/IEC 14495-1 C.2.3)."""
_SPIFF: Final = b"\xff\xd8\xff\xe8\x00\x20SPIFF\x00"
_SPIFF_END: Final = 46
"""SOI, the segment whose length field says 32, and the entry that ends it, of 2 + 8 bytes
(ISO/IEC 14495-1 C.2.1, ISO/IEC 10918-3 F)."""


class JpegLsCodec(ImagecodecsCodec):
    """JPEG-LS, lossless and near-lossless, by CharLS."""

    name = "jpegls"
    capabilities = (
        Capability(transfer_syntax_uid=_LOSSLESS, bits_allocated=(8, 16), bits_stored=(2, 16)),
        Capability(
            transfer_syntax_uid=_NEAR_LOSSLESS,
            bits_allocated=(8, 16),
            bits_stored=(2, 16),
            palette=False,
            lossy=True,
        ),
    )

    def _decoded(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> np.ndarray:
        data = bytes(frame)
        found = jpeg_codestream(data)
        check_codestream(found, description)
        if data.rfind(_END_OF_IMAGE) < 0:
            # CharLS looks for the end of a number for seconds where the scan is cut off.
            raise pixel_failure("its JPEG-LS codestream has no end")
        # Samples that are no neighbours in the codestream are none in the library's own array.
        together = found.samples == 1 or data[found.first_scan + _SELECTED] > 1
        room = unsigned_room(out, found.precision) if together else None
        decoded = imagecodecs.jpegls_decode(data, out=room)
        values = without_sign(decoded, found.precision, description)
        return ybr_to_rgb(values, description)

    def is_lossy(self, transfer_syntax_uid: str, options: EncodeOptions) -> bool:
        """Whether something may be lost: near-lossless, where an error is allowed."""
        return transfer_syntax_uid == _NEAR_LOSSLESS and options.max_error > 0

    def _stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        if description.photometric == "YBR_FULL" and description.bits_allocated != 8:
            raise encode_failure("JPEG-LS holds YBR_FULL of 8 bits only (PS3.5 8.2.3)")
        if self.is_lossy(transfer_syntax_uid, options):
            # ISO/IEC 14495-1 C.2.3: NEAR is at most half of the largest value.
            most = min(255, ((1 << description.bits_stored) - 1) // 2)
            if options.max_error > most:
                raise encode_failure(
                    f"max_error is {options.max_error}, "
                    f"with {description.bits_stored} Bits Stored it is {most} at most"
                )
        return attrs.evolve(description, planar=False)

    def encode(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
    ) -> bytes:
        """Encode one frame; see :class:`pacs_sdk.encoding.Codec`.

        A frame with values so near to the ends of their range that an error could carry
        them over is encoded without loss, unless the codestream keeps them within.
        """
        values = within_bits(frame, stored)
        near = options.max_error if self.is_lossy(transfer_syntax_uid, options) else 0
        if near and _could_leave_range(frame, stored, near):
            near = 0
        # Signed cells go in whole, their sign in each bit above Bits Stored: CharLS calculates
        # modulo 2 to the power of 8 or 16, so 0 stays next to -1, and an error leaves a decoder
        # that doesn't extend the sign itself the right number. Narrowed to bytes, values of
        # 8 bits in cells of 16 would be refused by decoders that expect the cell's precision.
        cells = values.view(f"u{values.itemsize}")
        return _without_spiff(bytes(imagecodecs.jpegls_encode(cells, near)))


def _without_spiff(codestream: bytes) -> bytes:
    """Take the SPIFF header out: it calls all colour RGB, which the attributes may deny."""
    if codestream.startswith(_SPIFF) and codestream[_SPIFF_END : _SPIFF_END + 2] == _SOF_55:
        return codestream[:2] + codestream[_SPIFF_END:]
    return codestream


def _could_leave_range(frame: np.ndarray, stored: FrameDescription, near: int) -> bool:
    """Whether an error of ``near`` may carry a value out of Bits Stored.

    CharLS is told of 8 or 16 bits, and keeps unsigned numbers of so many within their range.
    Signed ones it takes for unsigned, in which the largest is next to the smallest.
    """
    bits = stored.bits_stored
    if not frame.size or (not stored.signed and bits in (8, 16)):
        return False
    least = -1 << bits - 1 if stored.signed else 0
    most = least + (1 << bits) - 1
    over = int(frame.max()) > most - near
    return over or (stored.signed and int(frame.min()) < least + near)
