"""The table of transfer syntaxes and looking one up."""

from __future__ import annotations

import pydicom.uid
import pytest

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    all_transfer_syntaxes,
    transfer_syntax,
)

NO_DATA_SET = {"RFC2557MIMEEncapsulation", "XMLEncoding", "Papyrus3ImplicitVRLittleEndian"}
"""Registered as transfer syntaxes, but no way to encode a data set by PS3.5 7."""

PIXELS_ELSEWHERE = {
    "JPIPReferenced",
    "JPIPReferencedDeflate",
    "JPIPHTJ2KReferenced",
    "JPIPHTJ2KReferencedDeflate",
    "SMPTEST211020UncompressedProgressiveActiveVideo",
    "SMPTEST211020UncompressedInterlacedActiveVideo",
    "SMPTEST211030PCMDigitalAudio",
}
"""Pixel Data isn't in the data set; pydicom counts these as encapsulated all the same."""


def registered() -> dict[str, str]:
    """Return the UIDs of pydicom's transfer syntaxes by keyword."""
    return {
        row[4]: uid
        for uid, row in pydicom.uid.UID_dictionary.items()  # type: ignore[attr-defined]
        if row[1] == "Transfer Syntax"
    }


def test_all_of_pydicoms_are_there() -> None:
    """Every registered syntax that encodes data sets can be looked up by UID and keyword."""
    for keyword, uid in registered().items():
        if keyword not in NO_DATA_SET:
            assert transfer_syntax(uid).unwrap() is transfer_syntax(keyword).unwrap()
            assert transfer_syntax(uid).unwrap().keyword == keyword


def test_properties_agree_with_pydicom() -> None:
    """Explicit VR, byte order, encapsulation and deflation are what pydicom says."""
    for keyword, uid in registered().items():
        theirs = pydicom.uid.UID(uid)
        if keyword in NO_DATA_SET | PIXELS_ELSEWHERE:
            continue
        ours = transfer_syntax(uid).unwrap()
        assert ours.explicit_vr is not theirs.is_implicit_VR
        assert ours.little_endian is theirs.is_little_endian
        assert ours.encapsulated is theirs.is_encapsulated, keyword
        assert ours.deflated is theirs.is_deflated


@pytest.mark.parametrize("keyword", sorted(PIXELS_ELSEWHERE))
def test_pixels_elsewhere(keyword: str) -> None:
    """Where pixels are referenced there are no fragments; "Deflate" deflates (PS3.5 A.6, A.7)."""
    syntax = transfer_syntax(keyword).unwrap()
    assert not syntax.encapsulated
    assert syntax.deflated is keyword.endswith("Deflate")


@pytest.mark.parametrize(
    ("uid", "keyword"),
    [
        ("1.2.840.10008.1.2.4.110", "JPEGXLLossless"),
        ("1.2.840.10008.1.2.4.111", "JPEGXLJPEGRecompression"),
        ("1.2.840.10008.1.2.4.112", "JPEGXL"),
        ("1.2.840.10008.1.2.8.1", "DeflatedImageFrameCompression"),
    ],
)
def test_newer_than_pydicom(uid: str, keyword: str) -> None:
    """Syntaxes of PS3.6 that pydicom doesn't list are there; all are encapsulated."""
    syntax = transfer_syntax(uid).unwrap()
    assert (syntax.keyword, syntax.encapsulated) == (keyword, True)


def test_constants_are_the_table_rows() -> None:
    """The constants are the values that a look-up gives."""
    for constant, uid in (
        (IMPLICIT_VR_LITTLE_ENDIAN, pydicom.uid.ImplicitVRLittleEndian),
        (EXPLICIT_VR_LITTLE_ENDIAN, pydicom.uid.ExplicitVRLittleEndian),
        (EXPLICIT_VR_BIG_ENDIAN, pydicom.uid.ExplicitVRBigEndian),
        (DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, pydicom.uid.DeflatedExplicitVRLittleEndian),
    ):
        assert transfer_syntax(uid).unwrap() is constant


def test_uids_and_keywords_are_unique() -> None:
    """No two syntaxes share a UID or a keyword."""
    syntaxes = all_transfer_syntaxes()
    assert len({syntax.uid for syntax in syntaxes}) == len(syntaxes)
    assert len({syntax.keyword for syntax in syntaxes}) == len(syntaxes)


@pytest.mark.parametrize("padding", ["\0", " ", ""])
def test_padding_is_ignored(padding: str) -> None:
    """A UID as it stands in a file, padded to even length, is understood."""
    assert transfer_syntax("1.2.840.10008.1.2" + padding).unwrap() is IMPLICIT_VR_LITTLE_ENDIAN


@pytest.mark.parametrize("unknown", ["1.2.840.113619.5.2", "XMLEncoding", "nonsense", "1.2" * 99])
def test_unknown_syntax(unknown: str) -> None:
    """A private or unknown syntax is a failure that names it, cut to a bearable length."""
    error = transfer_syntax(unknown).failure()
    assert error.code is ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX
    assert unknown[:80] in error.message
    assert len(error.message) < 200


def test_no_syntax_at_all() -> None:
    """An empty text is a missing syntax, not an unknown one."""
    assert transfer_syntax(" ").failure().code is ErrorCode.MISSING_TRANSFER_SYNTAX


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("jpegls", "JPEGLSLossless"),
        ("JPEG2000Losless", "did you mean JPEG2000Lossless"),
        ("best quality", "give a keyword of PS3.6 or a UID"),
        ("1.2.3.4", "private or unknown"),
    ],
)
def test_the_error_helps(text: str, hint: str) -> None:
    """A keyword that is nearly right is answered with the right one."""
    error = transfer_syntax(text).failure()
    assert error.code is ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX
    assert hint in error.message


def test_keywords_in_any_case() -> None:
    """As for attributes, the case of a keyword doesn't matter."""
    assert transfer_syntax("jpegLSlossless").unwrap().keyword == "JPEGLSLossless"
