"""JPEG 2000 and High-Throughput JPEG 2000 (PS3.5 8.2.4, 8.2.14)."""

from __future__ import annotations

from typing import Final

import attrs
import imagecodecs
import numpy as np
from typing_extensions import Buffer

from pacs_sdk.encoding.codecs.capable import ImagecodecsCodec, within_bits
from pacs_sdk.encoding.codecs.codestream import check_codestream, jpeg2k_codestream
from pacs_sdk.encoding.codecs.description import (
    Capability,
    EncodeOptions,
    FrameDescription,
    encode_failure,
    pixel_failure,
)
from pacs_sdk.encoding.codecs.jpeg2000_encoding import (
    encode_htj2k,
    encode_jpeg2000,
    htj2k_precision,
)
from pacs_sdk.encoding.codecs.stored import (
    conform_bits,
    conform_shape,
    numbers_or_cells,
    ybr_to_rgb,
)

__all__ = ["Jpeg2000Codec"]

_LOSSLESS: Final = "1.2.840.10008.1.2.4.90"
_LOSSY: Final = "1.2.840.10008.1.2.4.91"
_HT_LOSSLESS: Final = "1.2.840.10008.1.2.4.201"
_HT_LOSSLESS_RPCL: Final = "1.2.840.10008.1.2.4.202"
_HT_LOSSY: Final = "1.2.840.10008.1.2.4.203"


class Jpeg2000Codec(ImagecodecsCodec):
    """JPEG 2000 and High-Throughput JPEG 2000, by OpenJPEG.

    imagecodecs has OpenJPH for the latter too, which is faster. It isn't used: its errors
    get lost on the way (damaged data gave half an image and no exception), and there is
    damage that it never returns from.
    """

    name = "jpeg2k"
    capabilities = (
        *(
            Capability(transfer_syntax_uid=uid, bits_allocated=(8, 16), bits_stored=(1, 16))
            for uid in (_LOSSLESS, _HT_LOSSLESS, _HT_LOSSLESS_RPCL)
        ),
        *(
            Capability(
                transfer_syntax_uid=uid,
                bits_allocated=(8, 16),
                bits_stored=(1, 16),
                palette=False,
                lossy=True,
            )
            for uid in (_LOSSY, _HT_LOSSY)
        ),
    )

    def _decoded(self, frame: Buffer, description: FrameDescription, out: np.ndarray) -> np.ndarray:
        # The codestream undoes YBR_RCT and YBR_ICT itself, so these come as RGB even raw.
        data = bytes(frame)
        found = jpeg2k_codestream(data)
        check_codestream(found, description)
        decoded = conform_shape(imagecodecs.jpeg2k_decode(data), description)
        if decoded.dtype.kind not in "iub":
            raise pixel_failure(f"it decodes to {decoded.dtype}, not to whole numbers")
        # Some writers put negative numbers into a codestream that says unsigned.
        conformed = conform_bits(decoded, description, found.precision)
        values = numbers_or_cells(conformed, found.precision, description)
        return ybr_to_rgb(values, description)

    def encodes_at_once(self, transfer_syntax_uid: str, options: EncodeOptions) -> bool:
        """Whether several threads gain anything; see :class:`pacs_sdk.encoding.Codec`.

        The library that knows ratios is called by one thread at a time.
        """
        lossy = self.is_lossy(transfer_syntax_uid, options)
        return transfer_syntax_uid != _LOSSY or not lossy or options.psnr is not None

    def is_lossy(self, transfer_syntax_uid: str, options: EncodeOptions) -> bool:
        """Whether something may be lost: where a ratio, or a noise, is asked for."""
        if transfer_syntax_uid == _LOSSY and options.psnr is not None:
            return True
        return transfer_syntax_uid in (_LOSSY, _HT_LOSSY) and options.compression_ratio > 1

    def _stored_as(
        self, description: FrameDescription, transfer_syntax_uid: str, options: EncodeOptions
    ) -> FrameDescription:
        if transfer_syntax_uid not in (_LOSSLESS, _LOSSY) and not imagecodecs.HTJ2K.available:
            raise encode_failure(
                f"the installed imagecodecs {imagecodecs.__version__} was built without OpenJPH"
            )
        stored = attrs.evolve(description, planar=False)
        lossy = self.is_lossy(transfer_syntax_uid, options)
        if lossy and transfer_syntax_uid == _HT_LOSSY:
            # A decoder keeps what it makes within the precision of the codestream only.
            bits = htj2k_precision(stored)
            stored = attrs.evolve(stored, bits_stored=bits, high_bit=bits - 1)
        if stored.photometric != "RGB":
            return stored
        return attrs.evolve(stored, photometric="YBR_ICT" if lossy else "YBR_RCT", raw=False)

    def encode(
        self,
        frame: np.ndarray,
        stored: FrameDescription,
        transfer_syntax_uid: str,
        options: EncodeOptions,
    ) -> bytes:
        """Encode one frame; see :class:`pacs_sdk.encoding.Codec`."""
        values = within_bits(frame, stored)
        lossy = self.is_lossy(transfer_syntax_uid, options)
        if transfer_syntax_uid in (_LOSSLESS, _LOSSY):
            return encode_jpeg2000(values, stored, options if lossy else None)
        return encode_htj2k(values, stored, options.compression_ratio if lossy else 1.0)
