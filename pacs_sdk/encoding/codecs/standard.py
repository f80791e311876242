"""The codecs that come with the SDK."""

from __future__ import annotations

from pacs_sdk.encoding.codecs.description import Codec
from pacs_sdk.encoding.codecs.jpeg import JpegCodec
from pacs_sdk.encoding.codecs.jpeg2000 import Jpeg2000Codec
from pacs_sdk.encoding.codecs.jpegls import JpegLsCodec
from pacs_sdk.encoding.codecs.jpegxl import JpegXlCodec
from pacs_sdk.encoding.codecs.native_frames import DeflatedFrameCodec, UncompressedFrameCodec
from pacs_sdk.encoding.codecs.rle import RleCodec

__all__ = ["standard_codecs"]


def standard_codecs() -> tuple[Codec, ...]:
    """Make the codecs that come with the SDK, preferred ones first."""
    return (
        RleCodec(),
        DeflatedFrameCodec(),
        UncompressedFrameCodec(),
        JpegCodec(),
        JpegLsCodec(),
        Jpeg2000Codec(),
        JpegXlCodec(),
    )
