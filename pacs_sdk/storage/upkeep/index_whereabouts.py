"""Where the index of an archive is: in its folder, or where a URL says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import URL

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.index.index_database import index_url
from pacs_sdk.storage.index.schema import checked_url, is_sqlite_url
from pacs_sdk.storage.objects.disk import reason_of, sync_folder

__all__ = ["INDEX_NAME", "check_place", "file_of", "index_address", "is_elsewhere", "note_place"]

INDEX_NAME: Final = "index.sqlite"
"""The index, in the archive's folder."""

_ELSEWHERE_NAME: Final = "index-elsewhere"
"""An empty file in the folder of an archive whose index is not there."""


def index_address(data_dir: Path, database_url: str | None) -> URL:
    """Return the URL of an archive's index.

    Args:
        data_dir: The archive's folder.
        database_url: Where the index is; in the folder by default.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a URL that cannot be understood.
    """
    return index_url(data_dir / INDEX_NAME) if database_url is None else checked_url(database_url)


def file_of(address: URL) -> Path | None:
    """Return the file that an index is in; ``None`` where it is on a server."""
    return Path(str(address.database)) if is_sqlite_url(address) else None


def is_elsewhere(data_dir: Path) -> bool:
    """Tell whether an archive was last opened with an index that is not in its folder."""
    return (data_dir / _ELSEWHERE_NAME).exists()


def check_place(data_dir: Path, database_url: str | None) -> None:
    """Refuse to look into the folder for an index that is not there.

    Args:
        data_dir: The archive's folder.
        database_url: Where the index is said to be; in the folder by default.

    Raises:
        PacsException: ``INVALID_ARGUMENT``.
    """
    if database_url is None and is_elsewhere(data_dir):
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"the index of {data_dir} is not in that folder, but in the database that the archive "
            "was last opened with: name that, by storage.database_url of the settings or by "
            "database_url",
            path=str(data_dir),
        )


def note_place(data_dir: Path, *, elsewhere: bool) -> None:
    """Leave a note for whoever looks for the index in the folder, and have it on the disk.

    Args:
        data_dir: The archive's folder.
        elsewhere: Whether the index is not there.

    Raises:
        PacsException: ``STORAGE_WRITE_FAILED``.
    """
    marker = data_dir / _ELSEWHERE_NAME
    try:
        if marker.exists() == elsewhere:
            return
        if elsewhere:
            marker.touch()
        else:
            marker.unlink(missing_ok=True)
        sync_folder(data_dir)
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_WRITE_FAILED,
            f"{marker} cannot be written: {reason_of(exc)}",
            path=str(marker),
        ) from exc
