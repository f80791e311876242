"""Files: preamble, File Meta Information, data set (PS3.10 Chapter 7)."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import struct
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource, FileBytes, MemoryBytes, random_access
from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import edge
from pacs_sdk.core.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    checked_uid,
    is_valid_uid,
)
from pacs_sdk.encoding.deflated import check_inflates, deflated_pieces
from pacs_sdk.encoding.elements import (
    EXPLICIT_LITTLE,
    ITEM,
    LONG_VRS,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Encoded,
    bad_item,
    layout_of,
    plain_bytes,
    read_header,
    truncated,
    truncated_header,
)
from pacs_sdk.encoding.instance import HEAD_BYTES, Instance, sop_uids_of
from pacs_sdk.encoding.scanner import PIXEL_DATA_GROUP, is_complete, scanned
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    known_transfer_syntax,
)
from pacs_sdk.encoding.validation import ValidationMode, check_dataset
from pacs_sdk.encoding.writer import encoded_pieces, syntax_of

__all__ = ["part10_header", "read_bytes", "read_file", "read_source", "write_file"]

_PREAMBLE_BYTES: Final = 128
_PREFIX: Final = b"DICM"
_META_GROUP: Final = 0x0002

_COPY_BYTES: Final = 1 << 23
"""How much of an instance is in memory while it is written to a file."""

_GROUP_LENGTH: Final = 0x00020000
_MEDIA_SOP_CLASS: Final = 0x00020002
_MEDIA_SOP_INSTANCE: Final = 0x00020003
_TRANSFER_SYNTAX: Final = 0x00020010
_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018

_OB_VERSION: Final = struct.pack("<HH2sHI2s", _META_GROUP, 0x0001, b"OB", 0, 2, b"\0\1")
"""File Meta Information Version: the second bit of two bytes is version 1."""

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
    try:
        status = place.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        raise PacsException(
            ErrorCode.FILE_NOT_FOUND, f"there is no file {place}", path=str(place)
        ) from None
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
        raise PacsException(
            ErrorCode.FILE_READ_FAILED, f"{place} is {kind}, not a file", path=str(place)
        )
    return _opened(FileBytes(place, 0, status.st_size), str(place))


@edge()
def read_bytes(data: Buffer) -> Instance:
    """Open a DICOM file that is in memory; the bytes are shared, not copied.

    Returns:
        As :func:`read_file`.
    """
    return _opened(MemoryBytes(data), "the data")


@edge({FileNotFoundError: ErrorCode.FILE_NOT_FOUND, OSError: ErrorCode.FILE_READ_FAILED})
def read_source(source: ByteSource, name: str) -> Instance:
    """Open a DICOM file from any source of bytes.

    Args:
        source: The whole file.
        name: What to call it in messages.

    Returns:
        As :func:`read_file`.
    """
    return _opened(source, name)


def _opened(source: ByteSource, name: str) -> Instance:
    try:
        return _instance(source, plain_bytes(source.head(HEAD_BYTES)))
    except PacsException as exc:
        error = exc.error
        raise PacsException(
            error.code, f"{name}: {error.message}", **{**error.details, "path": name}
        ) from None


def _instance(source: ByteSource, head: Encoded) -> Instance:
    begin = _meta_begin(head)
    is_file = begin is not None
    meta, start = ({}, 0) if begin is None else _read_meta(head, begin, source.size)
    encoded, data = source.slice(start), head[start:]
    if is_file and not data:
        raise PacsException(
            ErrorCode.TRUNCATED, "the file ends after its header, no data set follows"
        )
    named = _uid_text(meta.get(_TRANSFER_SYNTAX))
    syntax = known_transfer_syntax(named) if named else _guessed_syntax(data, is_file)
    try:
        _check_complete(encoded, data, syntax)
    except PacsException:
        if not is_file and not _shows_sop_class(data, syntax):
            raise _not_dicom(head) from None
        raise
    if not named and _pixels_are_compressed(encoded, syntax):
        raise PacsException(
            ErrorCode.MISSING_TRANSFER_SYNTAX,
            "the Pixel Data is compressed and no transfer syntax says how",
        )
    sop_class, sop_instance = _identifiers(meta, encoded, syntax)
    return Instance(sop_class, sop_instance, syntax.uid, encoded)


def _meta_begin(head: Encoded) -> int | None:
    """Find where the File Meta Information begins; ``None`` if nothing announces it.

    Some writers leave out the preamble, some the prefix with it.
    """
    for offset in (_PREAMBLE_BYTES, 0):
        if bytes(head[offset : offset + 4]) == _PREFIX:
            return offset + 4
    return 0 if bytes(head[:6]) == b"\2\0\0\0UL" else None


def _read_meta(head: Encoded, begin: int, size: int) -> tuple[dict[int, bytes], int]:
    """Read the File Meta Information (PS3.10 7.1), Explicit VR Little Endian always.

    The elements decide where it ends, not (0002,0000), which many writers get wrong. It
    is believed only where the transfer syntax was read before the end it names: a
    deflated data set may begin like one more element.

    Returns:
        The value bytes by tag, nothing where there is no meta; and where the data set
        begins.
    """
    meta: dict[int, bytes] = {}
    pos, announced_end = begin, -1
    while len(head) - pos >= 8:
        if pos == announced_end and _TRANSFER_SYNTAX in meta:
            break
        tag, _, length, value = read_header(head, pos, EXPLICIT_LITTLE)
        if tag >> 16 != _META_GROUP:
            break
        if length > len(head) - value:
            raise _meta_cut(length, len(head), size)
        meta[tag] = bytes(head[value : value + length])
        pos = value + length
        if tag == _GROUP_LENGTH and length == 4:
            announced_end = pos + struct.unpack("<I", meta[tag])[0]
    if announced_end > size and pos > size - 8:
        raise _meta_cut(announced_end - begin, len(head), size)
    return meta, pos


def _meta_cut(length: int, known: int, size: int) -> PacsException:
    if known < size:
        return PacsException(
            ErrorCode.INVALID_FILE_META,
            f"the File Meta Information is longer than {HEAD_BYTES} bytes, the most that is read",
            limit=HEAD_BYTES,
        )
    return PacsException(
        ErrorCode.TRUNCATED,
        f"the file ends at byte {size}, inside the File Meta Information, "
        f"which announces {length} bytes more than that",
        size=size,
    )


def _guessed_syntax(data: Encoded, is_file: bool) -> TransferSyntax:
    """Tell a native data set's syntax from its first element, in group 0008."""
    first, letters = bytes(data[:2]), bytes(data[4:6])
    explicit = letters in SHORT_VRS or letters in LONG_VRS
    if first == b"\x08\x00":
        return EXPLICIT_VR_LITTLE_ENDIAN if explicit else IMPLICIT_VR_LITTLE_ENDIAN
    if first == b"\x00\x08" and explicit:
        return EXPLICIT_VR_BIG_ENDIAN
    if is_file:
        raise PacsException(
            ErrorCode.MISSING_TRANSFER_SYNTAX,
            "the File Meta Information names no transfer syntax, and the data set shows none",
        )
    raise _not_dicom(data)


