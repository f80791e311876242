"""Text by Specific Character Set: the examples of PS3.5 Annexes H, I, J and K."""

from __future__ import annotations

import pydicom.charset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.encoding.charsets import decode_text, python_encodings

ANNEX_EXAMPLES = {
    "H.3.1, kanji by code extension": (
        rb"\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "H.3.2, half-width katakana first": (
        rb"ISO 2022 IR 13\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=%s"
        % b"\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    "I.2, hangul": (
        rb"\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "J.1, Chinese in UTF-8": (
        b"ISO_IR 192",
        b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=",
        "Wang^XiaoDong=王^小東=",
    ),
    "J.3, Chinese in GB18030": (
        b"GB18030",
        b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=",
        "Wang^XiaoDong=王^小东=",
    ),
    "K.2, Chinese in GB 2312 by code extension": (
        rb"\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    "H.2, Greek": (b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
}


@pytest.mark.parametrize(
    ("character_set", "value", "text"), ANNEX_EXAMPLES.values(), ids=ANNEX_EXAMPLES
)
def test_examples_of_the_standard(character_set: bytes, value: bytes, text: str) -> None:
    """Each example value decodes to the characters that the annex shows."""
    assert decode_text(value, python_encodings(character_set)) == text


@pytest.mark.parametrize("term", sorted(pydicom.charset.python_encoding))
def test_every_defined_term(term: str) -> None:
    """Each term that pydicom knows names the same encoding here."""
    assert python_encodings(term.encode()) == (pydicom.charset.python_encoding[term],)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"ISO-IR 100", b"ISO_IR 100"),
        (b"ISO IR 100", b"ISO_IR 100"),
        (rb"ISO_2022_IR_6\ISO_2022_IR_87", rb"ISO 2022 IR 6\ISO 2022 IR 87"),
        (b"ISO_IR 192 ", b"ISO_IR 192"),
    ],
)
def test_common_misspellings(written: bytes, meant: bytes) -> None:
    """What writers often spell wrong is understood."""
    assert python_encodings(written) == python_encodings(meant)


def test_stand_alone_sets_take_no_extensions() -> None:
    """UTF-8 and GB18030 switch code extensions off, and are no extension (PS3.3 C.12.1.1.2)."""
    assert python_encodings(rb"ISO_IR 192\ISO 2022 IR 87") == ("UTF8",)
    assert python_encodings(rb"ISO 2022 IR 100\ISO_IR 192") == ("latin_1",)


@pytest.mark.parametrize("unknown", [b"KLINGON", b"\xff\xfe", b""])
def test_unknown_set_is_latin_1(unknown: bytes) -> None:
    """A term nobody knows loses no instance: the text is read as Latin-1."""
    assert decode_text(b"M\xfcller", python_encodings(unknown)) == "Müller"


def test_delimiter_resets_the_extension() -> None:
    """After ^ the first character set holds again (PS3.5 6.1.2.5.3)."""
    encodings = python_encodings(rb"ISO 2022 IR 100\ISO 2022 IR 126")
    assert decode_text(b"\x1b-F\xc3^\xc1", encodings) == "Γ^Á"


def test_unknown_escape_sequence() -> None:
    """An escape sequence that stands for nothing stays visible and ends nothing."""
    assert decode_text(b"A\x1b$zB", python_encodings(b"")) == "A\x1b$zB"


@given(value=st.binary(max_size=64), character_set=st.sampled_from([*ANNEX_EXAMPLES.values()]))
def test_any_bytes_give_text(value: bytes, character_set: tuple[bytes, bytes, str]) -> None:
    """Undecodable bytes give replacement characters, never an exception."""
    assert isinstance(decode_text(value, python_encodings(character_set[0])), str)
