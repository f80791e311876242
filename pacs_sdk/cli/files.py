"""DICOM files that a command is given: named one by one, and all in folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from pacs_sdk.cli.errors import describe
from pacs_sdk.cli.output import ProgressBar

if TYPE_CHECKING:
    from pacs_sdk.core.errors import PacsError
    from pacs_sdk.encoding import Instance

__all__ = ["Found", "find_instances", "with_path"]

_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage: a DICOMDIR under any name (PS3.10 8.6)."""


@attrs.define
class Found:
    """What the paths hold."""

    files: list[tuple[Path, Instance]] = attrs.field(factory=list)
    """What can be read, with its path."""
    broken: list[str] = attrs.field(factory=list)
    """What should have been read and cannot be, each with the reason."""
    ignored: list[str] = attrs.field(factory=list)
    """Files in folders that are no instances, each with the reason."""


def find_instances(paths: Sequence[Path], progress: ProgressBar) -> Found:
    """Open every file that is named, and every file of the folders that are named."""
    from pacs_sdk.core.errors import ErrorCode
    from pacs_sdk.core.results import Failure, Success
    from pacs_sdk.encoding import read_file

    found = Found()
    for path, is_named in _files(paths):
        progress.advance()
        if not is_named and path.name.upper() == "DICOMDIR":
            found.ignored.append(f"{path}: skipped, a DICOMDIR")
            continue
        match read_file(path):
            case Success(instance) if instance.sop_class_uid == _MEDIA_DIRECTORY:
                (found.broken if is_named else found.ignored).append(
                    f"{path}: skipped, a DICOMDIR; name the folder it is in"
                )
            case Success(instance):
                found.files.append((path, instance))
            case Failure(error) if error.code is ErrorCode.NOT_DICOM and not is_named:
                found.ignored.append(f"{path}: skipped, not DICOM")
            case Failure(error):
                found.broken.append(with_path(path, error))
    return found


def _files(paths: Sequence[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield each file, and whether it was named itself; those of a folder in their order."""
    for path in paths:
        if not path.is_dir():
            yield path, True
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            for name in sorted(names):
                file = Path(folder, name)
                if file.is_file():  # a pipe would never end, a dangling link is nothing
                    yield file, False


def with_path(path: Path, error: PacsError) -> str:
    """Describe what went wrong with a file, its path in front."""
    words = describe(error)
    return words if str(path) in words else f"{path}: {words}"