def _shows_sop_class(data: Encoded, syntax: TransferSyntax) -> bool:
    """Whether a bare data set that is damaged begins like one all the same."""
    try:
        return is_valid_uid(scanned(data, syntax, (_SOP_CLASS,)).text(_SOP_CLASS))
    except PacsException:
        return False


def _not_dicom(head: Encoded) -> PacsException:
    if not head:
        return PacsException(ErrorCode.NOT_DICOM, "it is empty")
    return PacsException(
        ErrorCode.NOT_DICOM,
        "it is not DICOM: neither DICM after 128 bytes nor a data set, "
        f"but {bytes(head[:8])!r} at its beginning",
    )


def _check_complete(encoded: ByteSource, head: Encoded, syntax: TransferSyntax) -> None:
    """Raise ``TRUNCATED`` if the data set doesn't reach its end; only headers are looked at."""
    if syntax.deflated:
        check_inflates(encoded.view())  # the stream has an end of its own
    elif not is_complete(head, encoded.size, syntax):
        # Of a large file only the pages of the header are touched.
        is_complete(
            encoded.view(), encoded.size, syntax, lambda start: _fragments_end(encoded, start)
        )


def _fragments_end(encoded: ByteSource, pos: int) -> int:
    """Walk the items of encapsulated Pixel Data (PS3.5 A.4), reading their headers only."""
    with random_access(encoded) as read:
        while True:
            header = read(pos, 8)
            if len(header) < 8:
                raise truncated_header(encoded.size, pos)
            group, element, length = EXPLICIT_LITTLE.unpack_implicit(header, 0)
            tag = group << 16 | element
            if tag == SEQUENCE_END:
                return pos + 8
            if tag != ITEM or length == UNDEFINED_LENGTH:
                raise bad_item(tag, pos)
            if length > encoded.size - pos - 8:
                raise truncated(tag, pos, length, encoded.size - pos - 8)
            pos += 8 + length


