"""Values against the rules of their VR: good and bad ones for each format."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import DSfloat, PersonName

from pacs_sdk.core.value_rules import FindingKind, ValueContext, validate_value, values_in
from pacs_sdk.core.vr import VR

GOOD = [
    ("AE", "ARCHIVE"),
    ("AE", " WITH SPACES "),
    ("AE", "A" * 16),
    ("AS", "018M"),
    ("AS", "045Y\\003W"),
    ("AT", 0x00100010),
    ("AT", [0x00100010, "PatientID"]),
    ("CS", "CT"),
    ("CS", "ORIGINAL\\PRIMARY\\AXIAL_2"),
    ("DA", "20240229"),
    ("DS", "-1.5E-3"),
    ("DS", " .5 "),
    ("DS", "7."),
    ("DS", 0.25),
    ("DS", DSfloat("1.50")),
    ("DT", "2024"),
    ("DT", "202402"),
    ("DT", "20240229235960.123456+1400"),
    ("DT", "2024-1200"),
    ("DT", "2024022923 "),
    ("FL", 1.5),
    ("FD", [1, 2.5]),
    ("IS", "-2147483648"),
    ("IS", " +7 "),
    ("IS", 2147483647),
    ("LO", "ä" * 64),
    ("LT", "a\\b\r\n\t\f"),
    ("LT", "x" * 10240),
    ("OB", b"\1\2\3"),
    ("OW", b"\1\2"),
    ("OD", bytes(16)),
    ("PN", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("PN", PersonName("Adams^John Robert Quincy^^Rev.^B.A. M.Div.")),
    ("PN", "=".join(["n" * 64] * 3)),
    ("SH", "s" * 16),
    ("SQ", Sequence([])),
    ("SS", -32768),
    ("ST", "one\\value"),
    ("TM", "23"),
    ("TM", "0759"),
    ("TM", "235960.999999"),
    ("TM", "070907.0 "),
    ("UC", "unlimited\\characters"),
    ("UI", "1.2.840.10008.1.2"),
    ("UI", "2.25.0"),
    ("UL", 2**32 - 1),
    ("UN", b"\1"),
    ("UR", "https://example.org/a%20b?c=d#e "),
    ("US", MultiValue(int, [0, 65535])),
    ("UT", "any ☃ text"),
    ("UV", 2**64 - 1),
]

BAD = [
    ("AE", "A" * 17, "length"),
    ("AE", "   ", "format"),
    ("AE", "ÄRZTE", "repertoire"),
    ("AE", "TAB\t", "repertoire"),
    ("AS", "18M", "length"),
    ("AS", "0018", "format"),
    ("AS", "018X", "repertoire"),
    ("AT", "nothing", "format"),
    ("CS", "C" * 17, "length"),
    ("CS", "lower", "repertoire"),
    ("CS", "GOOD\\bad", "repertoire"),
    ("CS", "A-B", "repertoire"),
    ("DA", "20230229", "format"),
    ("DA", "20241301", "format"),
    ("DA", "2024", "length"),
    ("DA", "2024.01.02", "length"),
    ("DA", "2024-1-2", "repertoire"),
    ("DS", "1,5", "repertoire"),
    ("DS", "1.5.2", "format"),
    ("DS", "1 5", "format"),
    ("DS", "1.23456789012345678", "length"),
    ("DS", float("nan"), "repertoire"),
    ("DT", "20240230", "format"),
    ("DT", "20240229240000", "format"),
    ("DT", "2024+1401", "format"),
    ("DT", "2024-1201", "format"),
    ("DT", "2024-0000", "format"),
    ("DT", "2024+0060", "format"),
    ("DT", "202", "format"),
    ("FL", 1e39, "format"),
    ("FD", "1.5", "format"),
    ("IS", "1.0", "repertoire"),
    ("IS", "1-2", "format"),
    ("IS", "2147483648", "format"),
    ("IS", "-2147483649", "format"),
    ("IS", "0000000000001", "length"),
    ("LO", "x" * 65, "length"),
    ("LO", "line\nbreak", "repertoire"),
    ("LO", ["back\\slash"], "repertoire"),
    ("LO", "\x85", "repertoire"),
    ("LO", "lost \ufffd", "repertoire"),
    ("LT", "x" * 10241, "length"),
    ("LT", "bell\a", "repertoire"),
    ("OB", "text", "format"),
    ("OW", b"\1", "length"),
    ("OL", bytes(6), "length"),
    ("PN", "a=b=c=d", "format"),
    ("PN", "1^2^3^4^5^6", "format"),
    ("PN", "Ab^=" + "n" * 65, "length"),
    ("SH", "s" * 17, "length"),
    ("SS", 32768, "format"),
    ("SS", 1.5, "format"),
    ("ST", ["two", "values"], "multiplicity"),
    ("TM", "7", "format"),
    ("TM", "2400", "format"),
    ("TM", "2360", "format"),
    ("TM", "235961", "format"),
    ("TM", "12:30:00", "repertoire"),
    ("TM", "070907.1234567", "format"),
    ("TM", "070907.12345678", "length"),
    ("UI", "1.02.3", "format"),
    ("UI", "1..2", "format"),
    ("UI", "1", "format"),  # a root and a suffix (PS3.5 9.1)
    ("UI", "1.2.", "format"),
    ("UI", "1.2.x", "repertoire"),
    ("UI", "1." * 32 + "1", "length"),
    ("UR", " http://leading", "format"),
    ("UR", "http://a b", "format"),
    ("UR", "http://a%2", "format"),
    ("UR", "http://<a>", "repertoire"),
    ("US", -1, "format"),
    ("US", "1", "format"),
    ("UT", "nul\0", "repertoire"),
    ("UV", 2**64, "format"),
]


@pytest.mark.parametrize(("vr", "value"), GOOD)
def test_good_value(vr: str, value: object) -> None:
    """A value that keeps to PS3.5 Table 6.2-1 has no fault."""
    assert validate_value(vr, value) == ()


@pytest.mark.parametrize(("vr", "value", "kind"), BAD)
def test_bad_value(vr: str, value: object, kind: str) -> None:
    """A value that breaks a rule is told which, without the value being repeated."""
    faults = validate_value(vr, value)
    assert FindingKind(kind) in [fault.kind for fault in faults]
    for fault in faults:
        assert len(fault.reason.split()) >= 3
        assert len(str(value)) < 3 or str(value) not in fault.reason


def test_each_text_vr_with_a_format_is_tried() -> None:
    """Every VR has a good value here, and every one that can be wrong a bad one."""
    assert {vr for vr, _ in GOOD} == set(VR) - {"OF", "OL", "OV", "SL", "SV"}
    never_wrong = {"SQ", "UN", "UC", "UL", "SL", "SV", "OD", "OF", "OV"}
    assert {vr for vr, _, _ in BAD} == set(VR) - never_wrong


@pytest.mark.parametrize("vr", VR)
def test_no_value(vr: VR) -> None:
    """An element without value breaks no rule of its VR: it may be of type 2."""
    assert validate_value(vr, None) == ()
    assert validate_value(vr, "") == ()
    assert validate_value(vr, []) == ()


def test_unknown_vr() -> None:
    """There is no rule for what is no VR."""
    with pytest.raises(ValueError, match="ZZ"):
        validate_value("ZZ", "1")


def test_the_same_fault_is_told_once() -> None:
    """Ten thousand bad values of one kind are one fault."""
    assert len(validate_value("US", [-1] * 10000)) == 1


def test_an_empty_value_among_several() -> None:
    """A list may have ``None`` where a value of text is empty, not for numbers."""
    assert validate_value("DS", ["1", None, "3"]) == ()
    assert [one.kind for one in validate_value("US", [None])] == [FindingKind.FORMAT]


def test_items_are_checked_elsewhere() -> None:
    """The items of a sequence are data sets, each with elements of its own."""
    assert validate_value("SQ", Sequence([Dataset(), Dataset()])) == ()


def test_values_in() -> None:
    """A backslash separates values where the VR has several, and is a character else."""
    assert values_in(VR.LO, "a\\\\b") == ("a", "", "b")
    assert values_in(VR.LT, "a\\b") == ("a\\b",)
    assert values_in(VR.PN, PersonName("a^b")) == ("a^b",)
    assert values_in(VR.US, [1, 2]) == (1, 2)
    assert values_in(VR.OB, b"12") == (b"12",)
    assert values_in(VR.OB, b"") == ()


GOOD_KEYS = [
    # wild cards, for AE, CS, LO, LT, PN, SH, ST, UC, UR and UT (PS3.4 C.2.2.2.4)
    ("AE", "ARCH*"),
    ("CS", "C?"),
    ("CS", "*"),
    ("LO", "*lung*"),
    ("LO", "*" + "x" * 64),  # longer than the VR allows (C.2.2.2)
    ("LT", "*"),
    ("PN", "Adams^J*=*"),
    ("SH", "?" * 17),
    ("ST", "a*"),
    ("UC", "a?"),
    ("UR", "https://*"),
    ("UT", "*"),
    # ranges of DA, TM and DT (C.2.2.2.5)
    ("DA", "20240101"),
    ("DA", "20240101-20241231"),
    ("DA", "20240101-"),
    ("DA", "-20241231"),
    ("TM", "0800-1200"),
    ("TM", "-235959.999999"),
    ("TM", "080000.000000-120000.000000"),
    ("DT", "2024-"),
    ("DT", "2023-2024"),
    ("DT", "2024-1200"),  # the year 2024 in the zone -1200
    ("DT", "2024-1200-"),
    ("DT", "-20240101120000.000000-0500"),
    ("DT", "20240101120000.000000-0500-20240102120000.000000+0100"),
    # lists of UIDs (C.2.2.2.2), and universal matching (C.2.2.2.3)
    ("UI", "1.2.3\\1.2.4"),
    ("UI", ["1.2.3", "1.2.4"]),
    ("UI", None),
    ("DA", ""),
    ("AS", "045Y"),
    ("IS", "7"),
    ("DS", "1.5"),
    ("AT", 0x00100010),
    ("US", 5),
    ("SQ", Sequence([])),
    # attributes without value (C.2.2.2.7)
    ("DA", '""'),
    ("CS", '""'),
    ("UI", '""'),
    ("PN", '"" '),
]

BAD_KEYS = [
    ("UI", "1.2.*", "repertoire"),
    ("DA", "2024*", "repertoire"),
    ("DA", "*", "repertoire"),
    ("DA", "-", "format"),
    ("DA", "20240101-20240230", "format"),
    ("DA", "20240101-20240102-", "format"),
    ("DA", "20240101 - 20240102", "length"),
    ("DA", "2024-2025", "format"),
    ("DA", "2024", "format"),
    ("TM", "2500-", "format"),
    ("TM", "08:00-", "repertoire"),
    ("DT", "20241301-", "format"),
    ("DT", "2024-2025-2026", "format"),
    ("DT", "-" * 55, "length"),
    ("AS", "04?Y", "repertoire"),
    ("IS", "1*", "repertoire"),
    ("DS", "1-2", "format"),
    ("CS", "lower*", "repertoire"),
    ("LO", "line\n*", "repertoire"),
    ("LO", "x" * 65, "length"),
    ("CS", '"', "repertoire"),
    ("PN", "*=*=*=*", "format"),
    ("US", "*", "format"),
]


@pytest.mark.parametrize(("vr", "value"), GOOD_KEYS)
def test_good_key(vr: str, value: object) -> None:
    """A key of a query may be what PS3.4 C.2.2.2 gives it for matching."""
    assert validate_value(vr, value, ValueContext.QUERY) == ()


@pytest.mark.parametrize(("vr", "value", "kind"), BAD_KEYS)
def test_bad_key(vr: str, value: object, kind: str) -> None:
    """A key keeps to the rules of its VR but for what matching needs."""
    kinds = [fault.kind for fault in validate_value(vr, value, ValueContext.QUERY)]
    assert FindingKind(kind) in kinds


@pytest.mark.parametrize(("vr", "value"), [one for one in GOOD if one[0] != "DT"])
def test_values_are_keys(vr: str, value: object) -> None:
    """What an attribute may say can be asked for."""
    assert validate_value(vr, value, ValueContext.QUERY) == ()


@pytest.mark.parametrize(
    ("vr", "value"),
    [("DA", "20240101-"), ("TM", "-12"), ("CS", "C*"), ("DA", '""'), ("LO", "*" * 65)],
)
def test_keys_are_no_values(vr: str, value: object) -> None:
    """What matching allows is a fault in a data set that says something."""
    assert validate_value(vr, value)
