"""What a query finds: one entity, as text, as a data set, as a record."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Final

import attrs
import pydicom
from pydicom import config as pydicom_config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag, TagLike
from pacs_sdk.core.vr import VR, VrKind
from pacs_sdk.storage.index.attributes import QueryLevel
from pacs_sdk.storage.query.entities import EntityRecord, record_of
from pacs_sdk.storage.query.paging import Place

__all__ = ["Match"]

_UTF_8: Final = "ISO_IR 192"
_FIRST_PRIVATE_ELEMENT: Final = 0x1000
"""What comes before it in a private group are the creators (PS3.5 7.8.1)."""

_Items = Sequence[Mapping[int, str]]


@attrs.frozen
class Match:
    """One entity that a query found."""

    level: QueryLevel
    """What kind of entity it is."""
    values: Mapping[int, str] = attrs.field(hash=False)
    """Every return key by tag, as text; empty where there is no value."""
    items: Mapping[int, _Items] = attrs.field(factory=dict, hash=False)
    """The items of return keys that are sequences, by tag, each as ``values``."""
    place: Place | None = attrs.field(default=None, eq=False, repr=False)
    """Where it stands among the others."""

    @property
    def after(self) -> str:
        """The token that makes a query continue after this match (``Query.after``).

        It holds values by which matches are ordered: treat it as patient data.
        """
        return "" if self.place is None else self.place.token

    def get(self, tag: TagLike, default: str = "") -> str:
        """Return a value as text, or the default where it is empty or wasn't asked for."""
        return self.values.get(int(DicomTag.of(tag)), "") or default

    def record(self) -> EntityRecord:
        """Return it as a record of its level, with dates, times and numbers as Python has them.

        What was not asked for, or cannot be read, is ``None`` or empty there.
        """
        return record_of(self.level, self.values)

    def dataset(self) -> DicomDataset:
        """Return it as a data set: the return keys, of zero length where there is no value.

        Specific Character Set is UTF-8 where a value goes beyond ASCII (PS3.4 C.4.1.1.3.2).
        """
        dataset = pydicom.Dataset()
        for tag, text in self.values.items():
            dataset[tag] = _element(tag, text)
        for tag, items in self.items.items():
            dataset[tag] = _sequence(tag, items)
        nested = [text for items in self.items.values() for item in items for text in item.values()]
        if not all(text.isascii() for text in (*self.values.values(), *nested)):
            dataset[SPECIFIC_CHARACTER_SET] = _element(SPECIFIC_CHARACTER_SET, _UTF_8)
        return DicomDataset(dataset)

    def _repr_html_(self) -> str:
        """Show what it tells as a table in a notebook."""
        rows = "".join(
            f"<tr><th>{html.escape(DicomTag(tag).keyword or str(DicomTag(tag)))}</th>"
            f"<td>{html.escape(text)}</td></tr>"
            for tag, text in self.values.items()
            if text
        )
        return f"<table>{rows}</table>"


def _element(tag: int, text: str) -> DataElement | RawDataElement:
    """Make an element; what others once stored is not judged on its way out."""
    vr = VR.__members__.get(DicomTag(tag).dictionary_vr[:2], VR.UN)
    value: object = text or None
    if text and vr in (VR.DS, VR.IS):  # it may be no number, which pydicom takes in bytes only
        raw = text.encode("ascii", "replace")
        raw += b" " * (len(raw) % 2)
        return RawDataElement(BaseTag(tag), vr.value, len(raw), raw, 0, False, True)
    if vr is VR.SQ:
        value = []
    elif text and vr is VR.UN:  # which is of bytes: what a peer told of its own was text
        vr = VR.LO if DicomTag(tag).element < _FIRST_PRIVATE_ELEMENT else VR.UT
    elif text and vr is VR.AT:
        value = [int(DicomTag.of(one)) for one in text.split("\\")]
    elif text and vr.kind is VrKind.NUMBER:
        numbers = [_number(one, vr) for one in text.split("\\")]
        if vr is VR.US and min(numbers) < 0:  # US or SS
            vr = VR.SS
        value = numbers if len(numbers) > 1 else numbers[0]
    return DataElement(tag, vr.value, value, validation_mode=pydicom_config.IGNORE)


def _number(text: str, vr: VR) -> int | float:
    return float(text) if vr in (VR.FL, VR.FD) else int(text)


def _sequence(tag: int, items: _Items) -> DataElement:
    made: list[pydicom.Dataset] = []
    for item in items:
        dataset = pydicom.Dataset()
        for inner, text in item.items():
            dataset[inner] = _element(inner, text)
        made.append(dataset)
    return DataElement(tag, VR.SQ.value, made)
