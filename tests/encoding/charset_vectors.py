"""Encoded text with what it says, byte by byte: PS3.5 Annexes H to K, and our own."""

from __future__ import annotations

import attrs

from pacs_sdk.core.vr import VR

# The escape sequences of PS3.3 Tables C.12-3 and C.12-4, by what they designate.
TO_IR_6 = b"\x1b(B"  # ESC 02/08 04/02: ISO 646 to G0
TO_IR_14 = b"\x1b(J"  # ESC 02/08 04/10: romaji to G0
TO_IR_13 = b"\x1b)I"  # ESC 02/09 04/09: katakana to G1
TO_IR_87 = b"\x1b$B"  # ESC 02/04 04/02: JIS X 0208 to G0
TO_IR_159 = b"\x1b$(D"  # ESC 02/04 02/08 04/04: JIS X 0212 to G0
TO_IR_149 = b"\x1b$)C"  # ESC 02/04 02/09 04/03: KS X 1001 to G1
TO_IR_58 = b"\x1b$)A"  # ESC 02/04 02/09 04/01: GB 2312 to G1
TO_IR_100 = b"\x1b-A"  # ESC 02/13 04/01: Latin 1 to G1
TO_IR_126 = b"\x1b-F"  # ESC 02/13 04/06: Greek to G1
TO_IR_144 = b"\x1b-L"  # ESC 02/13 04/12: Cyrillic to G1
TO_IR_203 = b"\x1b-b"  # ESC 02/13 06/02: Latin 9 to G1


@attrs.frozen
class Vector:
    """A value field."""

    name: str
    """Where it comes from."""
    declared: bytes
    """Specific Character Set."""
    field: bytes
    """The bytes, without padding."""
    text: str
    """What they say."""
    vr: VR = VR.PN
    """The VR."""
    canonical: bool = True
    """Whether encoding the text gives these very bytes; others are as legal."""


