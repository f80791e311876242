"""Matching keys from keywords and values of Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.storage.query.identifier import SINGLE_TEXTS, ItemKeys, text_of

__all__ = ["keys_of_keywords"]

_BYTES: Final = (bytes, bytearray, memoryview)


def keys_of_keywords(keys: Mapping[str, object]) -> tuple[dict[int, str], dict[int, ItemKeys]]:
    """Return matching keys by tag, and those in items by the sequence's tag.

    Args:
        keys: Values by keyword; ``Sequence.Attribute`` names an attribute in the item of a
            sequence, as QIDO-RS has it (PS3.18 8.3.4.1), and so does a mapping as a value.

    Raises:
        PacsException: ``INVALID_TAG`` for a keyword that doesn't exist, ``INVALID_ARGUMENT``
            for an empty list, for bytes, for nothing among several values, for a list where a backslash between two values would be a
            character, and for a sequence whose value is no mapping.
    """
    matching: dict[int, str] = {}
    nested: dict[int, dict[int, str]] = {}
    for keyword, value in keys.items():
        sequence, dot, attribute = keyword.partition(".")
        tag = DicomTag.of(sequence)
        if dot:
            nested.setdefault(int(tag), {})[int(DicomTag.of(attribute))] = _text(
                DicomTag.of(attribute), keyword, value
            )
        elif isinstance(value, Mapping):
            inner = {DicomTag.of(one): text for one, text in value.items()}
            item = nested.setdefault(int(tag), {})
            item.update({int(one): _text(one, one.keyword, text) for one, text in inner.items()})
        elif tag.dictionary_vr == "SQ" and value not in (None, "", [], ()):
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{keyword} is a sequence: give a mapping of the keys in its item",
                tag=str(tag),
            )
        else:
            matching[int(tag)] = _text(tag, keyword, value)
    items = {
        tag: ItemKeys({one: text for one, text in item.items() if text})
        for tag, item in nested.items()
    }
    return matching, items


def _text(tag: DicomTag, keyword: str, value: object) -> str:
    if isinstance(value, list | tuple):
        if not value:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{keyword} is an empty list: as a key that would match everything; "
                "leave it out, or don't search",
            )
        if len(value) > 1 and tag.dictionary_vr in SINGLE_TEXTS:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{keyword} is a list: it has one value ({tag.dictionary_vr}), which may have "
                "backslashes in it; search for one text after the other",
                tag=str(tag),
            )
    several = value if isinstance(value, list | tuple) else ()
    if None in several or any(isinstance(one, _BYTES) for one in (value, *several)):
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{keyword} is, or has in its list, what is no text: bytes or None; as a key that would "
            "match everything, or nothing; give text",
            tag=str(tag),
        )
    return text_of(value)
