"""How pydicom's data sets are made to decode text by our rules.

pydicom decodes a value when it is first looked at, by the Python encodings that its data
set holds. For one single-byte set, and for those that stand alone, that is right. With
code extensions it forgets what is in G1 when G0 is designated anew, resets at delimiters
that its VR does not have, and knows no ISO-IR 203; and it reads yen sign and overline of
ISO-IR 14 as ASCII. Data sets that declare those are :class:`CharacterSetDataset`.
"""

from __future__ import annotations

from typing import Any, Final

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import PersonName

from pacs_sdk.core.vr import VR, Repertoire
from pacs_sdk.encoding.charsets.decode import decode_text
from pacs_sdk.encoding.charsets.policy import (
    DEFAULT_CHARACTER_SETS,
    CharacterSets,
    character_sets,
)
from pacs_sdk.encoding.charsets.terms import ESCAPE, IR_14

__all__ = [
    "DEFAULT_ENCODINGS",
    "CharacterSetDataset",
    "dataset_of",
    "pydicom_encodings",
    "python_encodings",
]

_EXTENDED: Final = frozenset(str(vr) for vr in VR if vr.rule.repertoire is Repertoire.EXTENDED)


def pydicom_encodings(sets: CharacterSets) -> tuple[str, ...]:
    """Return the Python encodings by which pydicom knows character sets."""
    return tuple(one.pydicom_encoding for one in sets)


def python_encodings(specific_character_set: bytes) -> tuple[str, ...]:
    """Return pydicom's encodings for an undecoded value of Specific Character Set."""
    return pydicom_encodings(character_sets(specific_character_set))


DEFAULT_ENCODINGS: Final = pydicom_encodings(DEFAULT_CHARACTER_SETS)
"""pydicom's encodings for a data set without Specific Character Set."""


class CharacterSetDataset(Dataset):
    """A data set of pydicom that decodes its raw text elements by :func:`decode_text`."""

    _character_sets: CharacterSets = DEFAULT_CHARACTER_SETS

    def __getitem__(self, key: Any) -> Any:
        """Return an element, decoded."""
        if not isinstance(key, slice):
            try:
                tag = key if isinstance(key, BaseTag) else Tag(key)
            except (ValueError, TypeError, OverflowError):
                return super().__getitem__(key)  # which says what is wrong
            raw = self._dict.get(tag)
            if isinstance(raw, RawDataElement) and raw.value and self._is_ours(raw):
                element = _text_element(raw, self)
                if element is not None:
                    self[tag] = element
        return super().__getitem__(key)

    def _is_ours(self, raw: RawDataElement) -> bool:
        if raw.VR is not None and raw.VR not in _EXTENDED:
            return False
        value = raw.value or b""
        return not value.isascii() or ESCAPE in value or self._character_sets[0].g0 is IR_14


def _text_element(raw: RawDataElement, dataset: CharacterSetDataset) -> DataElement | None:
    """Decode a raw element, if its VR is one that Specific Character Set applies to."""
    empty = convert_raw_data_element(raw._replace(value=b"", length=0), ds=dataset)
    if empty.VR not in _EXTENDED:
        return None
    vr, data = VR(empty.VR), raw.value or b""
    sets = dataset._character_sets
    text = decode_text(data, sets, vr)
    parts = text.split("\\") if vr.rule.multiple else [text]
    values: list[Any] = [part.rstrip("\0 ") for part in parts]
    if vr is VR.PN:
        encodings = list(pydicom_encodings(sets))
        fields = [data.rstrip(b"\0 ")] if len(values) == 1 else [None] * len(values)
        values = [
            PersonName(value, encodings, original_string=field, validation_mode=IGNORE)
            for value, field in zip(values, fields, strict=True)
        ]
    value = values[0] if len(values) == 1 else MultiValue(lambda one: one, values)
    return DataElement(raw.tag, str(vr), value, raw.value_tell, already_converted=True)


def dataset_of(
    elements: dict[BaseTag, DataElement | RawDataElement],
    sets: CharacterSets,
    inherited: CharacterSets = DEFAULT_CHARACTER_SETS,
) -> Dataset:
    """Build a data set of pydicom whose text is decoded by some character sets.

    Args:
        elements: By tag.
        sets: What holds for them.
        inherited: What holds for the data set it lies in.

    Returns:
        One whose ``original_character_set`` has still to be set, along with the byte
        order, to ``pydicom_encodings(sets)``; of pydicom's own class where that decodes
        right.
    """
    parent_encoding = list(pydicom_encodings(inherited))
    if len(sets) == 1 and sets[0].g0 is not IR_14 and not sets[0].is_multi_byte:
        return Dataset(elements, parent_encoding=parent_encoding)
    dataset = CharacterSetDataset(elements, parent_encoding=parent_encoding)
    dataset._character_sets = sets
    return dataset
