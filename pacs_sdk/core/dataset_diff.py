"""What differs between two data sets, each finding with its path."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs_sdk.core.automatic_vr import UNREADABLE
from pacs_sdk.core.element import DicomElement
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.model_values import binary_value
from pacs_sdk.core.path import MAX_PATH_STEPS, DatasetPath, PathStep
from pacs_sdk.core.path_access import name_in
from pacs_sdk.core.private_block import PrivateTag, creator_of
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, VrKind

__all__ = ["Difference", "DifferenceKind", "diff_datasets", "same_datasets", "same_values"]


class DifferenceKind(enum.StrEnum):
    """How two data sets differ at a path."""

    ADDED = "added"
    """Only the right one has it."""
    REMOVED = "removed"
    """Only the left one has it."""
    CHANGED = "changed"
    """Both have the element, with another value or another VR."""


@attrs.frozen
class Difference:
    """One finding of a comparison."""

    kind: DifferenceKind
    """Whether it was added, removed or changed, going from left to right."""
    path: DatasetPath
    """Where: an element, or an item that only one sequence has."""
    left: Any
    """The left :class:`DicomElement`, or item; ``None`` where it was added."""
    right: Any
    """The right one; ``None`` where it was removed."""

    def __str__(self) -> str:
        """One line without values, which may be a patient's: the kind and the path."""
        return f"{self.kind} {self.path}"


_WORDS_OR_BYTES: Final = frozenset((VR.OB, VR.OW))


def same_datasets(left: Dataset, right: Dataset) -> bool:
    """Whether :func:`diff_datasets` finds nothing."""
    if _plainly_same(left, right, 0):
        return True
    return next(diff_datasets(left, right, lambda item: item), None) is None


def _plainly_same(left: Dataset, right: Dataset, depth: int) -> bool:
    """Whether data sets are the same element by element, told without decoding what is bytes.

    Several times faster than looking for differences, and says nothing about others.
    """
    if left is right:
        return True
    if depth == MAX_PATH_STEPS or left.original_encoding[1] != right.original_encoding[1]:
        return False
    return left.keys() == right.keys() and all(
        _plainly_same_element(left, right, tag, depth)
        for tag in left.keys()  # noqa: SIM118  # iterating a Dataset decodes its elements
    )


def _plainly_same_element(left: Dataset, right: Dataset, tag: BaseTag, depth: int) -> bool:
    one, other = stored_element(left, tag), stored_element(right, tag)
    if isinstance(one, RawDataElement) and isinstance(other, RawDataElement):
        return one.VR == other.VR and one.value == other.value
    try:
        one, other = left[tag], right[tag]
    except UNREADABLE:
        return False
    if one.VR != other.VR:
        return False
    if one.VR != VR.SQ:
        return bool(one.value == other.value)
    return len(one.value) == len(other.value) and all(
        _plainly_same(*pair, depth + 1) for pair in zip(one.value, other.value, strict=True)
    )


def diff_datasets(
    left: Dataset, right: Dataset, item: Callable[[Dataset], Any]
) -> Iterator[Difference]:
    """Yield what differs, in the order of the tags, going into sequences item by item.

    Private elements are compared by their creator, so that a block that merely lies
    elsewhere is no difference (PS3.5 7.8.1), nor is one that is reserved and empty. Nor is
    how data sets are encoded: group lengths are left out (PS3.5 7.2), words that were read
    big endian are compared as numbers, and Pixel Data and its like may be OB in one and OW
    in the other, as the transfer syntax demands (PS3.5 Annex A). A value that can't be
    decoded is compared by its bytes.

    Args:
        left: The first data set.
        right: The second.
        item: Makes the view of an item that only one of them has.
    """
    yield from _diff(left, right, (), item)


