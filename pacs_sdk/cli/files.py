"""DICOM files that a command is given: named one by one, and all in folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from pacs_sdk.cli.errors import describe
from pacs_sdk.cli.output import ProgressBar

if TYPE_CHECKING:
    from pacs_sdk.core.errors import PacsError
    from pacs_sdk.encoding import Instance

__all__ = ["Found", "find_instances", "skipped", "with_path"]


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
    from pacs_sdk.core.results import Failure, Success
    from pacs_sdk.encoding import find_files

    found = Found()
    for file in find_files(paths):
        progress.advance()
        match file.result:
            case Success(instance):
                found.files.append((file.path, instance))
            case Failure(error) if file.is_beside:
                found.ignored.append(skipped(file.path, error))
            case Failure(error):
                found.broken.append(with_path(file.path, error))
    return found


def skipped(path: Path | str, error: PacsError) -> str:
    """Describe a file that lies beside the instances of a folder."""
    is_text = error.code.name == "NOT_DICOM"
    return f"{path}: skipped, {'not DICOM' if is_text else 'a DICOMDIR'}"


def with_path(path: Path | str, error: PacsError) -> str:
    """Describe what went wrong with a file, its path in front."""
    words = describe(error)
    return words if str(path) in words else f"{path}: {words}"
