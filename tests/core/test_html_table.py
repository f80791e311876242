"""Tables for notebooks are HTML whatever their cells hold."""

from __future__ import annotations

from pacs_sdk.core.html_table import html_table


def test_cells_are_escaped() -> None:
    """What a data set says never becomes markup."""
    assert html_table(("Name", "Size"), [("<b>Doe & Co</b>", 3)]) == (
        "<table><tr><th>Name</th><th>Size</th></tr>"
        "<tr><td>&lt;b&gt;Doe &amp; Co&lt;/b&gt;</td><td>3</td></tr></table>"
    )


def test_without_rows_the_heading_is_left() -> None:
    """An empty table says what it would hold."""
    assert html_table(["Name"], []) == "<table><tr><th>Name</th></tr></table>"
