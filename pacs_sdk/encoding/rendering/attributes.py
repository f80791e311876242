"""Attributes as rendering needs them: absent ones are empty, unreadable ones a failure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pydicom.dataelem import DataElement
from pydicom.sequence import Sequence

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag, TagLike

__all__ = [
    "element",
    "functional_group",
    "items",
    "number",
    "numbers",
    "text",
    "texts",
    "unreadable",
    "whole",
]


def numbers(dataset: DicomDataset, tag: TagLike) -> tuple[float, ...]:
    """Return the values of an element; none where it is absent or empty.

    Raises:
        PacsException: ``VALUE_CONVERSION_FAILED`` where one is no number.
    """
    return raised(dataset.get_floats(tag)) if tag in dataset else ()


def number(dataset: DicomDataset, tag: TagLike) -> float | None:
    """Return the first value of an element, if there is one; fails as :func:`numbers`."""
    return next(iter(numbers(dataset, tag)), None)


def whole(dataset: DicomDataset, tag: TagLike) -> int | None:
    """Return the first value of an element as a whole number, if there is one.

    Raises:
        PacsException: ``VALUE_CONVERSION_FAILED`` where it is none.
    """
    found = number(dataset, tag)
    if found is not None and not math.isfinite(found):
        raise unreadable(tag, f"{found} is no whole number")
    return None if found is None else int(found)


def texts(dataset: DicomDataset, tag: TagLike) -> tuple[str, ...]:
    """Return the values of an element as text; none where it is absent or empty."""
    return raised(dataset.get_strings(tag)) if tag in dataset else ()


def text(dataset: DicomDataset, tag: TagLike) -> str:
    """Return the first value of an element as text without padding, or nothing."""
    return next(iter(texts(dataset, tag)), "").strip()


def items(dataset: DicomDataset, tag: TagLike) -> tuple[DicomDataset, ...]:
    """Return the items of a sequence; none where it is absent.

    Raises:
        PacsException: ``VALUE_CONVERSION_FAILED`` where it is no sequence.
    """
    return raised(dataset.get_items(tag)) if tag in dataset else ()


def functional_group(dataset: DicomDataset, frame: int, keyword: str) -> DicomDataset | None:
    """Return the item of a functional group macro that holds for a frame (PS3.3 C.7.6.16).

    Args:
        dataset: The image.
        frame: Its number, from 0.
        keyword: The sequence of the macro.

    Returns:
        The item among the Per-frame Functional Groups, else that of the shared ones, else
        nothing.
    """
    # Not by `items`, which would make a view of each of maybe thousands of frames.
    for groups, index in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        for group in _item(dataset, groups, index):
            for found in _item(group, keyword, 0):
                return found
    return None


def _item(dataset: DicomDataset, keyword: str, index: int) -> Iterator[DicomDataset]:
    if keyword not in dataset:
        return
    sequence = element(dataset, keyword).value
    if not isinstance(sequence, Sequence):
        raise unreadable(keyword, "it is no sequence")
    if index < len(sequence):
        yield DicomDataset(sequence[index])


def element(dataset: DicomDataset, tag: TagLike) -> DataElement:
    """Return an element that is there, its value decoded.

    Raises:
        PacsException: ``VALUE_CONVERSION_FAILED`` where it cannot be decoded.
    """
    try:
        return dataset.pydicom[int(DicomTag.of(tag))]
    except tuple(VALUE_ERRORS) as exc:
        raise unreadable(tag, exc) from None


def unreadable(tag: TagLike, reason: object) -> PacsException:
    """Make the error for a value that cannot be read."""
    named = DicomTag.of(tag)
    return PacsException(
        ErrorCode.VALUE_CONVERSION_FAILED,
        f"{named} {named.keyword} cannot be read: {reason}",
        tag=str(named),
    )
