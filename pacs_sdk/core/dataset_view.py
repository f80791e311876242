"""How a data set is shown: rows of text, and a table for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterator
from itertools import islice
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from pacs_sdk.core.automatic_vr import UNREADABLE
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag

__all__ = ["MAX_SHOWN_ITEMS", "MAX_SHOWN_ROWS", "rows_of", "table_of"]

MAX_SHOWN_ROWS: Final = 2000
"""Rows that a notebook's table has. A browser lays them out at once; a CT header has 250,
and a segmentation of 12,000 frames would have half a million."""

MAX_SHOWN_ITEMS: Final = 20
"""Items of one sequence that a notebook's table has: enough to see how they go on."""

_MAX_SHOWN_NESTING: Final = 64
"""How deep sequences are followed: as deep as they are read."""

_SHOWN_CHARACTERS: Final = 64
"""How much of a value is shown."""

Row = tuple[str, str, str, str]

_STYLE: Final = "text-align:left;vertical-align:top"


def rows_of(dataset: Dataset, depth: int = 0) -> Iterator[Row]:
    """Yield one row of text an element: tag, VR, keyword, value.

    Items of sequences follow their sequence, the tag indented by ``depth``. A value that
    doesn't fit its VR is named as unreadable.
    """
    for row, items in _rows(dataset, depth):
        yield row
        for item in items:
            yield from rows_of(item, depth + 1)


def _rows(dataset: Dataset, depth: int = 0) -> Iterator[tuple[Row, tuple[Dataset, ...]]]:
    """Yield the row of each element of one level, and its items where it is a sequence."""
    indent = "  " * depth
    for number in sorted(dataset.keys(), key=int):
        tag = DicomTag(int(number))
        name = tag.keyword or ("Private" if tag.is_private else "Unknown")
        try:
            element = dataset[int(tag)]
            row = (f"{indent}{tag}", str(element.VR), name, _summary(element))
        except UNREADABLE as exc:
            vr = stored_element(dataset, int(tag)).VR or tag.dictionary_vr
            row = (f"{indent}{tag}", str(vr), name, _cut(f"unreadable: {exc}"))
            yield row, ()
            continue
        items = element.value if isinstance(element.value, Sequence) else ()
        yield row, tuple(items) if depth < _MAX_SHOWN_NESTING else ()


def _summary(element: DataElement) -> str:
    value = element.value
    if isinstance(value, Sequence):
        return f"{len(value)} item{'' if len(value) == 1 else 's'}"
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    if not isinstance(value, MultiValue | list | tuple):
        return "" if value is None else _cut(str(value))
    # More values than characters need not be written out to be cut.
    return _cut("\\".join(str(one) for one in value[: _SHOWN_CHARACTERS + 1]))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def table_of(dataset: Dataset) -> str:
    """Return a data set as a table in HTML, its text escaped.

    Each sequence is folded: its items are tables of their own, which a click opens. What
    lies beyond :data:`MAX_SHOWN_ITEMS` of a sequence and :data:`MAX_SHOWN_ROWS` in all is
    counted and not shown.
    """
    return _Table().of(dataset, 0)


class _Table:
    """Writes tables in one another until the rows of all of them are used up."""

    def __init__(self) -> None:
        self._left = MAX_SHOWN_ROWS

    def of(self, dataset: Dataset, depth: int) -> str:
        parts = [f'<table style="{_STYLE}"><thead><tr>']
        parts += (f'<th style="{_STYLE}">{name}</th>' for name in ("Tag", "VR", "Keyword", "Value"))
        parts.append("</tr></thead><tbody>")
        shown = 0
        for (tag, vr, name, value), items in _rows(dataset):
            if self._left == 0:
                break
            self._left -= 1
            shown += 1
            cells = [html.escape(tag), html.escape(vr), html.escape(name), html.escape(value)]
            if items:
                cells[-1] = self._folded(value, items, depth)
            parts.append(
                "<tr>" + "".join(f'<td style="{_STYLE}">{cell}</td>' for cell in cells) + "</tr>"
            )
        if shown < len(dataset):
            parts.append(_more(len(dataset) - shown, "elements"))
        parts.append("</tbody></table>")
        return "".join(parts)

    def _folded(self, summary: str, items: tuple[Dataset, ...], depth: int) -> str:
        parts = [f"<details><summary>{html.escape(summary)}</summary>"]
        shown = 0
        for index, item in enumerate(islice(items, MAX_SHOWN_ITEMS)):
            if self._left == 0 or depth == _MAX_SHOWN_NESTING:
                break
            parts.append(f"<div>[{index}]</div>{self.of(item, depth + 1)}")
            shown += 1
        if shown < len(items):
            parts.append(f"<div>… and {len(items) - shown} more items</div>")
        parts.append("</details>")
        return "".join(parts)


def _more(count: int, what: str) -> str:
    return f'<tr><td colspan="4">… and {count} more {what}</td></tr>'
