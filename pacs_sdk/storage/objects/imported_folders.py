"""Folders of DICOM files that the archive reads where they are.

An object in such a folder has a key of its own kind, which no other object can have, because
ordinary keys hold no colon::

    import:1:some folder/IM 0001

``1`` names the folder, and what follows is the path below it. Which folders there are is
declared in ``imported-folders.json`` in the archive's folder, and nowhere else: a key alone
opens nothing. It is a file, not a table, because it must outlive the index.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.storage.objects.backend import (
    DuplicatePolicy,
    StorageBackend,
    StorageHealth,
    StoredObject,
)
from pacs_sdk.storage.objects.disk import reason_of, sync_folder, write_new
from pacs_sdk.storage.objects.object_files import CopiedBytes, reading

__all__ = [
    "DECLARATIONS_NAME",
    "IMPORT_PREFIX",
    "ImportedFolder",
    "declare_folder",
    "declared_folders",
]

IMPORT_PREFIX: Final = "import:"
"""What the keys of all objects in imported folders begin with."""

DECLARATIONS_NAME: Final = "imported-folders.json"

_MAX_KEY_CHARACTERS: Final = 4096
"""Linux allows no longer path."""

_NOT_READ: Final = "an imported folder is only read, and nothing in it is changed"


class ImportedFolder(StorageBackend):
    """The files of one declared folder, read-only. Symbolic links are not followed.

    Args:
        name: Its name in keys.
        root: The folder, absolute; it need not be there just now.
    """

    def __init__(self, name: str, root: Path) -> None:
        self.prefix = f"{IMPORT_PREFIX}{name}:"
        """What the keys of its objects begin with."""
        self.root = root
        """The folder."""
        self.unnameable: list[str] = []
        """The files that the last :meth:`list` left out, as far as their names can be written."""

    @edge()
    def put(
        self,
        key: str,
        parts: Sequence[Buffer],
        *,
        policy: DuplicatePolicy = DuplicatePolicy.REJECT,
    ) -> StoredObject:
        """Refuse with ``STORAGE_WRITE_FAILED``."""
        raise PacsException(ErrorCode.STORAGE_WRITE_FAILED, f"{key}: {_NOT_READ}", key=key)

    @edge()
    def open(self, key: str) -> ByteSource:
        """Give an object's bytes; see :meth:`StorageBackend.open`."""
        target, size = self._existing(key)
        return CopiedBytes(target, 0, size)

    @edge()
    def stat(self, key: str) -> StoredObject:
        """Tell an object's size."""
        return StoredObject(key, self._existing(key)[1])

    @edge()
    def delete(self, key: str) -> None:
        """Refuse with ``STORAGE_DELETE_FAILED``."""
        raise PacsException(ErrorCode.STORAGE_DELETE_FAILED, f"{key}: {_NOT_READ}", key=key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all files whose keys begin with a text, folder by folder.

        A file whose name is no UTF-8 text has no key, and is left out; see
        :attr:`unnameable`.

        Raises:
            PacsException: ``STORAGE_READ_FAILED``.
        """
        self.unnameable = []
        for stored in self._walk(self.root, ""):
            if stored.key.startswith(prefix):
                yield stored

    @edge()
    def health(self) -> StorageHealth:
        """Tell that nothing can be written; ``STORAGE_READ_FAILED`` where it isn't there."""
        if not self.root.is_dir():
            raise self._gone()
        return StorageHealth(free_bytes=0, writable=False)

    def close(self) -> None:
        """Do nothing: nothing is held."""

    # -- inside ------------------------------------------------------------------

    def _gone(self) -> PacsException:
        return PacsException(
            ErrorCode.STORAGE_READ_FAILED,
            f"the imported folder {self.root} is not there (is its disk mounted?)",
            path=str(self.root),
        )

    def _walk(self, folder: Path, above: str) -> Iterator[StoredObject]:
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as exc:
            if not above:
                raise self._gone() from exc
            if isinstance(exc, FileNotFoundError | NotADirectoryError):
                return  # it was removed meanwhile
            raise PacsException(
                ErrorCode.STORAGE_READ_FAILED,
                f"the folder {folder} could not be read: {reason_of(exc)}",
                path=str(folder),
            ) from exc
        for entry in found:
            if not _is_text(entry.name):
                self.unnameable.append(_written(f"{self.prefix}{above}{entry.name}"))
                continue
            below = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), f"{below}/")
            elif entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    size = entry.stat(follow_symlinks=False).st_size
                    yield StoredObject(f"{self.prefix}{below}", size)

    def _existing(self, key: str) -> tuple[Path, int]:
        """Find an object's file, every folder on the way being one and no link."""
        path = self.root
        components = self._components(key)
        with reading(key):
            for component in components[:-1]:
                path /= component
                if not stat.S_ISDIR(path.lstat().st_mode):
                    raise FileNotFoundError
            path /= components[-1]
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError
        return path, status.st_size

    def _components(self, key: str) -> tuple[str, ...]:
        components = tuple(key.removeprefix(self.prefix).split("/"))
        if (
            not key.startswith(self.prefix)
            or len(key) > _MAX_KEY_CHARACTERS
            or any(one in ("", ".", "..") or "\0" in one for one in components)
            or (os.sep != "/" and os.sep in key)
        ):
            raise PacsException(
                ErrorCode.INVALID_STORAGE_KEY,
                f"{key[:80]!r} cannot name an object of an imported folder",
                key=key[:512],
            )
        return components


