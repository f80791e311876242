"""Files: preamble, File Meta Information, data set (PS3.10 Chapter 7)."""

from __future__ import annotations

import contextlib
import os
import struct
import uuid
from pathlib import Path
from typing import Final

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes
from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Success, edge, raised
from pacs_sdk.core.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    checked_uid,
    is_valid_uid,
)
from pacs_sdk.encoding.deflated import inflate
from pacs_sdk.encoding.elements import (
    EXPLICIT_LITTLE,
    UNDEFINED_LENGTH,
    Encoded,
    plain_bytes,
    read_header,
)
from pacs_sdk.encoding.header import InstanceHeader
from pacs_sdk.encoding.instance import HEAD_BYTES, Instance, instance_from_dataset
from pacs_sdk.encoding.scanner import PIXEL_DATA_GROUP, is_complete, scan_header
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    known_transfer_syntax,
)
from pacs_sdk.encoding.writer import syntax_of

__all__ = ["part10_header", "read_bytes", "read_file", "read_source", "write_file"]

_PREAMBLE_BYTES: Final = 128
_PREFIX: Final = b"DICM"
_META_GROUP: Final = 0x0002

_GROUP_LENGTH: Final = 0x00020000
_SOP_CLASS: Final = 0x00020002
_SOP_INSTANCE: Final = 0x00020003
_TRANSFER_SYNTAX: Final = 0x00020010

_DATASET_SOP_CLASS: Final = 0x00080016
_DATASET_SOP_INSTANCE: Final = 0x00080018

# -- reading -------------------------------------------------------------------------


@edge({FileNotFoundError: ErrorCode.FILE_NOT_FOUND, OSError: ErrorCode.FILE_READ_FAILED})
def read_file(path: str | os.PathLike[str]) -> Instance:
    """Open a DICOM file.

    Its header is read and its end is checked; the data set stays in the file.

    Args:
        path: A file with File Meta Information, or a bare data set that is plainly one.

    Returns:
        ``Success`` with the instance, or ``Failure`` with ``FILE_NOT_FOUND``,
        ``FILE_READ_FAILED`` (a folder, no permission), ``NOT_DICOM``, ``TRUNCATED``,
        ``INVALID_FILE_META``, ``MISSING_TRANSFER_SYNTAX``,
        ``UNSUPPORTED_TRANSFER_SYNTAX``, ``MISSING_REQUIRED_VALUE``, ``INVALID_UID``,
        ``DECODE_FAILED`` or ``LIMIT_EXCEEDED``.
    """
    place = Path(path)
    if place.is_dir():
        raise PacsException(
            ErrorCode.FILE_READ_FAILED, f"{place} is a folder, not a file", path=str(place)
        )
    try:
        source = FileBytes.of(place)
    except FileNotFoundError:
        raise PacsException(
            ErrorCode.FILE_NOT_FOUND, f"there is no file {place}", path=str(place)
        ) from None
    return raised(read_source(source, str(place)))


@edge()
def read_bytes(data: Buffer) -> Instance:
    """Open a DICOM file that is in memory; the bytes are shared, not copied.

    Returns:
        As :func:`read_file`.
    """
    return raised(read_source(MemoryBytes(data), "the data"))


@edge({FileNotFoundError: ErrorCode.FILE_NOT_FOUND, OSError: ErrorCode.FILE_READ_FAILED})
def read_source(source: ByteSource, name: str) -> Instance:
    """Open a DICOM file from any source of bytes.

    Args:
        source: The whole file.
        name: What to call it in messages.

    Returns:
        As :func:`read_file`.
    """
    head = plain_bytes(source.head(HEAD_BYTES))
    try:
        return _instance(source, head, name)
    except PacsException as exc:
        error = exc.error
        if name in error.message:
            raise
        raise PacsException(
            error.code, f"{name}: {error.message}", **{**error.details, "path": name}
        ) from None
