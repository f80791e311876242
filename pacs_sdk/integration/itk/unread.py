"""What an unreadable file may have been a part of, as far as its beginning tells."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import PacsError, PacsException
from pacs_sdk.core.results import Failure, raised
from pacs_sdk.encoding.files.file_meta import meta_begin, read_meta, uid_text
from pacs_sdk.encoding.files.scanned_file import scan_file
from pacs_sdk.encoding.instance import HEAD_BYTES, Instance
from pacs_sdk.encoding.rendering.attributes import text
from pacs_sdk.integration.itk.report import Skipped
from pacs_sdk.integration.itk.sources import SCAN_TAGS

__all__ = ["unread_of_series"]

_TRANSFER_SYNTAX: Final = 0x00020010


def unread_of_series(skipped: Iterable[Skipped]) -> dict[str, PacsError]:
    """Find the series that unreadable files say they are of, before they end or go wrong.

    Args:
        skipped: What was left out when the headers of a source were read. What is no file, or
            does not say its series, is passed over.

    Returns:
        By Series Instance UID what reading the first such file gives.
    """
    found: dict[str, PacsError] = {}
    for path in map(Path, (one.name for one in skipped)):
        if not path.is_file():  # nor is anything waited for that a pipe may bring
            continue
        series = _series_of(path)
        if not series or series in found:
            continue
        match scan_file(path, SCAN_TAGS):
            case Failure(error):
                found[series] = error
    return found


def _series_of(path: Path) -> str:
    """Read Series Instance UID and nothing behind it; empty where that cannot be."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        begin = meta_begin(head)
        if begin is None:
            return ""
        meta, start = read_meta(head, begin, len(head))
        syntax_uid = uid_text(meta.get(_TRANSFER_SYNTAX))
        instance = Instance("", "", syntax_uid, MemoryBytes(head[start:]))
        return text(raised(instance.dataset(until="StudyID")), "SeriesInstanceUID")
    except (PacsException, OSError):
        return ""
