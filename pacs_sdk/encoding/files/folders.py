"""DICOM files named one by one, and all that lie in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.encoding.files.part10 import read_file
from pacs_sdk.encoding.instance import Instance

__all__ = ["FoundFile", "files_below", "find_files"]

_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage: a DICOMDIR under any name (PS3.10 8.6)."""


@attrs.frozen
class FoundFile:
    """A file, and what it holds."""

    path: Path
    """Where it is."""
    result: PacsResult[Instance]
    """The instance, or why there is none."""
    is_beside: bool = False
    """Whether it only lies in a folder that was named and is no instance, such as a text or
    a DICOMDIR: nothing that anybody expected to be one."""


def find_files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[FoundFile]:
    """Open every file that is named, and every file in the folders that are named.

    One after the other, when it is asked for; those of a folder in the order of their names,
    to any depth. Pipes and devices in a folder are passed over. What could not be opened is
    given with the reason.

    Args:
        paths: Files and folders.
    """
    for path, is_named in files_below(paths):
        yield _found(path, is_named=is_named)


def files_below(paths: Iterable[str | os.PathLike[str]]) -> Iterator[tuple[Path, bool]]:
    """List each file, unopened, and whether it was named itself."""
    for named in paths:
        path = Path(named)
        if not path.is_dir():
            yield path, True
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                if file.is_file():  # a pipe would never end, a dangling link is nothing
                    yield file, False


def _found(path: Path, *, is_named: bool) -> FoundFile:
    if not is_named and path.name.upper() == "DICOMDIR":
        return FoundFile(path, _directory(path, is_named=False), is_beside=True)
    result = read_file(path)
    match result:
        case Success(instance) if instance.sop_class_uid == _MEDIA_DIRECTORY:
            return FoundFile(path, _directory(path, is_named=is_named), is_beside=not is_named)
        case Failure(error) if error.code is ErrorCode.NOT_DICOM and not is_named:
            return FoundFile(path, result, is_beside=True)
    return FoundFile(path, result)


def _directory(path: Path, *, is_named: bool) -> PacsResult[Instance]:
    words = f"{path} is a DICOMDIR, no instance"
    if is_named:
        words += "; name the folder it is in"
    return Failure(PacsError(ErrorCode.OPERATION_NOT_SUPPORTED, words, {"path": str(path)}))
