"""The value representations, against PS3.5 Table 6.2-1 and against pydicom's tables."""

from __future__ import annotations

import struct

import pydicom.valuerep
import pytest

from pacs_sdk.core.vr import VR, VR_RULES, VrKind

TABLE_6_2_1 = (
    "AE AS AT CS DA DS DT FL FD IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN "
    "UR US UT UV"
)
"""The 34 rows of the table, in its order."""

TABLE_7_1_2 = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US"
"""VRs whose explicit header has 16 bits of length."""


def test_the_34_rows() -> None:
    """There is a member for each row of PS3.5 Table 6.2-1 and none more."""
    assert [vr.value for vr in VR] == TABLE_6_2_1.split()
    assert len(VR) == 34
    assert {str(vr) for vr in VR} == {vr.value for vr in pydicom.valuerep.VR if len(vr.value) == 2}


def test_a_member_is_its_code() -> None:
    """A VR equals its two letters and is made from them."""
    assert VR.PN == "PN"
    assert VR("SQ") is VR.SQ
    with pytest.raises(ValueError, match="ZZ"):
        VR("ZZ")


@pytest.mark.parametrize("vr", VR)
def test_length_of_the_length(vr: VR) -> None:
    """Explicit headers have 32 bits of length but for the VRs of PS3.5 Table 7.1-2."""
    assert vr.has_long_length is (vr.value not in TABLE_7_1_2.split())
    assert vr.has_long_length is (vr.value in pydicom.valuerep.EXPLICIT_VR_LENGTH_32)


@pytest.mark.parametrize("vr", VR)
def test_padding(vr: VR) -> None:
    """Text is padded with a space, UI and everything binary with a NUL (PS3.5 6.2)."""
    spaces = [
        "AE",
        "AS",
        "CS",
        "DA",
        "DS",
        "DT",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "ST",
        "TM",
        "UC",
        "UR",
        "UT",
    ]
    assert vr.padding == (b" " if vr.value in spaces else b"\0")


@pytest.mark.parametrize("vr", VR)
def test_width_of_numbers(vr: VR) -> None:
    """Binary numbers and tags have the width of PS3.5 Table 6.2-1; other VRs none."""
    widths = {"AT": 4, "FD": 8, "FL": 4, "SL": 4, "SS": 2, "SV": 8, "UL": 4, "US": 2, "UV": 8}
    assert vr.value_width == widths.get(vr.value, 0)


@pytest.mark.parametrize("vr", VR)
def test_kind(vr: VR) -> None:
    """What values are made of agrees with pydicom's grouping."""
    expected = VrKind.TEXT
    if vr.value in {one.value for one in pydicom.valuerep.BYTES_VR}:
        expected = VrKind.BYTES
    elif vr.value in {"FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"}:
        expected = VrKind.NUMBER
    elif vr in (VR.AT, VR.SQ):
        expected = VrKind.TAG if vr is VR.AT else VrKind.SEQUENCE
    assert vr.kind is expected


