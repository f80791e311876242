"""The table of transfer syntaxes, made from the registry of codecs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacs_sdk.encoding import Capability, TransferSyntax, all_transfer_syntaxes, default_codecs

__all__ = ["PROOFS", "proofs", "transfer_syntax_table"]

_CODECS: Final = "tests/encoding/test_codecs.py"
_ENCODERS: Final = "tests/encoding/test_encoders.py"
_LOSSY: Final = "tests/encoding/test_encoders_lossy.py"
_PEERS: Final = "tests/encoding/test_encoders_interop.py"
_PIXELS: Final = "tests/encoding/test_pixels.py"
_SYNTAXES: Final = "tests/encoding/test_transfer_syntax_table.py"

_JPEG: Final = "1.2.840.10008.1.2.4."
_EXACT: Final = f"{_ENCODERS}::test_lossless_is_exact"
_PEER: Final = f"{_PEERS}::test_others_decode_the_same"
_DCMTK: Final = f"{_PEERS}::test_dcmtk_decodes_the_same"
_NATIVE: Final = (
    f"{_SYNTAXES}::test_native_pixels",
    *(
        f"{_PIXELS}::{name}"
        for name in ("test_whole_numbers", "test_single_bits", "test_floating_point")
    ),
)
_VIDEO: Final = ("MPEG", "HEVC")

PROOFS: Final[dict[str, tuple[str, ...]]] = {
    "1.2.840.10008.1.2.5": (_EXACT, _PEER, _DCMTK),
    "1.2.840.10008.1.2.1.98": (_EXACT, f"{_ENCODERS}::test_uncompressed_frame_is_native"),
    "1.2.840.10008.1.2.8.1": (_EXACT, f"{_ENCODERS}::test_deflated_frame_is_native"),
    _JPEG + "50": (f"{_LOSSY}::test_defaults_on_a_ct", f"{_PEERS}::test_others_decode_jpeg"),
    _JPEG + "51": (f"{_LOSSY}::test_defaults_on_a_ct", f"{_PEERS}::test_others_decode_jpeg"),
    _JPEG + "57": (_EXACT, _PEER, _DCMTK),
    _JPEG + "70": (_EXACT, f"{_ENCODERS}::test_lossless_jpeg_has_selection_value_1", _PEER, _DCMTK),
    _JPEG + "80": (_EXACT, _PEER, _DCMTK),
    _JPEG + "81": (f"{_LOSSY}::test_near_lossless_of_12_bits", _PEER, _DCMTK),
    _JPEG + "90": (_EXACT, _PEER),
    _JPEG + "91": (_EXACT, f"{_LOSSY}::test_compression_ratio", _PEER),
    _JPEG + "201": (_EXACT, _PEER),
    _JPEG + "202": (_EXACT, f"{_ENCODERS}::test_htj2k_rpcl", _PEER),
    _JPEG + "203": (_EXACT, f"{_LOSSY}::test_compression_ratio", _PEER),
    _JPEG + "110": (_EXACT,),
    _JPEG + "111": (f"{_CODECS}::test_recompressed_jpeg_in_jpeg_xl",),
    _JPEG + "112": (_EXACT, f"{_LOSSY}::test_defaults_on_a_ct"),
}
"""The tests that show what the row of a transfer syntax says."""


def proofs(syntax: TransferSyntax) -> tuple[str, ...]:
    """Name the tests that show what the table says of a transfer syntax."""
    if syntax.uid in PROOFS:
        return PROOFS[syntax.uid]
    if syntax.encapsulated:
        return (f"{_SYNTAXES}::test_what_is_not_decoded_passes_through",)
    if _is_native(syntax):
        return _NATIVE
    return ()


def _is_native(syntax: TransferSyntax) -> bool:
    return syntax.uid.startswith("1.2.840.10008.1.2") and "VR" in syntax.keyword


def transfer_syntax_table() -> str:
    """Return the tables of native, compressed and other transfer syntaxes."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    syntaxes = all_transfer_syntaxes()
    compressed = [syntax for syntax in syntaxes if syntax.uid in PROOFS]
    native = [syntax for syntax in syntaxes if not syntax.encapsulated and _is_native(syntax)]
    video = [syntax for syntax in syntaxes if syntax.keyword.startswith(_VIDEO)]
    shown = {syntax.uid for syntax in (*compressed, *native, *video)}
    others = [s for s in syntaxes if s.encapsulated and s.uid not in shown]
    yield "**Native**\n"
    yield "| transfer syntax | decode | encode | Bits Allocated | loss | shown by |"
    yield "|---|---|---|---|---|---|"
    for syntax in native:
        yield (
            f"| {_name(syntax)} | yes | yes | 1, 8, 16, 32, 64, and floating point "
            f"| none | {_shown_by(syntax)} |"
        )
    yield "\n**Compressed**\n"
    yield (
        "| transfer syntax | decode | encode | Bits Allocated | Bits Stored | samples | signed "
        "| loss | shown by |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for syntax in compressed:
        yield _compressed_row(syntax)
    for title, group in (("Video", video), ("Others that are encapsulated", others)):
        yield f"\n**{title}**\n"
        yield "| transfer syntax | decode | encode | frames | shown by |"
        yield "|---|---|---|---|---|"
        for syntax in group:
            yield f"| {_name(syntax)} | no | no | passed on as they are | {_shown_by(syntax)} |"


def _compressed_row(syntax: TransferSyntax) -> str:
    (_, can), *_ = default_codecs().capabilities(syntax.uid)
    fewest, most = can.bits_stored
    cells = (
        _name(syntax),
        "yes" if can.decodes else "no",
        "yes" if can.encodes else f"no: {can.remark}" if can.remark else "no",
        ", ".join(map(str, can.bits_allocated)),
        f"{fewest}" if fewest == most else f"{fewest}–{most}",
        ", ".join(map(str, can.samples)),
        "yes" if can.signed else "no",
        _loss(can),
        _shown_by(syntax),
    )
    return f"| {' | '.join(cells)} |"


def _loss(can: Capability) -> str:
    if not can.lossy:
        return "none"
    return "none or bounded" if can.lossless else "always"


def _name(syntax: TransferSyntax) -> str:
    return f"{syntax.name}<br>`{syntax.uid}`"


def _shown_by(syntax: TransferSyntax) -> str:
    return "<br>".join(f"`{proof.rpartition('/')[2]}`" for proof in proofs(syntax))