ANNEXES = (
    Vector(
        "H.3.1, kanji by code extension",
        rb"\ISO 2022 IR 87",
        b"Yamada^Tarou="
        + (TO_IR_87 + b"\x3b\x33\x45\x44" + TO_IR_6 + b"^")
        + (TO_IR_87 + b"\x42\x40\x4f\x3a" + TO_IR_6 + b"=")
        + (TO_IR_87 + b"\x24\x64\x24\x5e\x24\x40" + TO_IR_6 + b"^")  # 5EH is no delimiter here
        + (TO_IR_87 + b"\x24\x3f\x24\x6d\x24\x26" + TO_IR_6),
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    Vector(
        "H.3.2, half-width katakana first",
        rb"ISO 2022 IR 13\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3="
        + (TO_IR_87 + b"\x3b\x33\x45\x44" + TO_IR_14 + b"^")
        + (TO_IR_87 + b"\x42\x40\x4f\x3a" + TO_IR_14 + b"=")
        + (TO_IR_87 + b"\x24\x64\x24\x5e\x24\x40" + TO_IR_14 + b"^")
        + (TO_IR_87 + b"\x24\x3f\x24\x6d\x24\x26" + TO_IR_14),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    Vector(
        "I.2, hanja and hangul",
        rb"\ISO 2022 IR 149",
        b"Hong^Gildong="
        + (TO_IR_149 + b"\xfb\xf3" + b"^")
        + (TO_IR_149 + b"\xd1\xce\xd4\xd7" + b"=")
        + (TO_IR_149 + b"\xc8\xab" + b"^")
        + (TO_IR_149 + b"\xb1\xe6\xb5\xbf"),
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    Vector(
        "I.3, hangul and ASCII in one line",
        rb"\ISO 2022 IR 149",
        (TO_IR_149 + b"The first line includes \xc7\xd1\xb1\xdb.\r\n")
        + (TO_IR_149 + b"The second line includes \xc7\xd1\xb1\xdb, too.\r\n")
        + b"The third line",
        "The first line includes 한글.\r\nThe second line includes 한글, too.\r\nThe third line",
        VR.LT,
    ),
    Vector(
        "J.1, Chinese in UTF-8",
        b"ISO_IR 192",
        b"Wang^XiaoDong=" + b"\xe7\x8e\x8b" + b"^" + b"\xe5\xb0\x8f\xe6\x9d\xb1" + b"=",
        "Wang^XiaoDong=王^小東=",
    ),
    Vector(
        "J.3, Chinese in GB18030",
        b"GB18030",
        b"Wang^XiaoDong=" + b"\xcd\xf5" + b"^" + b"\xd0\xa1\xb6\xab" + b"=",
        "Wang^XiaoDong=王^小东=",
    ),
    Vector(
        "J.3, the same in GBK",
        b"GBK",
        b"Wang^XiaoDong=" + b"\xcd\xf5" + b"^" + b"\xd0\xa1\xb6\xab" + b"=",
        "Wang^XiaoDong=王^小东=",
    ),
    Vector(
        "K.2, Chinese by code extension",
        rb"\ISO 2022 IR 58",
        b"Zhang^XiaoDong="
        + (TO_IR_58 + b"\xd5\xc5" + b"^")
        + (TO_IR_58 + b"\xd0\xa1\xb6\xab" + b"="),
        "Zhang^XiaoDong=张^小东=",
    ),
    Vector(
        "K.3, Chinese long text",
        rb"\ISO 2022 IR 58",
        (b"1." + TO_IR_58 + b"\xb5\xda\xd2\xbb\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3\r\n")
        + (b"2." + TO_IR_58 + b"\xb5\xda\xb6\xfe\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3\r\n")
        + (b"3." + TO_IR_58 + b"\xb5\xda\xc8\xfd\xd0\xd0\xce\xc4\xd7\xd6\xa1\xa3\r\n"),
        "1.第一行文字。\r\n2.第二行文字。\r\n3.第三行文字。\r\n",
        VR.LT,
        canonical=False,  # we designate at the beginning of a line, as I.3 does
    ),
)
"""The examples of the standard."""

SHIPPED = (
    # The patient names in pydicom's charset_files, by file.
    Vector("chrArab", b"ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
    Vector("chrFren", b"ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    Vector("chrGerm", b"ISO_IR 100", b"\xc4neas^R\xfcdiger", "Äneas^Rüdiger"),
    Vector("chrGreek", b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    Vector("chrHbrw", b"ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    Vector("chrRuss", b"ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"),
    Vector(
        "chrJapMulti",
        rb"\ISO 2022 IR 87",
        (TO_IR_87 + b"\x24\x64\x24\x5e\x24\x40" + TO_IR_6 + b"^")
        + (TO_IR_87 + b"\x24\x3f\x24\x6d\x24\x26" + TO_IR_6),
        "やまだ^たろう",
    ),
    Vector(
        "chrKoreanMulti",
        rb"\ISO 2022 IR 149",
        TO_IR_149 + b"\xb1\xe8\xc8\xf1\xc1\xdf" + TO_IR_6,  # G0 was ISO 646 all along
        "김희중",
        canonical=False,
    ),
    Vector(
        "chrSQEncoding, returning to ISO 646 and not to romaji",
        rb"ISO 2022 IR 13\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3="
        + (TO_IR_87 + b"\x3b\x33\x45\x44" + TO_IR_6 + b"^")
        + (TO_IR_87 + b"\x42\x40\x4f\x3a" + TO_IR_6),
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        canonical=False,
    ),
)

OWN = (
    # Hand-assembled from PS3.3 Tables C.12-2 to C.12-4 and PS3.5 6.1.2.5.
    Vector("Latin 2", b"ISO_IR 101", b"\xa3\xf3d\xbc", "Łódź"),
    Vector("Latin 3", b"ISO_IR 109", b"\xa1al", "Ħal"),
    Vector("Latin 4", b"ISO_IR 110", b"R\xefga", "Rīga"),
    Vector("Latin 5", b"ISO_IR 148", b"\xdd\xfe\xf0", "İşğ"),
    Vector("Latin 9", b"ISO_IR 203", b"\xa4 \xbd", "€ œ"),
    Vector("Thai", b"ISO_IR 166", b"\xa1\xa2\xe0", "กขเ"),
    Vector("yen sign in text", b"ISO_IR 13", b"\x5c100 \x7e", "¥100 ‾", VR.LT),
    Vector("5CH is the delimiter in LO", b"ISO_IR 13", b"\xb1\x5c\xb2", "ｱ\\ｲ", VR.LO),
    Vector(
        "JIS X 0212",
        rb"ISO 2022 IR 6\ISO 2022 IR 87\ISO 2022 IR 159",
        TO_IR_159 + b"\x30\x21" + TO_IR_87 + b"\x3b\x33" + TO_IR_6,
        "丂山",
    ),
    Vector(
        "Greek, then Latin 1 again",
        rb"ISO 2022 IR 100\ISO 2022 IR 126",
        b"\xc1^" + TO_IR_126 + b"\xc3\xe1" + TO_IR_100 + b"^\xc1",
        "Á^Γα^Á",
    ),
    Vector(
        "a circumflex is no delimiter in LO",
        rb"ISO 2022 IR 6\ISO 2022 IR 126",
        TO_IR_126 + b"\xc3^\xe1=",
        "Γ^α=",
        VR.LO,
    ),
    Vector(
        "three sets in one component",
        rb"ISO 2022 IR 6\ISO 2022 IR 126\ISO 2022 IR 144\ISO 2022 IR 203",
        TO_IR_126 + b"\xc3a" + TO_IR_144 + b"\xbbb" + TO_IR_203 + b"\xbc",
        "ΓaЛbŒ",
    ),
    Vector(
        "ISO 646 to G0 leaves G1 alone",
        rb"\ISO 2022 IR 149\ISO 2022 IR 87",
        TO_IR_149 + b"\xc7\xd1" + TO_IR_87 + b"\x3b\x33" + TO_IR_6 + b"a\xb1\xdb",
        "한山a글",
        canonical=False,  # hanja has the kanji too
    ),
    Vector(
        "5CH, 5EH and 3DH within kanji",
        rb"\ISO 2022 IR 87",
        TO_IR_87 + b"\x30\x5c\x30\x5e\x30\x3d" + TO_IR_6 + b"^A",
        "移緯綾^A",
    ),
    Vector("a tab", rb"\ISO 2022 IR 58", TO_IR_58 + b"\xd5\xc5\ta", "张\ta", VR.LT),
    Vector("5CH as second byte, GB18030", b"GB18030", b"\x81\x5ca\x5cb", "乗a\\b", VR.LO),
    Vector("5CH as second byte, GBK", b"GBK", b"\x81\x5ca\x5cb", "乗a\\b", VR.LO),
    Vector("four bytes, GB18030", b"GB18030", b"\x90\x30\x81\x30", "\U00010000", VR.UT),
)
"""What the annexes have no example of."""
