"""Protocol data units as bytes: a strict writer and a tolerant reader (PS3.8 9.3).

The writer refuses what the standard forbids us to send. The reader takes what peers send:
unknown items are skipped, reserved fields are not tested, padding is stripped, an item that
is left out becomes an empty value. It never reads past a length and never trusts one; what
it cannot read is ``INVALID_PDU`` with the item, its byte offset in the PDU, and the
``abort_reason`` an A-ABORT should give (PS3.8 Table 9-26).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Final

from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.pdu import (
    AAbort,
    AAssociateAC,
    AAssociateRJ,
    AAssociateRQ,
    AbortReason,
    AReleaseRP,
    AReleaseRQ,
    PDataTF,
    Pdu,
    PduType,
    PresentationDataValue,
)
from pacs_sdk.network.pdu_associate import read_accept, read_request, write_accept, write_request
from pacs_sdk.network.pdu_items import forbidden, malformed
from pacs_sdk.network.pdu_reasons import is_defined_abort, is_defined_rejection

__all__ = [
    "MAX_ASSOCIATE_PDU_LENGTH",
    "PDATA_HEADER_LENGTH",
    "PDU_HEADER_LENGTH",
    "PDV_HEADER",
    "PDV_HEADER_LENGTH",
    "decode_header",
    "decode_pdu",
    "encode_pdu",
    "pdata_header",
    "pdv_header",
]

MAX_ASSOCIATE_PDU_LENGTH: Final = 1 << 20
"""Longest PDU, other than P-DATA-TF, that is read: 1 MiB, counted after the 6-byte header.

A request with all 128 contexts and 40 transfer syntaxes each, every UID of 64 characters,
and a user information item of the greatest length, 64 KiB, has 0.42 MB. DCMTK draws the
line at 1 MiB too. More is memory that a stranger would make us allocate.
"""

_HEADER: Final = struct.Struct(">BxL")  # type, reserved, length (PS3.8 9.3.1)
_FOUR_BYTES: Final = struct.Struct(">BxLxBBB")  # header of length 4, then A-ASSOCIATE-RJ's
_PDATA: Final = struct.Struct(">BxLLBB")  # header, then one PDV item's (PS3.8 9.3.5)
PDV_HEADER: Final = struct.Struct(">LBB")
"""What precedes the data of a PDV item: item length (of what follows it), presentation
context ID, message control header (PS3.8 9.3.5.1 and Annex E.2)."""

PDU_HEADER_LENGTH: Final = _HEADER.size
"""Bytes before a PDU's variable field: type, reserved, length."""
PDV_HEADER_LENGTH: Final = PDV_HEADER.size
"""Bytes before the data of a PDV item: item length, context ID, message control header."""
PDATA_HEADER_LENGTH: Final = _PDATA.size
"""Bytes before the data of a P-DATA-TF with one PDV item."""

_COMMAND: Final = 0b01  # message control header (PS3.8 E.2): bit 0 command, bit 1 last
_LAST: Final = 0b10
_PDV_FIXED: Final = 2  # context ID and message control header count in the item length


def pdata_header(context_id: int, is_command: bool, is_last: bool, data_length: int) -> bytes:
    """Make the 12 bytes that precede the data of a P-DATA-TF with one PDV (PS3.8 9.3.5).

    Args:
        context_id: The presentation context, 0 to 255.
        is_command: Whether the data is of the command set, otherwise of the data set.
        is_last: Whether it is the last fragment of the command set or data set.
        data_length: Number of data bytes that will follow.

    Raises:
        PacsException: ``INVALID_PDU``, a number does not fit its field.
    """
    try:
        return _PDATA.pack(
            PduType.P_DATA_TF,
            data_length + PDV_HEADER_LENGTH,
            data_length + _PDV_FIXED,
            context_id,
            is_command | is_last << 1,
        )
    except struct.error:
        raise _unwritable_pdv(context_id, data_length) from None


def pdv_header(context_id: int, is_command: bool, is_last: bool, data_length: int) -> bytes:
    """Make the 6 bytes that precede the data of a PDV item (PS3.8 9.3.5.1).

    Takes and raises what :func:`pdata_header` does; for a P-DATA-TF with several items.
    """
    try:
        return PDV_HEADER.pack(data_length + _PDV_FIXED, context_id, is_command | is_last << 1)
    except struct.error:
        raise _unwritable_pdv(context_id, data_length) from None