def declared_folders(data_dir: Path) -> tuple[ImportedFolder, ...]:
    """Return the imported folders of an archive.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` where the declarations cannot be understood,
            ``STORAGE_READ_FAILED`` where they cannot be read.
    """
    place = data_dir / DECLARATIONS_NAME
    try:
        declared = json.loads(place.read_text("utf-8"))
        folders = [(str(name), Path(path)) for name, path in declared["folders"].items()]
    except FileNotFoundError:
        return ()
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_READ_FAILED, f"{place} could not be read: {reason_of(exc)}"
        ) from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise _not_understood(place) from exc
    if not all(name.isdigit() and path.is_absolute() for name, path in folders):
        raise _not_understood(place)
    return tuple(ImportedFolder(name, path) for name, path in folders)


def declare_folder(data_dir: Path, folder: Path) -> ImportedFolder:
    """Declare a folder, so that its files can be objects of the archive.

    Args:
        data_dir: The archive's folder.
        folder: A folder that is there; the declaration names where it really is.

    Returns:
        The folder; the one that is declared already if it is.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` where there is no such folder, or it holds the
            archive, lies in it, or overlaps with one that is declared;
            ``STORAGE_WRITE_FAILED``; as :func:`declared_folders`.
    """
    root, archive = folder.resolve(), data_dir.resolve()
    if not root.is_dir():
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT, f"there is no folder {folder}", path=str(folder)
        )
    known = declared_folders(data_dir)
    for one in known:
        if one.root == root:
            return one
    for other in (archive, *(one.root for one in known)):
        if root.is_relative_to(other) or other.is_relative_to(root):
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{root} and {other} overlap; name a folder that lies apart",
                path=str(root),
            )
    numbers = [int(one.prefix.removeprefix(IMPORT_PREFIX).rstrip(":")) for one in known]
    made = ImportedFolder(str(max(numbers, default=0) + 1), root)
    _write(data_dir, (*known, made))
    return made


def _write(data_dir: Path, folders: Sequence[ImportedFolder]) -> None:
    names = {one.prefix.removeprefix(IMPORT_PREFIX).rstrip(":"): str(one.root) for one in folders}
    place = data_dir / DECLARATIONS_NAME
    unfinished = place.with_suffix(".part")
    try:
        text = json.dumps({"folders": names}, indent=2, ensure_ascii=False)
        unfinished.unlink(missing_ok=True)
        write_new(unfinished, [text.encode()], durable=True)
        unfinished.replace(place)
        sync_folder(data_dir)
    except (OSError, UnicodeEncodeError) as exc:
        reason = reason_of(exc) if isinstance(exc, OSError) else "the path is no UTF-8 text"
        raise PacsException(
            ErrorCode.STORAGE_WRITE_FAILED, f"{place} could not be written: {reason}"
        ) from exc


def _not_understood(place: Path) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_CONFIGURATION,
        f"{place} cannot be understood; it has to be of the form "
        '{"folders": {"1": "/an/absolute/path"}}',
        path=str(place),
    )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _written(name: str) -> str:
    """Write a name so that it can be shown."""
    return name.encode("utf-8", "backslashreplace").decode()
