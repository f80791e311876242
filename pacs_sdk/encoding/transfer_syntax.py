"""The transfer syntaxes: how a data set is laid out in bytes (PS3.5 Chapter 10, Annex A)."""

from __future__ import annotations

import difflib
from typing import Final

import attrs
from pydicom._uid_dict import UID_dictionary

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge

__all__ = [
    "DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN",
    "EXPLICIT_VR_BIG_ENDIAN",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "IMPLICIT_VR_LITTLE_ENDIAN",
    "TransferSyntax",
    "all_transfer_syntaxes",
    "known_transfer_syntax",
    "transfer_syntax",
]


@attrs.frozen
class TransferSyntax:
    """One registered way of encoding a data set (PS3.6 Table A-1)."""

    uid: str
    """The UID that names it on the wire and in files."""
    name: str
    """The name in PS3.6."""
    keyword: str
    """The keyword in PS3.6."""
    explicit_vr: bool = True
    """Whether each element header carries its VR (PS3.5 7.1.2)."""
    little_endian: bool = True
    """Whether numbers have the least significant byte first (PS3.5 7.3)."""
    encapsulated: bool = False
    """Whether Pixel Data is a sequence of fragments (PS3.5 A.4)."""
    deflated: bool = False
    """Whether the whole data set is a deflate stream (PS3.5 A.5)."""

    def __str__(self) -> str:
        return self.name


IMPLICIT_VR_LITTLE_ENDIAN: Final = TransferSyntax(
    "1.2.840.10008.1.2",
    "Implicit VR Little Endian",
    "ImplicitVRLittleEndian",
    explicit_vr=False,
)
"""The default transfer syntax, which everyone must accept (PS3.5 A.1)."""

EXPLICIT_VR_LITTLE_ENDIAN: Final = TransferSyntax(
    "1.2.840.10008.1.2.1", "Explicit VR Little Endian", "ExplicitVRLittleEndian"
)
"""PS3.5 A.2."""

DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = TransferSyntax(
    "1.2.840.10008.1.2.1.99",
    "Deflated Explicit VR Little Endian",
    "DeflatedExplicitVRLittleEndian",
    deflated=True,
)
"""PS3.5 A.5."""

EXPLICIT_VR_BIG_ENDIAN: Final = TransferSyntax(
    "1.2.840.10008.1.2.2",
    "Explicit VR Big Endian",
    "ExplicitVRBigEndian",
    little_endian=False,
)
"""PS3.5 A.3 of the editions up to 2016; retired and still met in archives."""

_OWN_CONSTANTS: Final = (
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
)

_WITHOUT_PIXEL_DATA: Final = {
    "1.2.840.10008.1.2.4.94": False,  # JPIP Referenced
    "1.2.840.10008.1.2.4.95": True,  # JPIP Referenced Deflate
    "1.2.840.10008.1.2.4.204": False,  # JPIP HTJ2K Referenced
    "1.2.840.10008.1.2.4.205": True,  # JPIP HTJ2K Referenced Deflate
    "1.2.840.10008.1.2.7.1": False,  # SMPTE ST 2110-20, progressive
    "1.2.840.10008.1.2.7.2": False,  # SMPTE ST 2110-20, interlaced
    "1.2.840.10008.1.2.7.3": False,  # SMPTE ST 2110-30
}
"""Syntaxes whose pixels travel elsewhere (PS3.5 A.6, A.7; PS3.22), and which are deflated."""

_NO_DATA_SET_ENCODING: Final = frozenset(
    (
        "1.2.840.10008.1.2.6.1",  # RFC 2557 MIME encapsulation
        "1.2.840.10008.1.2.6.2",  # XML Encoding
        "1.2.840.10008.1.20",  # Papyrus 3, a file format of its own
    )
)
"""Registered as transfer syntaxes, but not laid out as PS3.5 7 says."""

_NEWER_THAN_PYDICOM: Final = (
    (
        "1.2.840.10008.1.2.4.110",
        "JPEG XL Lossless",
        "JPEGXLLossless",
    ),
    (
        "1.2.840.10008.1.2.4.111",
        "JPEG XL JPEG Recompression",
        "JPEGXLJPEGRecompression",
    ),
    (
        "1.2.840.10008.1.2.4.112",
        "JPEG XL",
        "JPEGXL",
    ),
    (
        "1.2.840.10008.1.2.8.1",
        "Deflated Image Frame Compression",
        "DeflatedImageFrameCompression",
    ),
)
"""In PS3.6 2025a and after; pydicom 3.0 does not list them. All are encapsulated."""


def _registered() -> dict[str, TransferSyntax]:
    table = {syntax.uid: syntax for syntax in _OWN_CONSTANTS}
    rows = [
        (uid, name, keyword)
        for uid, (name, kind, _, _, keyword) in UID_dictionary.items()
        if kind == "Transfer Syntax"
    ]
    for uid, name, keyword in (*rows, *_NEWER_THAN_PYDICOM):
        if uid in table or uid in _NO_DATA_SET_ENCODING:
            continue
        table[uid] = TransferSyntax(
            uid,
            name,
            keyword,
            encapsulated=uid not in _WITHOUT_PIXEL_DATA,
            deflated=_WITHOUT_PIXEL_DATA.get(uid, False),
        )
    return table


_BY_UID: Final = _registered()
_BY_KEYWORD: Final = {syntax.keyword.casefold(): syntax for syntax in _BY_UID.values()}


def all_transfer_syntaxes() -> tuple[TransferSyntax, ...]:
    """Return every transfer syntax whose data sets can be read, the native ones first."""
    return tuple(_BY_UID.values())


def known_transfer_syntax(uid_or_keyword: str) -> TransferSyntax:
    """Look a transfer syntax up; for use inside a layer.

    Raises:
        PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX``, or ``MISSING_TRANSFER_SYNTAX``
            for an empty text.
    """
    wanted = uid_or_keyword.strip(" \0")
    found = _BY_UID.get(wanted) or _BY_KEYWORD.get(wanted.casefold())
    if found is not None:
        return found
    if not wanted:
        raise PacsException(ErrorCode.MISSING_TRANSFER_SYNTAX, "no transfer syntax is given")
    shown = wanted[:80]
    words = f"{shown!r} is a private or unknown transfer syntax; its data sets cannot be read"
    if not wanted[0].isdigit():
        typed = shown.casefold()
        begun = [keyword for keyword in _BY_KEYWORD if keyword.startswith(typed)]
        near = (begun or difflib.get_close_matches(typed, _BY_KEYWORD))[:3]
        meant = " or ".join(_BY_KEYWORD[one].keyword for one in near)
        hint = f"did you mean {meant}?" if meant else "give a keyword of PS3.6 or a UID"
        words = f"{shown!r} is no keyword of a transfer syntax; {hint}"
    raise PacsException(ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX, words, transfer_syntax=shown)


@edge()
def transfer_syntax(uid_or_keyword: str) -> TransferSyntax:
    """Look a transfer syntax up.

    Args:
        uid_or_keyword: ``"1.2.840.10008.1.2.1"`` (padding is ignored) or
            ``"ExplicitVRLittleEndian"``, in any case.

    Returns:
        ``Success`` with the syntax, or ``Failure`` with ``UNSUPPORTED_TRANSFER_SYNTAX``
        or ``MISSING_TRANSFER_SYNTAX``.
    """
    return known_transfer_syntax(uid_or_keyword)