def _unwritable_pdv(context_id: int, data_length: int) -> PacsException:
    return PacsException(
        ErrorCode.INVALID_PDU,
        f"a PDV of {data_length} bytes in context {context_id} does not fit a P-DATA-TF",
        context_id=context_id,
        data_length=data_length,
    )


def encode_pdu(pdu: Pdu) -> bytes:
    """Write a PDU down, with its header.

    Args:
        pdu: Any of the seven.

    Returns:
        The bytes to send.

    Raises:
        PacsException: ``INVALID_PDU``, the standard forbids to send such a value; the
            message says which and why.
    """
    match pdu:
        case AAssociateRQ():
            return _with_header(PduType.A_ASSOCIATE_RQ, write_request(pdu))
        case AAssociateAC():
            return _with_header(PduType.A_ASSOCIATE_AC, write_accept(pdu))
        case AAssociateRJ():
            return _encode_reject(pdu)
        case PDataTF():
            return _encode_pdata(pdu)
        case AReleaseRQ():
            return _FOUR_BYTES.pack(PduType.A_RELEASE_RQ, 4, 0, 0, 0)
        case AReleaseRP():
            return _FOUR_BYTES.pack(PduType.A_RELEASE_RP, 4, 0, 0, 0)
        case AAbort():
            return _encode_abort(pdu)


def _with_header(kind: PduType, body: bytes) -> bytes:
    if len(body) > MAX_ASSOCIATE_PDU_LENGTH:
        raise PacsException(
            ErrorCode.INVALID_PDU,
            f"the {_name(kind)} would have {len(body)} bytes, more than "
            f"{MAX_ASSOCIATE_PDU_LENGTH}; propose fewer presentation contexts",
            length=len(body),
        )
    return _HEADER.pack(kind, len(body)) + body


def _encode_reject(pdu: AAssociateRJ) -> bytes:
    if not is_defined_rejection(pdu.result, pdu.source, pdu.reason):
        codes = f"result {pdu.result:d}, source {pdu.source:d}, reason {pdu.reason:d}"
        raise forbidden("A-ASSOCIATE-RJ", f"has codes the standard reserves: {codes}")
    return _FOUR_BYTES.pack(PduType.A_ASSOCIATE_RJ, 4, pdu.result, pdu.source, pdu.reason)


def _encode_abort(pdu: AAbort) -> bytes:
    if not is_defined_abort(pdu.source, pdu.reason):
        codes = f"source {pdu.source:d}, reason {pdu.reason:d}"
        raise forbidden("A-ABORT", f"has codes the standard reserves: {codes}")
    return _FOUR_BYTES.pack(PduType.A_ABORT, 4, 0, pdu.source, pdu.reason)


def _encode_pdata(pdu: PDataTF) -> bytes:
    if not pdu.pdvs:
        raise PacsException(ErrorCode.INVALID_PDU, "a P-DATA-TF needs at least one PDV")
    parts: list[bytes | memoryview] = [b""]
    for pdv in pdu.pdvs:
        data = memoryview(pdv.data).cast("B")
        parts.append(pdv_header(pdv.context_id, pdv.is_command, pdv.is_last, data.nbytes))
        parts.append(data)
    length = sum(len(part) for part in parts)
    try:
        parts[0] = _HEADER.pack(PduType.P_DATA_TF, length)
    except struct.error:
        raise PacsException(
            ErrorCode.INVALID_PDU,
            f"a P-DATA-TF of {length} bytes does not fit its 4-byte length; split it",
            length=length,
        ) from None
    return b"".join(parts)


def decode_header(first6: Buffer) -> tuple[int, int]:
    """Read the type and the length of a PDU (PS3.8 9.3.1).

    Args:
        first6: At least its first 6 bytes.

    Returns:
        The type as it stands, known to :class:`PduType` or not, and the number of bytes
        that follow the header.

    Raises:
        PacsException: ``INVALID_PDU``, there are fewer than 6 bytes.
    """
    try:
        kind, length = _HEADER.unpack_from(first6)
    except struct.error:
        raise malformed("PDU header", 0, "has fewer than 6 bytes") from None
    return kind, length


