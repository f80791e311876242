"""A document of numbered sections, paragraphs and tables, as Markdown and as HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import attrs

__all__ = ["Block", "Bullets", "Contents", "Document", "Paragraph", "Section", "Table"]


@attrs.frozen
class Paragraph:
    """Sentences."""

    text: str
    """The words, without markup."""


@attrs.frozen
class Bullets:
    """A list."""

    items: tuple[str, ...]
    """What is listed."""


def _rows(rows: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(row) for row in rows)


@attrs.frozen
class Table:
    """Rows under a heading."""

    columns: tuple[str, ...]
    """The heading of each column."""
    rows: tuple[tuple[str, ...], ...] = attrs.field(converter=_rows)
    """The cells."""


@attrs.frozen
class Contents:
    """The table of contents."""


Block: TypeAlias = Paragraph | Bullets | Table | Contents
"""What may stand in a section."""


@attrs.frozen
class Section:
    """A part of a document, numbered by its place."""

    title: str
    """Its title, without the number."""
    blocks: tuple[Block, ...] = ()
    """What stands in it."""
    sections: tuple[Section, ...] = ()
    """Its parts."""


@attrs.frozen
class Document:
    """A title, sections with numbers, and annexes with letters."""

    title: str
    """What stands at the top."""
    lead: tuple[Block, ...]
    """What stands before the first section."""
    sections: tuple[Section, ...]
    """The sections."""
    annexes: tuple[Section, ...] = ()
    """The annexes."""

    def numbered(self) -> Iterator[tuple[int, str, Section]]:
        """Yield every section with its depth, from 1, and its number: ``5.2.1``, ``A.1``."""
        for number, section in enumerate(self.sections, 1):
            yield from _numbered(section, str(number), 1)
        for number, section in enumerate(self.annexes):
            yield from _numbered(section, chr(ord("A") + number), 1)

    def markdown(self) -> str:
        """Write the document as Markdown, with tables as GitHub has them."""
        lines = [f"# {_markdown(self.title)}", "", *self._markdown_blocks(self.lead)]
        for depth, number, section in self.numbered():
            title = _markdown(_heading(depth, number, section))
            lines += [f"{'#' * min(depth + 1, _DEEPEST)} {title}", ""]
            lines += self._markdown_blocks(section.blocks)
        return "\n".join(lines).rstrip("\n") + "\n"

    def html(self) -> str:
        """Write the document as one HTML page that needs nothing else."""
        return "\n".join(self._html_lines()) + "\n"

    def _html_lines(self) -> Iterator[str]:
        yield f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">{_STYLE}'
        yield f"<title>{html.escape(self.title)}</title>\n</head>\n<body>"
        yield f"<h1>{html.escape(self.title)}</h1>"
        yield from self._html_blocks(self.lead)
        for depth, number, section in self.numbered():
            level = min(depth + 1, _DEEPEST)
            title = html.escape(_heading(depth, number, section))
            yield f'<h{level} id="s{number}">{title}</h{level}>'
            yield from self._html_blocks(section.blocks)
        yield "</body>\n</html>"

    def _contents(self) -> Iterator[tuple[int, str, str]]:
        for depth, number, section in self.numbered():
            if depth <= _DEPTH_OF_CONTENTS:
                yield depth, number, _heading(depth, number, section)

    def _markdown_blocks(self, blocks: Iterable[Block]) -> Iterator[str]:
        for block in blocks:
            match block:
                case Paragraph(text):
                    yield _markdown(text)
                case Bullets(items):
                    yield from (f"- {_markdown(item)}" for item in items)
                case Table(columns, rows):
                    yield _markdown_row(columns)
                    yield "|" + "---|" * len(columns)
                    yield from map(_markdown_row, rows)
                case Contents():
                    for depth, _, title in self._contents():
                        yield f"{'  ' * (depth - 1)}- {_markdown(title)}"
            yield ""

    def _html_blocks(self, blocks: Iterable[Block]) -> Iterator[str]:
        for block in blocks:
            match block:
                case Paragraph(text):
                    yield f"<p>{html.escape(text)}</p>"
                case Bullets(items):
                    yield "<ul>"
                    yield from (f"<li>{html.escape(item)}</li>" for item in items)
                    yield "</ul>"
                case Table(columns, rows):
                    yield "<table>\n<thead>"
                    yield _html_row("th", columns)
                    yield "</thead>\n<tbody>"
                    yield from (_html_row("td", row) for row in rows)
                    yield "</tbody>\n</table>"
                case Contents():
                    yield "<nav>\n<ul>"
                    for depth, number, title in self._contents():
                        link = f'<a href="#s{number}">{html.escape(title)}</a>'
                        yield f'<li class="depth{depth}">{link}</li>'
                    yield "</ul>\n</nav>"


_DEPTH_OF_CONTENTS: Final = 2

_DEEPEST: Final = 6
"""Neither Markdown nor HTML has smaller headings."""

_STYLE: Final = """
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; }
th, td { border: 1px solid #999; padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; }
nav ul { list-style: none; padding: 0; }
nav .depth2 { padding-left: 1.5rem; }
</style>"""


def _numbered(section: Section, number: str, depth: int) -> Iterator[tuple[int, str, Section]]:
    yield depth, number, section
    for place, part in enumerate(section.sections, 1):
        yield from _numbered(part, f"{number}.{place}", depth + 1)


def _heading(depth: int, number: str, section: Section) -> str:
    annex = "Annex " if depth == 1 and number.isalpha() else ""
    return f"{annex}{number} {section.title}"


# -- Markdown ------------------------------------------------------------------------------

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>|#])")
"""What could be read as markup; titles, AE titles and host names may hold any of it."""


def _markdown(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_markdown(cell) for cell in cells) + " |"


# -- HTML ----------------------------------------------------------------------------------


def _html_row(kind: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells) + "</tr>"
