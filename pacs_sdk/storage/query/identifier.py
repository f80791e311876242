"""Reading the identifier of a request as text, key by key (PS3.4 C.4.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs
import pydicom
from pydicom.dataelem import RawDataElement

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.encoding import CharacterSetPolicy, InstanceHeader
from pacs_sdk.encoding.charsets import DEFAULT_POLICY

__all__ = ["SINGLE_TEXTS", "ItemKeys", "identifier_keys", "text_of", "texts_of"]

SINGLE_TEXTS: Final = frozenset(vr for vr in VR if vr.kind is VrKind.TEXT and not vr.rule.multiple)
"""VRs of one value, in which a backslash is a character and leading spaces count (PS3.5 6.2)."""


@attrs.frozen
class ItemKeys:
    """The keys in the item of a sequence (PS3.4 C.2.2.2.6)."""

    matching: Mapping[int, str] = attrs.field(factory=dict, hash=False)
    """Matching keys by tag, as DICOM text, values joined by a backslash."""
    return_keys: tuple[int, ...] = ()
    """What an item of a match has; all that the index has of it, where none are named."""


def identifier_keys(
    dataset: pydicom.Dataset, policy: CharacterSetPolicy = DEFAULT_POLICY
) -> tuple[dict[int, str], dict[int, ItemKeys]]:
    """Return the elements of an identifier as text, and the keys in its sequences.

    Args:
        dataset: The identifier.
        policy: How its text is read.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER`` for a sequence of several items.
    """
    texts: dict[int, str] = {}
    items: dict[int, ItemKeys] = {}
    for tag, value in texts_of(dataset, policy=policy):
        if isinstance(value, ItemKeys):
            items[tag] = value
            texts[tag] = ""
        else:
            texts[tag] = value
    return texts, items


def texts_of(
    dataset: pydicom.Dataset,
    character_set: bytes | None = None,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> Iterator[tuple[int, str | ItemKeys]]:
    """Yield the elements as text, those of sequences as the keys in their item.

    Not through pydicom's values: it warns of, or refuses, much that is a good matching
    key but no good value, such as ``1.2.*`` for a UID.

    Args:
        dataset: An identifier, or the item of a sequence.
        character_set: Specific Character Set of what the item is in.
        policy: How text is read.

    Raises:
        PacsException: ``FIND_INVALID_IDENTIFIER`` for a sequence of several items.
    """
    raw: dict[int, bytes] = {}
    if character_set is not None:  # items have that of the data set (PS3.5 7.5.3)
        raw[SPECIFIC_CHARACTER_SET] = character_set
    for tag in sorted(map(int, dataset.keys())):
        if not tag & 0xFFFF:  # a group length, which is no attribute
            continue
        element = stored_element(dataset, tag)
        if element.VR == VR.SQ:
            yield tag, _item_keys(dataset, tag, raw.get(SPECIFIC_CHARACTER_SET), policy)
        elif isinstance(element, RawDataElement):
            raw[tag] = element.value or b""
            yield tag, InstanceHeader(raw, element.is_little_endian, 0, policy).text(tag)
        else:
            text = text_of(element.value)
            if tag == SPECIFIC_CHARACTER_SET:
                raw[tag] = text.encode("ascii", "replace")
            yield tag, text


def _item_keys(
    dataset: pydicom.Dataset, tag: int, character_set: bytes | None, policy: CharacterSetPolicy
) -> str | ItemKeys:
    items = dataset[tag].value or ()
    if not items:
        return ""
    if len(items) > 1:
        raise PacsException(
            ErrorCode.FIND_INVALID_IDENTIFIER,
            f"{DicomTag(tag).keyword or DicomTag(tag)} has {len(items)} items; a key has one",
            tag=str(DicomTag(tag)),
        )
    # A sequence in the item is no attribute that the index has: its tag is enough.
    keys = {
        one: "" if isinstance(text, ItemKeys) else text
        for one, text in texts_of(items[0], character_set, policy)
        if one != SPECIFIC_CHARACTER_SET
    }
    return ItemKeys({one: text for one, text in keys.items() if text}, tuple(keys))


def text_of(value: object) -> str:
    """Return a value of Python or pydicom as DICOM text, several joined by a backslash."""
    if value is None or isinstance(value, bytes | bytearray):
        return ""
    if isinstance(value, list | tuple | pydicom.multival.MultiValue):
        return "\\".join(str(one) for one in value)
    return str(value)
