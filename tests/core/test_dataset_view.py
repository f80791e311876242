"""How a data set is shown in a notebook and in a listing."""

from __future__ import annotations

import html
from html.parser import HTMLParser

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.dataset_view import MAX_SHOWN_ITEMS, MAX_SHOWN_ROWS


class Outline(HTMLParser):
    """Checks that every element is closed in turn, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.open.append(tag)
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def outline(dataset: DicomDataset) -> Outline:
    """Return what the notebook's table of a data set is made of."""
    parsed = Outline()
    parsed.feed(dataset._repr_html_())
    parsed.close()
    assert parsed.open == []
    return parsed


def test_what_is_shown_is_escaped() -> None:
    """Nothing that a data set holds becomes markup: values, keywords and reasons."""
    nasty = "<script>alert('&')</script>"
    tag = Tag(0x00091001)
    dataset = DicomDataset(PatientName=nasty, ConceptCodeSequence=[DicomDataset(CodeMeaning=nasty)])
    dataset.pydicom[tag] = RawDataElement(tag, "<b", 2, b"<b", 0, False, True)
    shown = dataset._repr_html_()
    assert "<script" not in shown
    assert shown.count(html.escape(nasty)) == 2
    assert "<b" not in shown


def test_sequences_are_folded() -> None:
    """A sequence is a summary that opens; in it each item is a table, at every depth."""
    inner = DicomDataset(CodeValue="T-1")
    item = DicomDataset(ConceptCodeSequence=[inner, inner])
    parsed = outline(DicomDataset(PatientID="7", ReferencedSeriesSequence=[item]))
    assert parsed.seen.count("details") == parsed.seen.count("summary") == 2
    assert parsed.seen.count("table") == 1 + 1 + 2
    assert "1 item" in parsed.text
    assert "2 items" in parsed.text
    assert parsed.text.count("T-1") == 2


def test_an_empty_sequence_is_not_folded() -> None:
    """There is nothing to open."""
    parsed = outline(DicomDataset(ConceptCodeSequence=[]))
    assert "details" not in parsed.seen
    assert "0 items" in parsed.text


def test_many_items_are_counted() -> None:
    """Of a long sequence some items are shown, and how many more there are."""
    frame = Dataset()
    frame.CodeValue = "T-1"
    parsed = outline(DicomDataset(PerFrameFunctionalGroupsSequence=[frame] * 12000))
    assert parsed.text.count("T-1") == MAX_SHOWN_ITEMS
    assert f"… and {12000 - MAX_SHOWN_ITEMS} more items" in parsed.text


def test_rows_are_bounded() -> None:
    """However sequences multiply, the table has so many rows and says what is left out."""
    level = [DicomDataset(CodeValue="T-1")]
    for _ in range(4):
        level = [DicomDataset(CodeValue="T-1", ConceptCodeSequence=level * 12)]
    parsed = outline(level[0])
    assert parsed.text.count("T-1") <= MAX_SHOWN_ROWS
    assert parsed.seen.count("tr") < 2 * MAX_SHOWN_ROWS
    assert any("more items" in text for text in parsed.text)
    wide = Dataset()
    for number in range(MAX_SHOWN_ROWS + 5):
        wide.add_new(0x00091000 + number, "US", 1)
    assert "… and 5 more elements" in outline(DicomDataset(wide)).text


def test_many_values_are_cut() -> None:
    """Of many values the first are shown; the rest is not even written out."""
    dataset = DicomDataset(ContourData=[0.5] * 30000)
    ((*_, text),) = dataset.rows()
    assert text.startswith("0.5\\0.5")
    assert text.endswith("…")
    assert len(text) == 64
