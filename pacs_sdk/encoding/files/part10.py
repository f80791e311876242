"""Reading files: preamble, File Meta Information, data set (PS3.10 Chapter 7)."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import (
    BinaryStream,
    ByteSource,
    FileBytes,
    MemoryBytes,
    StreamBytes,
)
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.uids import (
    checked_uid,
    is_valid_uid,
)
from pacs_sdk.encoding.byte_spool import ByteSpool
from pacs_sdk.encoding.charsets import DEFAULT_POLICY, CharacterSetPolicy
from pacs_sdk.encoding.datasets.elements import (
    LONG_VRS,
    SHORT_VRS,
    Encoded,
    Layout,
    layout_of,
    plain_bytes,
    read_header,
)
from pacs_sdk.encoding.datasets.header import INDEX_TAGS, InstanceHeader
from pacs_sdk.encoding.datasets.scanner import scanned
from pacs_sdk.encoding.files.data_set_end import check_complete, pixels_are_compressed
from pacs_sdk.encoding.files.file_meta import (
    MEDIA_SOP_TAGS,
    SOP_TAGS,
    TRANSFER_SYNTAX_TAG,
    identifiers,
    meta_begin,
    read_meta,
    uid_text,
)
from pacs_sdk.encoding.instance import HEAD_BYTES, Instance
from pacs_sdk.encoding.transfer_syntax import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TransferSyntax,
    known_transfer_syntax,
)

__all__ = [
    "MAX_STREAM_BYTES",
    "read_bytes",
    "read_file",
    "read_file_header",
    "read_media_uids",
    "read_source",
    "read_stream",
]

MAX_STREAM_BYTES: Final = 1 << 36
"""The most that is taken from a stream without an end in sight, 64 GiB: the largest
whole-slide images stay below, and an endless stream would fill the disk."""

_STREAM_PIECE_BYTES: Final = 1 << 20

_SOP_CLASS, _SOP_INSTANCE = SOP_TAGS
_LONGEST_ELEMENT_HEADER: Final = 12

_BINARY: Final = getattr(os, "O_BINARY", 0)
"""Windows opens files as text otherwise."""


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
    place = path if isinstance(path, Path) else Path(path)
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
    return _opened(FileBytes(place, 0, status.st_size, status.st_mtime_ns), str(place))


@edge({FileNotFoundError: ErrorCode.FILE_NOT_FOUND, OSError: ErrorCode.FILE_READ_FAILED})
def read_file_header(
    path: str | os.PathLike[str],
    tags: Collection[int] = INDEX_TAGS,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> InstanceHeader:
    """Take some attributes out of a DICOM file, the quickest way there is.

    Nothing after the last of them is looked at: whether the file goes on to its end is for
    :func:`read_file` to say.

    Args:
        path: As for :func:`read_file`.
        tags: The attributes wanted.
        policy: How text is decoded where Specific Character Set is absent or wrong.

    Returns:
        ``Success`` with those that are there, or ``Failure`` with the codes of
        :func:`read_file`.
    """
    try:
        number = os.open(path, os.O_RDONLY | _BINARY)
    except ValueError:  # a NUL in the name
        raise PacsException(ErrorCode.FILE_NOT_FOUND, f"there is no file {path}") from None
    try:
        status = os.fstat(number)
        head = os.read(number, HEAD_BYTES) if stat.S_ISREG(status.st_mode) else b""
    finally:
        os.close(number)
    header = _header_in(head, status.st_size, tags, policy)
    if header is None:  # it takes more than the head, or there is something to complain of
        return raised(raised(read_file(path)).header(tags, policy))
    return header


def _header_in(
    head: bytes, size: int, tags: Collection[int], policy: CharacterSetPolicy
) -> InstanceHeader | None:
    """Scan the beginning of a file; ``None`` where that does not suffice."""
    try:
        begin = meta_begin(head)
        if begin is None:
            return None
        meta, start = read_meta(head, begin, size)
        syntax = known_transfer_syntax(uid_text(meta.get(TRANSFER_SYNTAX_TAG)))
        if syntax.deflated or start == size:
            return None
        header = scanned(head[start:], syntax, tags, policy)
    except PacsException:
        return None
    # At the very end of the head, an element may end by chance.
    return header if start + header.stop_offset < len(head) or len(head) == size else None


@edge({FileNotFoundError: ErrorCode.FILE_NOT_FOUND, OSError: ErrorCode.FILE_READ_FAILED})
def read_media_uids(path: str | os.PathLike[str]) -> tuple[str, str]:
    """Read which instance the File Meta Information of a file is about.

    Args:
        path: As for :func:`read_file`.

    Returns:
        ``Success`` with Media Storage SOP Class and SOP Instance UID, empty where they are not
        there or no UIDs; or ``Failure`` with ``FILE_NOT_FOUND``, ``FILE_READ_FAILED``,
        ``TRUNCATED`` or ``INVALID_FILE_META``.
    """
    source = FileBytes.of(Path(path))
    head = source.head(HEAD_BYTES)
    begin = meta_begin(head)
    meta = {} if begin is None else read_meta(head, begin, source.size)[0]
    uids = (uid_text(meta.get(tag)) for tag in MEDIA_SOP_TAGS)
    sop_class, sop_instance = (uid if is_valid_uid(uid) else "" for uid in uids)
    return sop_class, sop_instance


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


@edge({OSError: ErrorCode.FILE_READ_FAILED})
def read_stream(
    stream: BinaryStream, name: str = "the stream", *, limit: int = MAX_STREAM_BYTES
) -> Instance:
    """Open a DICOM file that comes from a stream, from the stream's position on.

    Args:
        stream: What to read. Of one that can be sought, bytes are read when they are asked
            for, so it has to stay open as long as the instance is used. Any other is read to
            its end, a large one into a temporary file.
        name: What to call it in messages.
        limit: The most bytes that are taken from a stream that cannot be sought.

    Returns:
        As :func:`read_file`; ``LIMIT_EXCEEDED`` too for a stream beyond the limit, and
        ``FILE_WRITE_FAILED`` where the temporary file cannot be written.
    """
    if stream.seekable():
        return _opened(StreamBytes.of(stream), name)
    spool, taken = ByteSpool(), 0
    while piece := stream.read(_STREAM_PIECE_BYTES):
        taken += len(piece)
        if taken > limit:
            raise PacsException(
                ErrorCode.LIMIT_EXCEEDED, f"{name} has more than {limit} bytes", limit=limit
            )
        spool.write(piece)
    return _opened(spool.finish(), name)


def _opened(source: ByteSource, name: str) -> Instance:
    try:
        return _instance(source, plain_bytes(source.head(HEAD_BYTES)))
    except PacsException as exc:
        error = exc.error
        raise PacsException(
            error.code, f"{name}: {error.message}", **{**error.details, "path": name}
        ) from None


def _instance(source: ByteSource, head: Encoded) -> Instance:
    begin = meta_begin(head)
    is_file = begin is not None
    meta, start = ({}, 0) if begin is None else read_meta(head, begin, source.size)
    encoded, data = source.slice(start), head[start:]
    if is_file and not data:
        raise PacsException(
            ErrorCode.TRUNCATED, "the file ends after its header, no data set follows"
        )
    named = uid_text(meta.get(TRANSFER_SYNTAX_TAG))
    syntax = known_transfer_syntax(named) if named else _guessed_syntax(data, is_file)
    try:
        check_complete(encoded, data, syntax)
    except PacsException:
        if not is_file and not _shows_sop_class(data, syntax):
            raise _not_dicom(head) from None
        raise
    if not named and pixels_are_compressed(encoded, syntax):
        raise PacsException(
            ErrorCode.MISSING_TRANSFER_SYNTAX,
            "the Pixel Data is compressed and no transfer syntax says how",
        )
    try:
        told = _told_uids(encoded, data, syntax)
    except PacsException:
        if not all(map(is_valid_uid, identifiers(meta, {}))):
            raise
        told = {}  # who looks at the data set is told what is wrong with it
    sop_class, sop_instance = identifiers(meta, told)
    return Instance(
        checked_uid(sop_class, "SOP Class UID"),
        checked_uid(sop_instance, "SOP Instance UID"),
        syntax.uid,
        encoded,
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


def _told_uids(encoded: ByteSource, head: Encoded, syntax: TransferSyntax) -> Mapping[int, bytes]:
    """Take the value bytes of :data:`SOP_TAGS` from a data set, which mostly begins with them."""
    if not syntax.deflated:
        found = _first_uids(head, layout_of(head, syntax))
        if len(found) == len(SOP_TAGS):
            return found
    return raised(Instance("", "", syntax.uid, encoded).header(SOP_TAGS)).raw


def _first_uids(data: Encoded, layout: Layout) -> dict[int, bytes]:
    """Walk the first elements as far as they are in order and short."""
    found: dict[int, bytes] = {}
    pos, last = 0, len(data) - _LONGEST_ELEMENT_HEADER
    while pos <= last:
        tag, _, length, start = read_header(data, pos, layout)
        pos = start + length
        if tag > _SOP_INSTANCE or pos > len(data):
            break
        if tag in SOP_TAGS:
            found[tag] = bytes(data[start:pos])
    return found
