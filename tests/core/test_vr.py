"""The value representations, against PS3.5 Table 6.2-1 and against pydicom's tables."""

from __future__ import annotations

import pydicom.valuerep
import pytest

from pacs_sdk.core.vr import VR, VrKind

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
