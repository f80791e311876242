"""Writing files: preamble, File Meta Information, data set (PS3.10 Chapter 7)."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import struct
import uuid
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import edge
from pacs_sdk.core.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    checked_uid,
)
from pacs_sdk.encoding.datasets.deflated import deflated_pieces
from pacs_sdk.encoding.datasets.writer import encoded_pieces, syntax_of
from pacs_sdk.encoding.instance import Instance, sop_uids_of
from pacs_sdk.encoding.validation.checks import ValidationMode, check_dataset

__all__ = ["checked_place", "part10_header", "write_file", "writing_atomically"]

_BEGINNING: Final = bytes(128) + b"DICM"
"""The preamble, of which no use is made, and the prefix."""

_META_GROUP: Final = 0x0002
_COPY_BYTES: Final = 1 << 23
"""How much of an instance is in memory while it is written to a file."""

_UL_ELEMENT: Final = struct.Struct("<HH2sHI")
_OB_VERSION: Final = struct.pack("<HH2sHI2s", _META_GROUP, 0x0001, b"OB", 0, 2, b"\0\1")
"""File Meta Information Version: the second bit of two bytes is version 1."""


def part10_header(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str = ""
) -> bytes:
    """Make what stands before a data set in a file (PS3.10 7.1).

    Args:
        sop_class_uid: Media Storage SOP Class UID.
        sop_instance_uid: Media Storage SOP Instance UID.
        transfer_syntax_uid: How the data set is encoded.
        source_ae_title: The AE that sent it, if one did; cut to 16 characters.

    Returns:
        128 zero bytes, ``DICM``, and the File Meta Information.

    Raises:
        PacsException: ``INVALID_UID`` or ``MISSING_REQUIRED_VALUE``.
    """
    before, behind = _around_instance_uid(sop_class_uid, transfer_syntax_uid, source_ae_title)
    uid = _meta_element(0x0003, b"UI", checked_uid(sop_instance_uid, "SOP Instance UID"), b"\0")
    group_length = _UL_ELEMENT.pack(
        _META_GROUP, 0x0000, b"UL", 4, len(before) + len(uid) + len(behind)
    )
    return b"".join((_BEGINNING, group_length, before, uid, behind))


@functools.lru_cache(256)
def _around_instance_uid(
    sop_class_uid: str, transfer_syntax_uid: str, source_ae_title: str
) -> tuple[bytes, bytes]:
    """Make the elements before SOP Instance UID and behind it, which all of a series share."""
    sop_class = checked_uid(sop_class_uid, "SOP Class UID")
    syntax = checked_uid(transfer_syntax_uid, "transfer syntax UID")
    behind = [
        _meta_element(0x0010, b"UI", syntax, b"\0"),
        _meta_element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID, b"\0"),
        _meta_element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b" "),
    ]
    if source_ae_title.strip():
        behind.append(_meta_element(0x0016, b"AE", source_ae_title.strip()[:16], b" "))
    return _OB_VERSION + _meta_element(0x0002, b"UI", sop_class, b"\0"), b"".join(behind)


def _meta_element(number: int, vr: bytes, text: str, padding: bytes) -> bytes:
    value = text.encode("ascii", errors="replace")
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", _META_GROUP, number, vr, len(value)) + value


@edge({OSError: ErrorCode.FILE_WRITE_FAILED})
def write_file(
    source: Instance | DatasetLike,
    path: str | os.PathLike[str],
    *,
    source_ae_title: str = "",
    validation: ValidationMode = ValidationMode.STRICT,
    logger: Logger | None = None,
) -> Path:
    """Write a DICOM file; it appears complete or not at all.

    The bytes go to a temporary file beside it, which is synced to the disk and then
    takes its place.

    Args:
        source: An instance, whose data set is written byte for byte as it is; or a data
            set, which is encoded in the transfer syntax of its file meta, or as it was
            read, or as Explicit VR Little Endian.
        path: Where to; an existing file is replaced.
        source_ae_title: The AE it was received from, for the file meta.
        validation: What becomes of values of a data set that break the rules of their VR.
            Values that are as they were read are not judged: what others wrote is passed on.
        logger: Where ``ValidationMode.WARN`` writes them.

    Returns:
        ``Success`` with the path, or ``Failure`` with ``FILE_WRITE_FAILED``,
        ``ENCODE_FAILED``, ``MISSING_REQUIRED_VALUE``, ``INVALID_UID``, ``INVALID_VALUE``, or
        what reading the instance gives.
    """
    if isinstance(source, Instance):
        uids = (source.sop_class_uid, source.sop_instance_uid, source.transfer_syntax_uid)
        pieces = _pieces_of(source)
    else:
        dataset = as_dataset(source)
        syntax = syntax_of(dataset.pydicom)
        uids = (*sop_uids_of(dataset), syntax.uid)
        if validation is not ValidationMode.LENIENT:
            check_dataset(dataset, validation, logger, changed_only=True)
        pieces = encoded_pieces(dataset.pydicom, syntax)
        if syntax.deflated:
            pieces = deflated_pieces(pieces)
    header = part10_header(*uids, source_ae_title)
    place = checked_place(path)
    with writing_atomically(place) as file:
        for piece in itertools.chain((header,), pieces):
            file.write(piece)
    return place


def checked_place(path: str | os.PathLike[str]) -> Path:
    """Return where a file is to be written, in a folder that is there.

    Raises:
        PacsException: ``FILE_WRITE_FAILED``.
    """
    place = Path(path)
    if not place.parent.is_dir():
        raise PacsException(
            ErrorCode.FILE_WRITE_FAILED, f"there is no folder {place.parent}", path=str(place)
        )
    return place


def _pieces_of(instance: Instance) -> Iterator[Buffer]:
    """Yield an instance's bytes, a few at a time where they are in a file."""
    encoded = instance.encoded
    for offset in range(0, max(encoded.size, 1), _COPY_BYTES):
        try:
            piece = encoded.slice(offset, _COPY_BYTES).view()
        except OSError as exc:
            raise PacsException(
                ErrorCode.FILE_READ_FAILED, f"the instance's data set could not be read: {exc}"
            ) from None
        yield piece


@contextlib.contextmanager
def writing_atomically(place: Path) -> Iterator[BufferedWriter]:
    """Open a file that takes its place, synced to the disk, when all was written to it.

    Raises:
        OSError: It cannot be written.
    """
    temporary = place.with_name(f".{place.name[:64]}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
