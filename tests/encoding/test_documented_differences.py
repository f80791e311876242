"""The reference page on the files that ship inside pydicom says what the tests go by."""

from __future__ import annotations

import re
from pathlib import Path

from tests.encoding.shipped import BROKEN_DATA_SETS, NOT_DICOM, REFUSED, REWRITTEN_OTHERWISE
from tests.interop.test_gdcm import GDCM_DIES, OTHERWISE
from tests.interop.test_gdcm import REFUSED as REFUSED_BUT_NOT_BY_GDCM

PAGE = Path(__file__).parents[2] / "docs/reference/files-of-pydicom.md"


def rows_under(heading: str) -> list[list[str]]:
    """Return the cells of the table in a section, without its header."""
    section = PAGE.read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names_in(heading: str) -> list[str]:
    """Return the files that a table names, in its first column."""
    return [name for row in rows_under(heading) for name in re.findall(r"`([^`]+)`", row[0])]


def test_refused_files() -> None:
    """Files and error codes are those of the tests."""
    for heading, table in (
        ("Read by pydicom, refused here", REFUSED),
        ("Read by pydicom, and only their header here", BROKEN_DATA_SETS),
    ):
        documented = {row[0].strip("`"): row[1].strip("`") for row in rows_under(heading)}
        assert documented == {name: code.name for name, code in table.items()}


def test_other_tables() -> None:
    """Each other table names the same files as the tests, each once."""
    assert sorted(names_in("Encoded otherwise than they were read")) == sorted(REWRITTEN_OTHERWISE)
    assert sorted(names_in("No DICOM")) == sorted(NOT_DICOM)
    pixels = [*OTHERWISE, *REFUSED_BUT_NOT_BY_GDCM, *GDCM_DIES]
    assert sorted(names_in("Pixels that GDCM decodes otherwise")) == sorted(pixels)


def test_each_row_cites_the_standard() -> None:
    """A difference from pydicom is justified by a part and a section, or by the row above."""
    for heading in ("Read by pydicom, refused here", "Encoded otherwise than they were read"):
        for row in rows_under(heading):
            assert re.search(r"PS3\.\d+ |[Tt]he same", row[-1]), row
