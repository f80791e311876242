"""Codecs: compressed frames to arrays of stored values, behind a registry."""

from pacs_sdk.encoding.codecs.description import (
    Capability,
    Codec,
    EncodeOptions,
    FrameDescription,
)
from pacs_sdk.encoding.codecs.registry import (
    CODEC_ENTRY_POINTS,
    CodecRegistry,
    CodecStatus,
    default_codecs,
)

__all__ = [
    "CODEC_ENTRY_POINTS",
    "Capability",
    "Codec",
    "CodecRegistry",
    "CodecStatus",
    "EncodeOptions",
    "FrameDescription",
    "default_codecs",
]
