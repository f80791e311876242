"""What may be given as the value of an element, and what is kept of it."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.valuerep import PersonName

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.settable import decimal_text, settable_value
from pacs_sdk.core.value_rules import validate_value
from pacs_sdk.core.vr import VR

UTC_PLUS_2 = dt.timezone(dt.timedelta(hours=2))

KEPT = [
    ("DA", dt.date(2024, 2, 29), "20240229"),
    ("DA", dt.date(24, 2, 29), "00240229"),
    ("TM", dt.time(7, 9), "070900"),
    ("TM", dt.time(7, 9, 1, 500), "070901.000500"),
    ("DT", dt.datetime(2024, 2, 29, 7, 9, tzinfo=UTC_PLUS_2), "20240229070900+0200"),
    ("DT", dt.datetime(2024, 2, 29, 7, 9, 0, 1), "20240229070900.000001"),  # noqa: DTZ001
    ("DS", 0.1, "0.1"),
    ("DS", 7, "7"),
    ("DS", Decimal("1.50"), "1.50"),
    ("DS", "1.5 ", "1.5 "),
    ("DS", 1 / 3, "0.33333333333333"),
    ("DS", (0.5, 1), ["0.5", "1"]),
    ("DS", np.array([0.5, 1.0]), ["0.5", "1.0"]),
    ("IS", 7.0, "7"),
    ("IS", np.int64(7), "7"),
    ("IS", "7", "7"),
    ("US", np.uint16(7), 7),
    ("US", np.array([1, 2]), [1, 2]),
    ("US", (1, 2), [1, 2]),
    ("US", [], None),
    ("FD", [1], 1),
    ("AT", "PatientID", 0x00100020),
    ("AT", [(0x0010, 0x0020), "PatientName"], [0x00100020, 0x00100010]),
    ("PN", "Adams^John", "Adams^John"),
    ("CS", ["A", None], ["A", ""]),
    ("LO", None, None),
    ("OB", bytearray(b"ab"), b"ab"),
    ("OB", memoryview(b"ab"), b"ab"),
    ("OB", [b"ab"], b"ab"),
    ("OB", "", b""),
    ("LT", ["one"], ["one"]),
]

REFUSED = [
    ("DA", dt.datetime(2024, 2, 29)),  # noqa: DTZ001  # its time would be lost
    ("DA", 20240229),
    ("TM", dt.date(2024, 2, 29)),
    ("DS", math.nan),
    ("DS", math.inf),
    ("DS", b"1"),
    ("IS", 1.5),
    ("IS", 2**31),
    ("LO", 5),
    ("LO", ["a\\b"]),
    ("LT", ["a", "b"]),
    ("PN", 5),
    ("US", 65536),
    ("US", "5"),
    ("SS", 1.5),
    ("FL", 1e39),
    ("AT", "nothing"),
    ("OB", "text"),
    ("OB", [b"a", b"b"]),
    ("OW", np.zeros(2, np.uint16)),
]


@pytest.mark.parametrize(("vr", "value", "kept"), KEPT)
def test_what_is_kept(vr: str, value: object, kept: object) -> None:
    """Values of Python's and NumPy's types become what the VR holds."""
    found = settable_value(VR(vr), value)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(("vr", "value"), REFUSED)
def test_what_is_refused(vr: str, value: object) -> None:
    """A value of another kind, or out of range, is refused and never bent to fit."""
    with pytest.raises((TypeError, ValueError)):
        settable_value(VR(vr), value)


def test_names() -> None:
    """A name that pydicom holds is taken as it is."""
    name = PersonName("Adams^John")
    assert settable_value(VR.PN, name) is name
    with pytest.raises(TypeError):
        settable_value(VR.LO, name)


@given(st.floats(-1e300, 1e300))
def test_decimals(number: float) -> None:
    """Every finite number becomes a valid DS, as near to it as 16 characters allow."""
    text = decimal_text(number)
    assert validate_value(VR.DS, text) == ()
    assert float(text) == pytest.approx(number, rel=1e-8)


def test_the_failure_names_the_element() -> None:
    """Words say which element, and what it holds; nothing is warned about or set."""
    dataset = DicomDataset()
    error = dataset.set("Rows", -5).failure()
    assert error.code is ErrorCode.VALUE_CONVERSION_FAILED
    assert "(0028,0010) Rows" in error.message
    error = dataset.set(0x00091001, "fast").failure()
    assert "give one" in error.message
    assert len(dataset) == 0