def _diff(
    left: Dataset, right: Dataset, before: tuple[PathStep, ...], item: Callable[[Dataset], Any]
) -> Iterator[Difference]:
    if len(before) == MAX_PATH_STEPS:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"sequences are nested deeper than {MAX_PATH_STEPS}"
        )
    lefts, rights = _names(left), _names(right)
    for name in sorted({*lefts, *rights}, key=_order):
        path = DatasetPath((*before, PathStep(name)))
        one = _view(left, lefts.get(name), item)
        other = _view(right, rights.get(name), item)
        if one is None or other is None:
            kind = DifferenceKind.ADDED if one is None else DifferenceKind.REMOVED
            yield Difference(kind, path, one, other)
        elif one.vr == other.vr == VR.SQ:
            pair = left[int(lefts[name])].value, right[int(rights[name])].value
            yield from _diff_items(*pair, path, item)
        elif not (_same_vr(one, other) and same_values(one.values, other.values)):
            yield Difference(DifferenceKind.CHANGED, path, one, other)


def _diff_items(
    lefts: list[Dataset], rights: list[Dataset], path: DatasetPath, item: Callable[[Dataset], Any]
) -> Iterator[Difference]:
    shared = min(len(lefts), len(rights))
    for index in range(shared):
        yield from _diff(lefts[index], rights[index], path.item(index).steps, item)
    for index in range(shared, len(lefts)):
        view = item(lefts[index])
        yield Difference(DifferenceKind.REMOVED, path.item(index), view, None)
    for index in range(shared, len(rights)):
        view = item(rights[index])
        yield Difference(DifferenceKind.ADDED, path.item(index), None, view)


def _names(dataset: Dataset) -> dict[DicomTag | PrivateTag, DicomTag]:
    """Return the elements to compare, by the name that both data sets share."""
    names: dict[DicomTag | PrivateTag, DicomTag] = {}
    for number in dataset.keys():  # noqa: SIM118  # iterating a Dataset decodes its elements
        tag = DicomTag(int(number))
        if tag.element == 0:
            continue
        if _reserves_block(dataset, tag):
            continue
        names[name_in(dataset, tag)] = tag
    return names


def _reserves_block(dataset: Dataset, tag: DicomTag) -> bool:
    if not (tag.is_private and 0x10 <= tag.element <= 0xFF):
        return False
    # One that no path can name (empty, too long, a second time) is compared like any other.
    first = DicomTag(tag.group << 16 | tag.element << 8)
    return isinstance(name_in(dataset, first), PrivateTag)


def _order(name: DicomTag | PrivateTag) -> tuple[int, str, int]:
    match name:
        case PrivateTag():
            return name.group << 16 | 0x1000, name.creator, name.offset
        case _:
            return int(name), "", 0


def _view(
    dataset: Dataset, tag: DicomTag | None, item: Callable[[Dataset], Any]
) -> DicomElement | None:
    if tag is None:
        return None
    creator = creator_of(dataset, tag)
    try:
        element = dataset[int(tag)]
    except UNREADABLE:
        raw = stored_element(dataset, int(tag))
        return DicomElement(tag, str(raw.VR or tag.dictionary_vr), (raw.value,), creator)
    view = DicomElement.of(element, creator, item)
    if view.values and dataset.original_encoding[1] is False and view.vr in VR.__members__:
        vr = VR(view.vr)
        if vr.kind is VrKind.BYTES:
            return attrs.evolve(view, values=(binary_value(dataset, tag, vr, view.value),))
    return view


def _same_vr(one: DicomElement, other: DicomElement) -> bool:
    if one.vr == other.vr:
        return True
    both = {one.vr, other.vr}
    return both <= _WORDS_OR_BYTES and one.tag.dictionary_vr == "OB or OW"


def same_values(left: tuple[Any, ...], right: tuple[Any, ...]) -> bool:
    """Whether two elements' values are the same; NaN is the same as NaN."""
    return len(left) == len(right) and all(
        one == other or (_is_nan(one) and _is_nan(other))
        for one, other in zip(left, right, strict=True)
    )


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
