"""What there is to send: instances, data sets, files and folders, opened when it is their turn."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import attrs
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success, edge, raised
from pacs_sdk.encoding import Instance, ValidationMode, find_files, instance_from_dataset
from pacs_sdk.encoding.datasets.writer import syntax_of

__all__ = ["Beside", "Found", "Item", "StoreSource", "Unreadable", "found_in"]

StoreSource: TypeAlias = Instance | DatasetLike | str | os.PathLike[str]
"""One thing to send: an instance, a data set, a DICOM file, or a folder with all in it."""


@attrs.define
class Item:
    """An instance that is to be sent."""

    number: int
    """Its place among what was given."""
    source: str
    """The file it is in; empty for what is none."""
    instance: Instance
    """Its identifiers, and where its bytes are."""
    attempts: int = 0
    """How often it was sent."""


@attrs.frozen
class Unreadable:
    """Something that was to be sent and could not be opened."""

    number: int
    """Its place among what was given."""
    source: str
    """What it is."""
    error: PacsError
    """Why."""


@attrs.frozen
class Beside:
    """A file in a folder that is no instance."""

    source: str
    """Where it is."""
    error: PacsError
    """What it is."""


Found: TypeAlias = Item | Unreadable | Beside


def found_in(sources: StoreSource | Iterable[StoreSource]) -> Iterator[Found]:
    """Open what is to be sent, one after the other.

    If an iterable fails by :class:`PacsException`, that is the last that is found.

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for what cannot be sent at all.
    """
    number = 0
    for source, result, is_beside in _opened(_each(sources)):
        match result:
            case Success(instance):
                yield Item(number, source, instance)
            case Failure(error) if is_beside:
                yield Beside(source, error)
                continue
            case Failure(error):
                yield Unreadable(number, source, error)
        number += 1


def _each(sources: StoreSource | Iterable[StoreSource]) -> Iterator[StoreSource | PacsError]:
    if isinstance(sources, Instance | DicomDataset | Dataset | str | os.PathLike):
        yield sources
        return
    try:
        yield from sources
    except PacsException as exc:
        yield exc.error


def _opened(
    sources: Iterable[StoreSource | PacsError],
) -> Iterator[tuple[str, PacsResult[Instance], bool]]:
    for source in sources:
        match source:
            case Instance():
                yield "", Success(source), False
            case str() | os.PathLike():
                for file in find_files([source]):
                    yield str(file.path), file.result, file.is_beside
            case DicomDataset() | Dataset():
                yield "", _encoded(source), False
            case PacsError():
                yield "", Failure(source), False
            case _:
                raise PacsException(
                    ErrorCode.INVALID_ARGUMENT,
                    f"{type(source).__name__} cannot be sent; give instances, data sets, files "
                    "or folders",
                )


@edge()
def _encoded(dataset: DatasetLike) -> Instance:
    syntax = syntax_of(as_dataset(dataset).pydicom)
    # As it is, for a sender is no judge of what it passes on.
    return raised(instance_from_dataset(dataset, syntax, validation=ValidationMode.LENIENT))
