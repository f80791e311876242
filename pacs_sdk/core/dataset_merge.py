"""Two data sets made into one, with a policy for what both have."""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset_diff import same_values
from pacs_sdk.core.element import DicomElement, element_of_vr, make_element
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.model_values import binary_value
from pacs_sdk.core.path import DatasetPath, PathStep
from pacs_sdk.core.path_access import name_in
from pacs_sdk.core.private_block import PrivateTag, creator_of, reserve_block
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR, VrKind

__all__ = ["ConflictPolicy", "MergeConflict", "OnConflict", "merge_datasets"]


class ConflictPolicy(enum.StrEnum):
    """What a merge does with an element that both data sets have with other values."""

    KEEP = "keep"
    """Keep the first data set's."""
    REPLACE = "replace"
    """Take the second data set's."""
    ERROR = "error"
    """Fail, naming the path."""


@attrs.frozen
class MergeConflict:
    """An element that both data sets have, with different values or VRs."""

    path: DatasetPath
    """Which element."""
    base: DicomElement
    """The first data set's."""
    other: DicomElement
    """The second data set's."""


OnConflict: TypeAlias = ConflictPolicy | str | Callable[[MergeConflict], Any]
"""A policy, its name, or a function that gets the conflict and returns what to take: its
``base``, its ``other``, or a value of its own."""


def merge_datasets(
    base: Dataset, other: Dataset, on_conflict: OnConflict, item: Callable[[Dataset], Any]
) -> Dataset:
    """Return a new data set with the elements of both; neither of them is changed.

    A sequence is one value: its items are not mixed, because their order alone doesn't
    say which belong together. A private element goes into the block that its creator
    has in the result, wherever that lies (PS3.5 7.8.1).

    Raises:
        PacsException: ``INVALID_ARGUMENT`` for a policy that isn't one or, by the policy
            ``error``, for a conflict; ``LIMIT_EXCEEDED`` where no private block is free.
    """
    decide = _decision(on_conflict)
    result = copy.deepcopy(base)
    for number in sorted(other.keys()):
        tag = DicomTag(int(number))
        if tag.element == 0 or (tag.is_private and 0x10 <= tag.element <= 0xFF):
            continue  # group lengths are the writer's; blocks are reserved as they are used
        name = name_in(other, tag)
        here = name.in_dataset(result) if isinstance(name, PrivateTag) else name
        new = other[int(tag)]
        value = _in_order_of(result, other, tag, new)
        if here is None or int(here) not in result:
            _put(result, name, new.VR, copy.deepcopy(value))
            continue
        theirs = DicomElement.of(new, creator_of(other, tag), item)
        if value is not new.value:
            theirs = attrs.evolve(theirs, values=(value,))
        conflict = MergeConflict(
            DatasetPath((PathStep(name),)),
            DicomElement.of(result[int(here)], creator_of(result, here), item),
            theirs,
        )
        if _agree(conflict):
            continue
        choice = decide(conflict)
        if choice is conflict.other:
            _put(result, name, new.VR, copy.deepcopy(value))
        elif choice is not conflict.base:
            _put_choice(result, name, conflict, choice)
    return result


def _in_order_of(result: Dataset, other: Dataset, tag: DicomTag, new: DataElement) -> Any:
    """Return a value, its words in the byte order that the result has them in."""
    binary = new.VR in VR.__members__ and VR(new.VR).kind is VrKind.BYTES
    if not binary or not new.value:
        return new.value
    little = binary_value(other, tag, VR(new.VR), new.value)
    return binary_value(result, tag, VR(new.VR), little)  # there is one way to swap words


def _agree(conflict: MergeConflict) -> bool:
    one, two = conflict.base, conflict.other
    return one.vr == two.vr and same_values(one.values, two.values)


def _put(result: Dataset, name: DicomTag | PrivateTag, vr: str, value: Any) -> None:
    tag = name
    if isinstance(name, PrivateTag):
        tag = name.in_block(reserve_block(result, name.group, name.creator))
    number = int(tag)  # type: ignore[arg-type]  # a tag by now
    result[number] = element_of_vr(number, vr, value)


def _put_choice(
    result: Dataset, name: DicomTag | PrivateTag, conflict: MergeConflict, choice: Any
) -> None:
    vr, value = conflict.base.vr, choice
    if isinstance(choice, DicomElement):
        vr, value = choice.vr, list(choice.values) if choice.multiplicity != 1 else choice.value
    made = make_element(conflict.base.tag, value, vr)
    _put(result, name, made.VR, copy.deepcopy(made.value))


def _decision(on_conflict: OnConflict) -> Callable[[MergeConflict], Any]:
    match on_conflict:
        case ConflictPolicy.KEEP:
            return lambda conflict: conflict.base
        case ConflictPolicy.REPLACE:
            return lambda conflict: conflict.other
        case ConflictPolicy.ERROR:
            return _refuse
        case str():
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{on_conflict!r} is no conflict policy: use keep, replace, error or a function",
            )
    return on_conflict


def _refuse(conflict: MergeConflict) -> Any:
    raise PacsException(
        ErrorCode.INVALID_ARGUMENT,
        f"both data sets have {conflict.path}, with different values",
        path=str(conflict.path),
    )
