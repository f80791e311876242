"""Blocks of private elements and who owns them (PS3.5 7.8.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Self

import attrs
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pacs_sdk.core.element import VALUE_ERRORS, DicomElement, make_element
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR

__all__ = [
    "PrivateBlock",
    "PrivateTag",
    "block_number",
    "creator_of",
    "open_block",
    "reserve_block",
]

_MAX_CREATOR_CHARACTERS: Final = 64
"""What an LO may hold (PS3.5 Table 6.2-1)."""

_BYTES: Final = range(0x100)


def _unpadded(text: str) -> str:
    return text.strip(" ")


@attrs.frozen
class PrivateTag:
    """A private element by its owner, wherever its block lies in a data set.

    Raises:
        PacsException: ``INVALID_TAG`` for a group that can't be private, a creator that
            isn't an LO, or an offset that is no byte.
    """

    group: int
    """The odd group, 0009 to FFFD; not one of those PS3.5 7.1 forbids."""
    creator: str = attrs.field(converter=_unpadded)
    """The Private Creator, without padding."""
    offset: int
    """The last byte of the element's number, 00 to FF."""

    def __attrs_post_init__(self) -> None:
        if not (self.group & 1 and 0x0009 <= self.group <= 0xFFFD):
            raise _no_tag(f"group {self.group:#06x} is not a private one")
        if not 0 <= self.offset <= 0xFF:
            raise _no_tag(f"{self.offset:#x} is not the last byte of an element number")
        if not 1 <= len(self.creator) <= _MAX_CREATOR_CHARACTERS:
            raise _no_tag(f"a private creator has 1 to {_MAX_CREATOR_CHARACTERS} characters")
        if "\\" in self.creator or not self.creator.isprintable():
            raise _no_tag(f"{self.creator!r} has characters that no private creator may have")

    def __str__(self) -> str:
        """Show it as a path does, a quote within the creator doubled."""
        quoted = self.creator.replace('"', '""')
        return f'({self.group:04X},"{quoted}",{self.offset:02X})'

    def in_dataset(self, dataset: Dataset) -> DicomTag | None:
        """Return the tag it has in a data set, or ``None`` where its owner has no block."""
        block = block_number(dataset, self.group, self.creator)
        return None if block is None else self.in_block(block)

    def in_block(self, block: int) -> DicomTag:
        """Return the tag it has in a block, 10 to FF."""
        return DicomTag(self.group << 16 | block << 8 | self.offset)


def _no_tag(message: str) -> PacsException:
    return PacsException(ErrorCode.INVALID_TAG, message)


def block_number(dataset: Dataset, group: int, creator: str) -> int | None:
    """Return the block, 10 to FF, that a creator holds in a group; ``None`` for none."""
    wanted = creator.strip(" ")
    for block in range(0x10, 0x100):
        if _holder(dataset, group, block) == wanted:
            return block
    return None


def reserve_block(dataset: Dataset, group: int, creator: str) -> int:
    """Return the block of a creator, reserving the first free one where it has none.

    Raises:
        PacsException: ``LIMIT_EXCEEDED``: all 240 blocks of the group are taken.
    """
    name = PrivateTag(group, creator, 0).creator  # checks both
    found = block_number(dataset, group, name)
    if found is not None:
        return found
    tags = {int(tag) for tag in dataset.keys()}  # noqa: SIM118  # iterating decodes elements
    used = {tag >> 8 & 0xFF for tag in tags if tag >> 16 == group}
    for block in range(0x10, 0x100):
        holder = group << 16 | block
        if holder not in dataset and block not in used:
            dataset[holder] = DataElement(holder, "LO", name)
            return block
    raise PacsException(
        ErrorCode.LIMIT_EXCEEDED, f"all blocks of the private group {group:04X} are taken"
    )


def creator_of(dataset: Dataset, tag: DicomTag) -> str:
    """Return who owns a private element of a data set; empty if nobody says so."""
    block = tag.element >> 8
    return _holder(dataset, tag.group, block) if tag.is_private and block >= 0x10 else ""


def _holder(dataset: Dataset, group: int, block: int) -> str:
    tag = group << 16 | block
    if tag not in dataset:
        return ""
    value = dataset[tag].value
    if isinstance(value, bytes):  # UN: it came through software without a dictionary
        value = value.decode("ascii", "replace")
    return value.strip(" \0") if isinstance(value, str) else ""


