"""Decoding of data sets (PS3.5 Chapter 7) into pydicom's model."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag, TagLike
from pacs_sdk.encoding.charsets import (
    DEFAULT_POLICY,
    CharacterSetPolicy,
    effective_character_sets,
)
from pacs_sdk.encoding.datasets.deflated import inflate
from pacs_sdk.encoding.datasets.element_reader import MAX_ELEMENTS, MAX_ITEMS, ElementReader, Found
from pacs_sdk.encoding.datasets.elements import Encoded, layout_of, plain_bytes
from pacs_sdk.encoding.datasets.lazy_dataset import (
    Inherited,
    LazyDataset,
    build_dataset,
    build_foreign,
)
from pacs_sdk.encoding.datasets.scanner import PIXEL_DATA_GROUP, PIXEL_TAGS
from pacs_sdk.encoding.transfer_syntax import TransferSyntax

__all__ = ["Selection", "decode_dataset", "decoded"]

_PIXEL_REPRESENTATION: Final = 0x00280103
_NEEDED_FOR_OTHERS: Final = frozenset((SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION))
"""Without these, text and ``US or SS`` could not be told; nor without its private creator, whose
VR is not written, a private element."""


class Selection:
    """Which top-level elements are wanted.

    Args:
        until: The first tag that is not wanted; it and all after it are not read.
        tags: The only tags that are wanted.
    """

    def __init__(self, until: TagLike | None = None, tags: Collection[TagLike] | None = None):
        self.tags = None if tags is None else frozenset(int(DicomTag.of(tag)) for tag in tags)
        ends = [] if until is None else [int(DicomTag.of(until))]
        self._kept = _NEEDED_FOR_OTHERS
        if self.tags is not None:
            self._kept |= self.tags | set(map(_owner, self.tags))
            ends.append(max(self._kept) + 1)
        self.end = min(ends, default=None)
        """The first tag that need not be read; ``None`` where all are."""

    @property
    def stops_before_pixels(self) -> bool:
        """Whether group 7FE0 is not read."""
        return self.end is not None and self.end <= PIXEL_DATA_GROUP << 16 | 0x10

    def apply(self, found: Found) -> None:
        """Remove what is not wanted."""
        if self.tags is None:
            return
        for tag in [tag for tag in found if tag not in self._kept]:
            del found[tag]


def _owner(tag: int) -> int:
    """Return the tag of its private creator (PS3.5 7.8.1), or the tag of what has none."""
    owned = tag >> 16 & 1 and tag & 0xFF00
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF if owned else tag


@edge()
def decode_dataset(
    data: Buffer,
    syntax: TransferSyntax,
    *,
    until: TagLike | None = None,
    tags: Collection[TagLike] | None = None,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> DicomDataset:
    """Decode a data set.

    The structure of what is read is checked to its end; values and items are made when they
    are looked at.

    Args:
        data: The data set, without file meta.
        syntax: How it is encoded.
        until: Stop before this tag; what follows is not looked at.
        tags: Keep these top-level elements only, and Specific Character Set, Pixel
            Representation and private creators, which others need; what follows the last is not
            looked at.
        policy: How text is decoded where Specific Character Set is absent or wrong.

    Returns:
        ``Success``, or ``Failure`` with ``TRUNCATED``, ``DECODE_FAILED`` or
        ``LIMIT_EXCEEDED`` naming tag and byte offset, or ``INVALID_TAG``. What follows
        Pixel Data and is no element is left out.
    """
    encoded: Encoded = inflate(data) if syntax.deflated else plain_bytes(data)
    return DicomDataset(decoded(encoded, syntax, Selection(until, tags), policy)[0])


def decoded(
    data: Encoded,
    syntax: TransferSyntax,
    selection: Selection,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> tuple[LazyDataset, int]:
    """Do what :func:`decode_dataset` does, for use inside this layer.

    Args:
        data: The data set, not deflated.
        syntax: How it is encoded.
        selection: What of it is wanted.
        policy: How text is decoded.

    Returns:
        The data set, and the offset of the first element header that was not read.

    Raises:
        PacsException: The failures of :func:`decode_dataset`.
    """
    layout = layout_of(data, syntax)
    reader = ElementReader(data, MAX_ITEMS, MAX_ELEMENTS)
    found: Found = {}
    stop = len(data)
    try:
        if selection.end is None:
            stop = reader.read(found, 0, stop, layout)
        else:
            stop = reader.read(found, 0, stop, layout, until=selection.end)
    except PacsException as exc:
        if exc.error.code is ErrorCode.LIMIT_EXCEEDED or PIXEL_TAGS.isdisjoint(found):
            raise
    inherited = Inherited(effective_character_sets(None, policy), policy=policy)
    dataset = build_dataset(found, layout, inherited)
    selection.apply(found)
    build_foreign(dataset, reader)
    return dataset, stop
