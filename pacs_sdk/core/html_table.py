"""Tables for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable

__all__ = ["html_table"]


def html_table(heading: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """Lay out an HTML table; every cell is escaped.

    Args:
        heading: The names of the columns.
        rows: The cells of each row.
    """
    head = _cells("th", heading)
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cells(element: str, cells: Iterable[object]) -> str:
    return "".join(f"<{element}>{html.escape(str(cell))}</{element}>" for cell in cells)
