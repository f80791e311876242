"""Matches as the identifiers of responses, straight to bytes (PS3.4 C.4.1.1.3.2).

A match is text by tag, and so is nearly every value of an identifier. What is the same in
all answers to a query is encoded once; no data set is built in between, which takes ten
times as long (benchmark ``query_studies``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET
from pacs_sdk.core.vr import VR, Repertoire, VrKind
from pacs_sdk.encoding import CharacterSets, TransferSyntax, character_sets, charset_for
from pacs_sdk.encoding.charsets import DEFAULT_CHARACTER_SETS, encode_text
from pacs_sdk.services.query.fields import value_field, vr_of, vr_of_value
from pacs_sdk.storage import Match, Query

__all__ = ["AnswerEncoder"]

_QUERY_RETRIEVE_LEVEL: Final = 0x00080052
_RETRIEVE_AE_TITLE: Final = 0x00080054

_UTF_8: Final = "ISO_IR 192"

_LONG: Final = 1 << 15
"""Characters of a value that takes the slow way, which knows what a length can say."""

_Writer: TypeAlias = Callable[[str], bytes]

_IR_6: Final = "ISO_IR 6"

_ITEM: Final = b"\xfe\xff\x00\xe0"


class AnswerEncoder:
    """Encodes the matches of one query.

    Args:
        query: The query; its return keys, its level and Retrieve AE Title are in each answer.
        syntax: Explicit or Implicit VR Little Endian.
        ae_title: Where the instances can be got from.
        declared: Specific Character Set of the request. An answer has it, too, where it can
            hold the text; otherwise the smallest that can. Text of ASCII needs none.
    """

    def __init__(
        self, query: Query, syntax: TransferSyntax, ae_title: str, declared: bytes = b""
    ) -> None:
        self._explicit = syntax.explicit_vr
        self._asked = character_sets(declared)
        level, title = query.level.value, ae_title
        self._constants = {_QUERY_RETRIEVE_LEVEL: level, _RETRIEVE_AE_TITLE: title}
        tags = {*query.return_keys, *query.items, *self._constants}
        self._tags = [(tag, vr_of(tag)) for tag in sorted(tags - {SPECIFIC_CHARACTER_SET})]
        self._before = [one for one in self._tags if one[0] < SPECIFIC_CHARACTER_SET]
        self._after = [one for one in self._tags if one[0] > SPECIFIC_CHARACTER_SET]
        self._plain = [self._plain_key(tag, vr) for tag, vr in self._tags]

    def encode(self, match: Match) -> bytes:
        """Encode a match."""
        texts = [*match.values.values(), *_texts_of(match.items)]
        if not "".join(texts).isascii():
            return self._encode_extended(match)
        if match.items:
            return b"".join(self._elements(self._tags, match, DEFAULT_CHARACTER_SETS))
        values = match.values
        return b"".join(
            [
                write(text) if (text := values.get(tag)) else without
                for tag, without, write in self._plain
            ]
        )

    def _plain_key(self, tag: int, vr: VR) -> tuple[int, bytes, _Writer]:
        """Return a tag, its element where a match has no value, and what makes it of ASCII."""
        constant = self._element(tag, vr, self._constants.get(tag, ""), DEFAULT_CHARACTER_SETS)
        if tag in self._constants:
            return tag, constant, lambda _: constant
        return tag, constant, self._writer(tag, vr)

    def _writer(self, tag: int, vr: VR) -> _Writer:
        """Make what encodes the element of a value of ASCII: nearly all of an answer is that."""
        size_bytes = 2 if self._explicit and not vr.has_long_length else 4
        start = self._header(tag, vr, 0)[:-size_bytes]
        padding = vr.rule.padding
        is_text = vr.rule.kind is VrKind.TEXT

        def write(text: str) -> bytes:
            if not is_text or len(text) >= _LONG:
                return self._element(tag, vr, text, DEFAULT_CHARACTER_SETS)
            value = text.encode()
            if len(value) % 2:
                value += padding
            return start + len(value).to_bytes(size_bytes, "little") + value

        return write

    def _encode_extended(self, match: Match) -> bytes:
        terms, sets = self._sets_for(match)
        declared = self._element(SPECIFIC_CHARACTER_SET, VR.CS, terms, DEFAULT_CHARACTER_SETS)
        return b"".join(
            (
                *self._elements(self._before, match, sets),
                declared,
                *self._elements(self._after, match, sets),
            )
        )

    def _elements(
        self,
        tags: Iterable[tuple[int, VR]],
        match: Match,
        sets: CharacterSets,
    ) -> Iterator[bytes]:
        for tag, vr in tags:
            items = match.items.get(tag)
            if items:
                yield self._sequence(tag, items, sets)
            else:
                text = self._constants.get(tag) or match.values.get(tag, "")
                yield self._element(tag, vr, text, sets)

    def _element(self, tag: int, vr: VR, text: str, sets: CharacterSets) -> bytes:
        vr = vr_of_value(vr, text)
        value = value_field(vr, text, sets) if text else b""
        return self._header(tag, vr, len(value)) + value

    def _header(self, tag: int, vr: VR, length: int) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        if not self._explicit:
            return struct.pack("<HHI", group, element, length)
        if vr.has_long_length:
            return struct.pack("<HH2s2xI", group, element, vr.encode(), length)
        return struct.pack("<HH2sH", group, element, vr.encode(), length)

    def _sequence(self, tag: int, items: Sequence[Mapping[int, str]], sets: CharacterSets) -> bytes:
        encoded = bytearray()
        for item in items:
            content = b"".join(
                self._element(one, vr_of(one), text, sets) for one, text in sorted(item.items())
            )
            encoded += _ITEM + struct.pack("<I", len(content)) + content
        return self._header(tag, VR.SQ, len(encoded)) + bytes(encoded)

    def _sets_for(self, match: Match) -> tuple[str, CharacterSets]:
        """Choose the character sets of an answer: those of the request, if they are enough."""
        texts = [
            (vr, text)
            for tag, text in (*match.values.items(), *_pairs_of(match.items))
            if not text.isascii() and (vr := vr_of(tag)).rule.repertoire is Repertoire.EXTENDED
        ]
        if _can_hold(self._asked, texts):
            # Before code extensions the default repertoire is empty, or ISO 2022 IR 6.
            return "\\".join(one.term for one in self._asked).removeprefix(_IR_6), self._asked
        parts = (part for _, text in texts for part in text.split("\\"))
        terms = "\\".join(charset_for(parts).value_or((_UTF_8,)))
        found = character_sets(terms.encode())
        # What has control characters that text may not have is passed on as it was stored.
        return (
            (terms, found) if _can_hold(found, texts) else (_UTF_8, character_sets(b"ISO_IR 192"))
        )


def _can_hold(sets: CharacterSets, texts: Iterable[tuple[VR, str]]) -> bool:
    try:
        for vr, text in texts:
            encode_text(text, sets, vr)
    except PacsException:
        return False
    return True


def _pairs_of(
    items: Mapping[int, Sequence[Mapping[int, str]]],
) -> Iterator[tuple[int, str]]:
    for several in items.values():
        for item in several:
            yield from item.items()


def _texts_of(items: Mapping[int, Sequence[Mapping[int, str]]]) -> list[str]:
    return [text for _, text in _pairs_of(items)] if items else []
