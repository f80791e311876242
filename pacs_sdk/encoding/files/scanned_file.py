"""Opening a file and reading it up to its pixels, in one step."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.core.byte_source import FileBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.encoding.datasets.elements import UNDEFINED_LENGTH, layout_of, read_header
from pacs_sdk.encoding.datasets.header import InstanceHeader
from pacs_sdk.encoding.datasets.scanner import scanned
from pacs_sdk.encoding.files.file_meta import (
    SOP_TAGS,
    TRANSFER_SYNTAX_TAG,
    identifiers,
    meta_begin,
    read_meta,
    uid_text,
)
from pacs_sdk.encoding.files.part10 import read_file
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.transfer_syntax import known_transfer_syntax

__all__ = ["ScannedFile", "scan_file"]

_PIXEL_DATA: Final = 0x7FE00010
_LONGEST_ELEMENT_HEADER: Final = 12
_QUICK_HEAD_BYTES: Final = 16 * 1024
"""What is read of a file at first. Most headers are shorter."""

_OPENING: Final = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Windows opens files as text otherwise, and a pipe would be waited for."""


@attrs.frozen
class ScannedFile:
    """A file that was opened and read up to its pixels."""

    instance: Instance
    """The instance."""
    header: InstanceHeader
    """Some of its attributes."""
    pixels: tuple[int, int] | None
    """Where in the data set the value of native Pixel Data begins, and its length; ``None``
    where that was not seen, as with compressed pixels."""


@edge({FileNotFoundError: ErrorCode.FILE_NOT_FOUND, OSError: ErrorCode.FILE_READ_FAILED})
def scan_file(path: Path, tags: Collection[int]) -> ScannedFile:
    """Open a DICOM file and take some attributes out of it, with one read of its beginning.

    Native Pixel Data is checked to be all there. Of compressed Pixel Data the end is not
    looked at: decoding finds what is missing.

    Args:
        path: As for :func:`read_file`.
        tags: The attributes wanted, up to one right before Pixel Data.

    Returns:
        ``Success``, or ``Failure`` with the codes of :func:`read_file`.
    """
    found = _scanned_quickly(path, tags)
    if found is not None:
        return found
    instance = raised(read_file(path))
    return ScannedFile(instance, raised(instance.header(tags)), None)


def _scanned_quickly(path: Path, tags: Collection[int]) -> ScannedFile | None:
    """Scan a usual file; ``None`` for what is unusual, or wrong."""
    head, size, modified_ns = _beginning(path)
    try:
        begin = meta_begin(head)
        if begin is None:
            return None
        meta, start = read_meta(head, begin, size)
        syntax = known_transfer_syntax(uid_text(meta.get(TRANSFER_SYNTAX_TAG)))
        if syntax.deflated:
            return None
        data = head[start:]
        header = scanned(data, syntax, frozenset((*tags, *SOP_TAGS)))
        sop_class, sop_instance = identifiers(meta, header.raw)
        if not (is_valid_uid(sop_class) and is_valid_uid(sop_instance)):
            return None
    except PacsException:
        return None
    at = header.stop_offset
    if at > len(data) - _LONGEST_ELEMENT_HEADER:
        return None
    encoded = FileBytes(path, start, size - start, modified_ns)
    tag, _, length, value = read_header(data, at, layout_of(data, syntax))
    compressed = length == UNDEFINED_LENGTH
    if tag != _PIXEL_DATA or (length > encoded.size - value and not compressed):
        return None
    instance = Instance(sop_class, sop_instance, syntax.uid, encoded)
    return ScannedFile(instance, header, None if compressed else (value, length))


def _beginning(path: Path) -> tuple[bytes, int, int]:
    """Return the first bytes of a file, its size, and when it was changed; nothing of no file."""
    try:
        number = os.open(path, _OPENING)
    except ValueError:  # a NUL in the name
        return b"", 0, 0
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            return b"", 0, 0
        return os.read(number, _QUICK_HEAD_BYTES), status.st_size, status.st_mtime_ns
    finally:
        os.close(number)
