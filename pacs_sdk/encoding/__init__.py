"""Bytes to data sets and back: transfer syntaxes, headers, files, pixels."""

from pacs_sdk.encoding.charsets import (
    CharacterSetPolicy,
    CharacterSets,
    Undecodable,
    character_sets,
    charset_for,
)
from pacs_sdk.encoding.codecs import (
    CODEC_ENTRY_POINTS,
    Capability,
    Codec,
    CodecRegistry,
    CodecStatus,
    EncodeOptions,
    FrameDescription,
    default_codecs,
)
from pacs_sdk.encoding.datasets.header import INDEX_TAGS, InstanceHeader
from pacs_sdk.encoding.datasets.reader import decode_dataset
from pacs_sdk.encoding.datasets.scanner import scan_header
from pacs_sdk.encoding.datasets.writer import encode_dataset
from pacs_sdk.encoding.files.folders import FoundFile, find_files
from pacs_sdk.encoding.files.frame_writer import write_frames
from pacs_sdk.encoding.files.part10 import (
    read_bytes,
    read_file,
    read_file_header,
    read_source,
    read_stream,
)
from pacs_sdk.encoding.files.part10_writer import part10_header, write_file
from pacs_sdk.encoding.instance import Instance, instance_from_dataset
from pacs_sdk.encoding.pixel_data.encapsulation import (
    EncapsulatedValue,
    OffsetTable,
    OffsetTables,
    encapsulate,
)
from pacs_sdk.encoding.pixel_data.pixel_layout import FrameChoice
from pacs_sdk.encoding.pixels import ImageSource, decode_frames
from pacs_sdk.encoding.transcoding.encoded_frames import (
    EncodedFrames,
    encoded_frames,
    rebuild_offset_table,
)
from pacs_sdk.encoding.transcoding.transcode import transcode
from pacs_sdk.encoding.transfer_syntax import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    all_transfer_syntaxes,
    transfer_syntax,
)
from pacs_sdk.encoding.validation.checks import Finding, ValidationMode, validate_dataset
from pacs_sdk.encoding.values import ElementValue, decode_values, encode_values

__all__ = [
    "CODEC_ENTRY_POINTS",
    "DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN",
    "EXPLICIT_VR_BIG_ENDIAN",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "IMPLICIT_VR_LITTLE_ENDIAN",
    "INDEX_TAGS",
    "Capability",
    "CharacterSetPolicy",
    "CharacterSets",
    "Codec",
    "CodecRegistry",
    "CodecStatus",
    "ElementValue",
    "EncapsulatedValue",
    "EncodeOptions",
    "EncodedFrames",
    "Finding",
    "FoundFile",
    "FrameChoice",
    "FrameDescription",
    "ImageSource",
    "Instance",
    "InstanceHeader",
    "OffsetTable",
    "OffsetTables",
    "TransferSyntax",
    "Undecodable",
    "ValidationMode",
    "all_transfer_syntaxes",
    "character_sets",
    "charset_for",
    "decode_dataset",
    "decode_frames",
    "decode_values",
    "default_codecs",
    "encapsulate",
    "encode_dataset",
    "encode_values",
    "encoded_frames",
    "find_files",
    "instance_from_dataset",
    "part10_header",
    "read_bytes",
    "read_file",
    "read_file_header",
    "read_source",
    "read_stream",
    "rebuild_offset_table",
    "scan_header",
    "transcode",
    "transfer_syntax",
    "validate_dataset",
    "write_file",
    "write_frames",
]