def _pixels_are_compressed(encoded: ByteSource, syntax: TransferSyntax) -> bool:
    view = encoded.view()
    stop = scanned(view, syntax, ()).stop_offset
    layout = layout_of(view, syntax)
    if stop >= len(view):
        return False
    tag, _, length, _ = read_header(view, stop, layout)
    return tag >> 16 == PIXEL_DATA_GROUP and length == UNDEFINED_LENGTH


def _identifiers(
    meta: dict[int, bytes], encoded: ByteSource, syntax: TransferSyntax
) -> tuple[str, str]:
    """Take SOP Class and SOP Instance UID from the meta, or else from the data set."""
    sop_class = _uid_text(meta.get(_MEDIA_SOP_CLASS))
    sop_instance = _uid_text(meta.get(_MEDIA_SOP_INSTANCE))
    if not (is_valid_uid(sop_class) and is_valid_uid(sop_instance)):
        header = scanned(encoded.view(), syntax, (_SOP_CLASS, _SOP_INSTANCE))
        sop_class = header.text(_SOP_CLASS) or sop_class
        sop_instance = header.text(_SOP_INSTANCE) or sop_instance
    return (
        checked_uid(sop_class, "SOP Class UID"),
        checked_uid(sop_instance, "SOP Instance UID"),
    )


def _uid_text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1").strip(" \0")


# -- writing -------------------------------------------------------------------------


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
    uids = (
        (0x0002, checked_uid(sop_class_uid, "SOP Class UID")),
        (0x0003, checked_uid(sop_instance_uid, "SOP Instance UID")),
        (0x0010, checked_uid(transfer_syntax_uid, "transfer syntax UID")),
        (0x0012, IMPLEMENTATION_CLASS_UID),
    )
    elements = [_OB_VERSION, *(_meta_element(number, b"UI", text, b"\0") for number, text in uids)]
    elements.append(_meta_element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b" "))
    if source_ae_title.strip():
        elements.append(_meta_element(0x0016, b"AE", source_ae_title.strip()[:16], b" "))
    meta = b"".join(elements)
    group_length = struct.pack("<HH2sHI", _META_GROUP, 0x0000, b"UL", 4, len(meta))
    return bytes(_PREAMBLE_BYTES) + _PREFIX + group_length + meta


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
    place = Path(path)
    if not place.parent.is_dir():
        raise PacsException(
            ErrorCode.FILE_WRITE_FAILED, f"there is no folder {place.parent}", path=str(place)
        )
    _write_atomically(place, itertools.chain((header,), pieces))
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


def _write_atomically(place: Path, parts: Iterable[Buffer]) -> None:
    temporary = place.with_name(f".{place.name[:64]}.{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