def decode_pdu(data: Buffer) -> Pdu:
    """Read one complete PDU.

    Args:
        data: The PDU from its type to its last byte and no more. The data of a P-DATA-TF
            stays where it is: its PDVs are views of this buffer.

    Returns:
        The value of its kind.

    Raises:
        PacsException: ``INVALID_PDU`` naming the item, its byte offset, and the reason for
            the A-ABORT that should answer it.
    """
    whole = memoryview(data).cast("B")
    kind, length = decode_header(whole)
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise malformed(
            "PDU", 0, f"has type {kind:02X}H, which is none", AbortReason.UNRECOGNIZED_PDU
        )
    if kind != PduType.P_DATA_TF and length > MAX_ASSOCIATE_PDU_LENGTH:
        raise malformed(
            _name(kind), 2, f"says it has {length} bytes, more than {MAX_ASSOCIATE_PDU_LENGTH}"
        )
    have = whole.nbytes - PDU_HEADER_LENGTH
    if length != have:
        raise malformed(_name(kind), 2, f"says {length} bytes follow its header, but {have} do")
    return decoder(whole)


def _name(kind: int) -> str:
    return PduType(kind).name.replace("_", "-")


def _decode_request(whole: memoryview) -> AAssociateRQ:
    return read_request(bytes(whole))


def _decode_accept(whole: memoryview) -> AAssociateAC:
    return read_accept(bytes(whole))


def _three_bytes(whole: memoryview) -> tuple[int, int, int]:
    """Read the bytes 8 to 10 that A-ASSOCIATE-RJ and A-ABORT put their codes in."""
    if whole.nbytes < _FOUR_BYTES.size:
        raise malformed(_name(whole[0]), 2, f"has length {whole.nbytes - 6} instead of 4")
    return whole[7], whole[8], whole[9]


def _decode_reject(whole: memoryview) -> AAssociateRJ:
    return AAssociateRJ(*_three_bytes(whole))


def _decode_release_request(whole: memoryview) -> AReleaseRQ:
    _three_bytes(whole)
    return AReleaseRQ()


def _decode_release_response(whole: memoryview) -> AReleaseRP:
    _three_bytes(whole)
    return AReleaseRP()


def _decode_abort(whole: memoryview) -> AAbort:
    _, source, reason = _three_bytes(whole)
    return AAbort(source, reason)


def _decode_pdata(whole: memoryview) -> PDataTF:
    end = whole.nbytes
    offset = PDU_HEADER_LENGTH
    pdvs: list[PresentationDataValue] = []
    while offset < end:
        if end - offset < PDV_HEADER_LENGTH:
            raise malformed("PDV item", offset, f"ends after {end - offset} of 6 header bytes")
        item_length, context_id, control = PDV_HEADER.unpack_from(whole, offset)
        stop = offset + 4 + item_length
        if item_length < _PDV_FIXED or stop > end:
            raise malformed(
                "PDV item",
                offset,
                f"says it has {item_length} bytes where {end - offset - 4} are left "
                f"and {_PDV_FIXED} are the least",
            )
        pdvs.append(
            PresentationDataValue(
                context_id,
                bool(control & _COMMAND),
                bool(control & _LAST),
                whole[offset + PDV_HEADER_LENGTH : stop],
            )
        )
        offset = stop
    if not pdvs:
        raise malformed("P-DATA-TF", 2, "has no PDV item")
    return PDataTF(tuple(pdvs))


_DECODERS: Final[Mapping[int, Callable[[memoryview], Pdu]]] = {
    PduType.A_ASSOCIATE_RQ: _decode_request,
    PduType.A_ASSOCIATE_AC: _decode_accept,
    PduType.A_ASSOCIATE_RJ: _decode_reject,
    PduType.P_DATA_TF: _decode_pdata,
    PduType.A_RELEASE_RQ: _decode_release_request,
    PduType.A_RELEASE_RP: _decode_release_response,
    PduType.A_ABORT: _decode_abort,
}