class PrivateBlock:
    """The elements that one creator owns in one group of a data set.

    Elements are named by the last byte of their number. The view stays right when other
    blocks come and go, because it looks its own up each time.

    Args:
        dataset: The data set that holds the block.
        group: The odd group.
        creator: The Private Creator.
    """

    __slots__ = ("_dataset", "_owner")

    def __init__(self, dataset: Dataset, group: int, creator: str) -> None:
        self._dataset = dataset
        self._owner = PrivateTag(group, creator, 0)

    @property
    def group(self) -> int:
        """The odd group."""
        return self._owner.group

    @property
    def creator(self) -> str:
        """The Private Creator."""
        return self._owner.creator

    @edge(VALUE_ERRORS)
    def tag(self, offset: int) -> DicomTag:
        """Return the whole tag of an element; the element itself may be absent.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_TAG`` for an offset that is no
            byte, ``ELEMENT_NOT_FOUND`` where the block was removed.
        """
        return self._tag(offset)

    @edge(VALUE_ERRORS)
    def element(self, offset: int) -> DicomElement:
        """Return an element of the block.

        Returns:
            ``Success``, or ``Failure`` with ``ELEMENT_NOT_FOUND``, ``INVALID_TAG`` or
            ``VALUE_CONVERSION_FAILED``.
        """
        tag = self._tag(offset)
        if int(tag) not in self._dataset:
            raise self._absent(offset)
        return DicomElement.of(self._dataset[int(tag)], self.creator)

    @edge(VALUE_ERRORS)
    def set(self, offset: int, value: object, vr: VR | str) -> Self:
        """Set an element of the block; a block that was removed is reserved again.

        Returns:
            ``Success`` with this block, or ``Failure`` with ``INVALID_TAG``,
            ``INVALID_VR``, ``VALUE_CONVERSION_FAILED`` or ``LIMIT_EXCEEDED``.
        """
        wanted = attrs.evolve(self._owner, offset=offset)
        element = make_element(wanted.in_block(0x10), value, vr)
        tag = wanted.in_block(reserve_block(self._dataset, self.group, self.creator))
        self._dataset[int(tag)] = DataElement(
            int(tag), element.VR, element.value, validation_mode=config.IGNORE
        )
        return self

    @edge(VALUE_ERRORS)
    def delete(self, offset: int) -> Self:
        """Remove an element of the block; failures as :meth:`element`."""
        tag = self._tag(offset)
        if int(tag) not in self._dataset:
            raise self._absent(offset)
        del self._dataset[int(tag)]
        return self

    def get(self, offset: int, default: Any = None) -> Any:
        """Return a value, or the default where it is absent, empty or can't be read."""
        value = self.element(offset).map(lambda element: element.value).value_or(None)
        return default if value is None else value

    def __contains__(self, offset: int) -> bool:
        return offset in set(self)

    def __iter__(self) -> Iterator[int]:
        """Yield the last byte of each element's number, ascending."""
        block = block_number(self._dataset, self.group, self.creator)
        if block is None:
            return
        first = self.group << 16 | block << 8
        tags = (int(tag) - first for tag in self._dataset.keys())  # noqa: SIM118
        yield from sorted(tag for tag in tags if tag in _BYTES)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<PrivateBlock {self.group:04X} {self.creator!r} of {len(self)} elements>"

    def _tag(self, offset: int) -> DicomTag:
        tag = attrs.evolve(self._owner, offset=offset).in_dataset(self._dataset)
        if tag is None:
            raise self._absent(offset)
        return tag

    def _absent(self, offset: int) -> PacsException:
        wanted = str(attrs.evolve(self._owner, offset=offset))
        return PacsException(
            ErrorCode.ELEMENT_NOT_FOUND, f"the data set has no element {wanted}", path=wanted
        )


def open_block(dataset: Dataset, group: int, creator: str, *, create: bool) -> PrivateBlock:
    """Return the block of a creator.

    Raises:
        PacsException: ``ELEMENT_NOT_FOUND`` where there is none and none is to be made,
            ``INVALID_TAG``, or ``LIMIT_EXCEEDED``.
    """
    block = PrivateBlock(dataset, group, creator)
    if create:
        reserve_block(dataset, group, creator)
    elif block_number(dataset, group, block.creator) is None:
        raise PacsException(
            ErrorCode.ELEMENT_NOT_FOUND,
            f"{block.creator!r} owns no block of group {group:04X} in the data set",
            creator=block.creator,
        )
    return block
