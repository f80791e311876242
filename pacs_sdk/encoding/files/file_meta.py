"""File Meta Information: where it is, what it says (PS3.10 Chapter 7)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.encoding.datasets.elements import EXPLICIT_LITTLE, Encoded, read_header
from pacs_sdk.encoding.instance import HEAD_BYTES

__all__ = [
    "MEDIA_SOP_TAGS",
    "SOP_TAGS",
    "TRANSFER_SYNTAX_TAG",
    "identifiers",
    "meta_begin",
    "read_meta",
    "uid_text",
]

SOP_TAGS: Final = (0x00080016, 0x00080018)
"""SOP Class UID and SOP Instance UID of a data set."""
MEDIA_SOP_TAGS: Final = (0x00020002, 0x00020003)
"""The same in File Meta Information: Media Storage SOP Class UID and SOP Instance UID."""
TRANSFER_SYNTAX_TAG: Final = 0x00020010
"""Transfer Syntax UID."""

_PREAMBLE_BYTES: Final = 128
_PREFIX: Final = b"DICM"
_META_GROUP: Final = 0x0002
_GROUP_LENGTH: Final = 0x00020000


def meta_begin(head: Encoded) -> int | None:
    """Find where the File Meta Information begins; ``None`` if nothing announces it.

    Some writers leave out the preamble, some the prefix with it.
    """
    for offset in (_PREAMBLE_BYTES, 0):
        if bytes(head[offset : offset + 4]) == _PREFIX:
            return offset + 4
    return 0 if bytes(head[:6]) == b"\2\0\0\0UL" else None


def read_meta(head: Encoded, begin: int, size: int) -> tuple[dict[int, bytes], int]:
    """Read the File Meta Information (PS3.10 7.1), Explicit VR Little Endian always.

    The elements decide where it ends, not (0002,0000), which many writers get wrong. It
    is believed only where the transfer syntax was read before the end it names: a
    deflated data set may begin like one more element.

    Returns:
        The value bytes by tag, nothing where there is no meta; and where the data set
        begins.
    """
    meta: dict[int, bytes] = {}
    known = len(head)
    pos, announced_end = begin, -1
    while known - pos >= 8:
        if pos == announced_end and TRANSFER_SYNTAX_TAG in meta:
            break
        tag, _, length, value = read_header(head, pos, EXPLICIT_LITTLE)
        if tag >> 16 != _META_GROUP:
            break
        pos = value + length
        if pos > known:
            raise _meta_cut(length, known, size)
        meta[tag] = bytes(head[value:pos])
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


def identifiers(meta: Mapping[int, bytes], told: Mapping[int, bytes]) -> tuple[str, str]:
    """Choose SOP Class and SOP Instance UID, each from the data set or else from the meta.

    Who makes one file of another often leaves the old UIDs in its meta (pydicom's ``save_as``
    does), so that a whole series may have one; what the instance is, its data set says.

    Args:
        meta: The value bytes of the File Meta Information, by tag.
        told: Those that the data set has of :data:`SOP_TAGS`.

    Returns:
        Both, not checked; empty where neither has it.
    """
    chosen = []
    for tag, media_tag in zip(SOP_TAGS, MEDIA_SOP_TAGS, strict=True):
        uids = [uid for uid in (uid_text(told.get(tag)), uid_text(meta.get(media_tag))) if uid]
        chosen.append(next(filter(is_valid_uid, uids), uids[0] if uids else ""))
    return chosen[0], chosen[1]


def uid_text(value: bytes | None) -> str:
    """Return the text of a UID's value, without padding."""
    return (value or b"").decode("latin-1").strip(" \0")