TABLE_6_2_1_ROWS = {
    # VR: length, unit, fixed, characters, several values, leading spaces mean nothing
    "AE": (16, "bytes", False, "default", True, True),
    "AS": (4, "bytes", True, "default", True, False),
    "AT": (4, "bytes", True, "none", True, False),
    "CS": (16, "bytes", False, "default", True, True),
    "DA": (8, "bytes", True, "default", True, False),
    "DS": (16, "bytes", False, "default", True, True),
    "DT": (26, "bytes", False, "default", True, False),
    "FL": (4, "bytes", True, "none", True, False),
    "FD": (8, "bytes", True, "none", True, False),
    "IS": (12, "bytes", False, "default", True, True),
    "LO": (64, "characters", False, "extended", True, True),
    "LT": (10240, "characters", False, "extended", False, False),
    "OB": (None, "bytes", False, "none", False, False),  # see Transfer Syntax definition
    "OD": (4294967288, "bytes", False, "none", False, False),  # 2^32-8
    "OF": (4294967292, "bytes", False, "none", False, False),  # 2^32-4
    "OL": (None, "bytes", False, "none", False, False),  # see Transfer Syntax definition
    "OV": (None, "bytes", False, "none", False, False),  # see Transfer Syntax definition
    "OW": (None, "bytes", False, "none", False, False),  # see Transfer Syntax definition
    "PN": (64, "characters", False, "extended", True, False),  # a component group
    "SH": (16, "characters", False, "extended", True, True),
    "SL": (4, "bytes", True, "none", True, False),
    "SQ": (None, "bytes", False, "none", False, False),  # not applicable
    "SS": (2, "bytes", True, "none", True, False),
    "ST": (1024, "characters", False, "extended", False, False),
    "SV": (8, "bytes", True, "none", True, False),
    "TM": (14, "bytes", False, "default", True, False),
    "UC": (4294967294, "bytes", False, "extended", True, False),  # 2^32-2
    "UI": (64, "bytes", False, "default", True, False),
    "UL": (4, "bytes", True, "none", True, False),
    "UN": (None, "bytes", False, "none", False, False),  # any length of the other VRs
    "UR": (4294967294, "bytes", False, "default", False, False),
    "US": (2, "bytes", True, "none", True, False),
    "UT": (4294967294, "bytes", False, "extended", False, False),
    "UV": (8, "bytes", True, "none", True, False),
}
"""PS3.5 Table 6.2-1 by hand; which VRs have one value only: PS3.5 6.4."""


def test_a_rule_for_each_vr() -> None:
    """The rules are the 34 rows in the table's order, each under its own VR."""
    assert [vr.value for vr in VR_RULES] == TABLE_6_2_1.split()
    assert all(rule.vr is vr and vr.rule is rule for vr, rule in VR_RULES.items())
    assert set(TABLE_6_2_1_ROWS) == set(TABLE_6_2_1.split())


@pytest.mark.parametrize("vr", VR)
def test_row_of_the_table(vr: VR) -> None:
    """Length, repertoire and multiplicity are those of PS3.5 Table 6.2-1."""
    rule = vr.rule
    assert (
        rule.max_length,
        rule.length_unit.value,
        rule.fixed_length,
        rule.repertoire.value,
        rule.multiple,
        rule.leading_space_is_padding,
    ) == TABLE_6_2_1_ROWS[vr.value]
    assert rule.control_characters is (vr.value in ("LT", "ST", "UT"))


@pytest.mark.parametrize("vr", VR)
def test_lengths_agree_with_pydicom(vr: VR) -> None:
    """Longest lengths of text are those that pydicom checks."""
    known = pydicom.valuerep.MAX_VALUE_LEN.get(vr.value)
    assert known is None or vr.rule.max_length == known


@pytest.mark.parametrize("vr", VR)
def test_words(vr: VR) -> None:
    """Words have the width of PS3.5 7.3; a tag is swapped as two numbers of 16 bits."""
    widths = {"OB": 1, "UN": 1, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
    expected = widths.get(vr.value, vr.value_width)
    assert vr.rule.width == expected
    assert vr.rule.swap_width == (2 if vr is VR.AT else expected)
    if vr.rule.number_format:
        assert struct.calcsize("<" + vr.rule.number_format) == vr.rule.width
    assert bool(vr.rule.number_format) is (vr.kind is VrKind.NUMBER)


@pytest.mark.parametrize(
    ("vr", "longest"),
    [
        (VR.LO, 0xFFFE),
        (VR.US, 0xFFFE),
        (VR.FL, 0xFFFC),
        (VR.FD, 0xFFF8),
        (VR.OB, 0xFFFFFFFE),
        (VR.OV, 0xFFFFFFF8),
        (VR.SV, 0xFFFFFFF8),
        (VR.UT, 0xFFFFFFFE),
    ],
)
def test_longest_field(vr: VR, longest: int) -> None:
    """A field has whole words, an even number of bytes, and less than all ones (7.1.2)."""
    assert vr.rule.max_field_bytes == longest
