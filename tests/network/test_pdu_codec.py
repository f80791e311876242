"""Reading and writing whole PDUs.

Each vector is read whole, written again, cut at every length, and given trailing data.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.pdu import AbortReason, PDataTF, PduType, PresentationDataValue
from pacs_sdk.network.pdu_codec import (
    MAX_ASSOCIATE_PDU_LENGTH,
    PDATA_HEADER_LENGTH,
    PDV_HEADER_LENGTH,
    decode_header,
    decode_pdu,
    encode_pdu,
    pdata_header,
    pdv_header,
)
from tests.network.pdu_captures import CAPTURES
from tests.network.pdu_vectors import (
    ABORT,
    DATA,
    REJECT,
    RELEASE_REQUEST,
    RELEASE_RESPONSE,
    REQUEST,
    VECTORS,
    Vector,
)

every_vector = pytest.mark.parametrize("vector", VECTORS + CAPTURES, ids=lambda vector: vector.name)


def _refused(data: bytes) -> PacsException:
    """Read what cannot be read."""
    with pytest.raises(PacsException) as raised:
        decode_pdu(data)
    assert raised.value.error.code is ErrorCode.INVALID_PDU
    assert set(raised.value.error.details) == {"item", "offset", "abort_reason"}
    return raised.value


def _with_length(data: bytes) -> bytes:
    """Make a PDU's length say what there is."""
    return data[:2] + struct.pack(">L", len(data) - 6) + data[6:]


def _item_ends(data: bytes) -> set[int]:
    """Tell where a PDU's items end, so that a cut there leaves whole items."""
    match data[0]:
        case PduType.A_ASSOCIATE_RQ | PduType.A_ASSOCIATE_AC:
            offset, header, length_at, width = 6 + 68, 4, 2, 2
        case PduType.P_DATA_TF:
            offset, header, length_at, width = 6, 4, 0, 4
        case _:
            return set()
    ends = {offset} if width == 2 else set()
    while offset < len(data):
        length = data[offset + length_at : offset + length_at + width]
        offset += header + int.from_bytes(length, "big")
        ends.add(offset)
    return ends


@every_vector
def test_a_whole_pdu_is_read(vector: Vector) -> None:
    """Every field of the bytes is found in the value, from any kind of buffer."""
    assert decode_pdu(vector.data) == vector.pdu
    assert decode_pdu(bytearray(vector.data)) == vector.pdu
    assert decode_pdu(memoryview(vector.data)) == vector.pdu


@every_vector
def test_a_pdu_is_written(vector: Vector) -> None:
    """The value becomes those bytes; where a peer fills reserved fields, the same value."""
    written = encode_pdu(vector.pdu)
    assert decode_pdu(written) == vector.pdu
    if vector.ours:
        assert written == vector.data
    else:
        assert len(written) == len(vector.data)


@every_vector
def test_a_cut_pdu_is_refused(vector: Vector) -> None:
    """Cut at any length, the PDU is INVALID_PDU and nothing else."""
    for length in range(len(vector.data)):
        _refused(vector.data[:length])


@every_vector
def test_a_cut_pdu_that_hides_it_is_refused(vector: Vector) -> None:
    """With its length made to fit the cut, only a cut between items can be read."""
    ends = _item_ends(vector.data)
    for length in range(6, len(vector.data)):
        cut = _with_length(vector.data[:length])
        if length in ends:
            assert type(decode_pdu(cut)) is type(vector.pdu)
        else:
            _refused(cut)


@every_vector
def test_trailing_data_is_refused(vector: Vector) -> None:
    """Bytes after the PDU are not of the PDU; who passes them has lost count."""
    error = _refused(vector.data + b"\x00")
    assert error.error.details["offset"] == 2


@pytest.mark.parametrize(
    "vector",
    [REJECT, RELEASE_REQUEST, RELEASE_RESPONSE, ABORT],
    ids=lambda vector: vector.name,
)
def test_a_longer_fixed_pdu_is_read(vector: Vector) -> None:
    """A peer that sends more than the four bytes of such a PDU is understood."""
    assert decode_pdu(_with_length(vector.data + b"\xff\xff")) == vector.pdu


@every_vector
def test_reserved_bytes_of_the_header_are_not_tested(vector: Vector) -> None:
    """PS3.8 9.3.1: reserved fields shall not be tested."""
    assert decode_pdu(vector.data[:1] + b"\xff" + vector.data[2:]) == vector.pdu


def test_a_pdv_is_a_view_of_what_was_received() -> None:
    """The data of a P-DATA-TF is not copied."""
    received = bytearray(DATA.data)
    pdu = decode_pdu(received)
    received[12] = 0xAA
    assert isinstance(pdu, PDataTF)
    assert bytes(pdu.pdvs[0].data) == b"\xaa\x02\x03"


@pytest.mark.parametrize("is_command", [True, False])
@pytest.mark.parametrize("is_last", [True, False])
def test_the_header_of_the_hot_path(is_command: bool, is_last: bool) -> None:
    """`pdata_header` and `pdv_header` are what `encode_pdu` puts before the data."""
    data = b"\x01\x02\x03\x04"
    whole = encode_pdu(PDataTF((PresentationDataValue(7, is_command, is_last, data),)))
    assert pdata_header(7, is_command, is_last, 4) + data == whole
    assert pdata_header(7, is_command, is_last, 4)[6:] == pdv_header(7, is_command, is_last, 4)
    assert (PDATA_HEADER_LENGTH, PDV_HEADER_LENGTH) == (12, 6)


@pytest.mark.parametrize("header", [pdata_header, pdv_header])
@pytest.mark.parametrize(("context_id", "length"), [(256, 0), (-1, 0), (1, 0xFFFFFFFF), (1, -3)])
def test_a_header_that_does_not_fit(
    header: Callable[[int, bool, bool, int], bytes], context_id: int, length: int
) -> None:
    """A context ID or length beyond its field is INVALID_PDU."""
    with pytest.raises(PacsException) as raised:
        header(context_id, True, True, length)
    assert raised.value.error.code is ErrorCode.INVALID_PDU


def test_a_header_is_read() -> None:
    """Type and length are given as they stand, whether or not the type is known."""
    assert decode_header(REQUEST.data) == (PduType.A_ASSOCIATE_RQ, 378)
    assert decode_header(memoryview(b"\x99\x00\xff\xff\xff\xff")) == (0x99, 0xFFFFFFFF)
    for length in range(6):
        with pytest.raises(PacsException, match="fewer than 6"):
            decode_header(bytes(length))


@pytest.mark.parametrize("kind", [0x00, 0x08, 0x16, 0x47, 0xFF])
def test_an_unknown_type_is_unrecognized(kind: int) -> None:
    """A type that is none (TLS, HTTP) should be aborted as an unrecognized PDU."""
    error = _refused(bytes([kind, 0, 0, 0, 0, 0])).error
    assert error.details["abort_reason"] == AbortReason.UNRECOGNIZED_PDU
    assert f"{kind:02X}H" in error.message


@pytest.mark.parametrize("kind", [kind for kind in PduType if kind is not PduType.P_DATA_TF])
def test_a_long_pdu_is_refused_from_its_header(kind: PduType) -> None:
    """Beyond the limit the PDU is refused for what it says, before any of it is there."""
    header = struct.pack(">BxL", kind, MAX_ASSOCIATE_PDU_LENGTH + 1)
    assert str(MAX_ASSOCIATE_PDU_LENGTH) in _refused(header).error.message


def test_a_pdata_longer_than_the_limit_of_the_others_is_read() -> None:
    """How long a P-DATA-TF may be is negotiated, so its receiver checks that."""
    data = bytes(MAX_ASSOCIATE_PDU_LENGTH)
    pdu = decode_pdu(pdata_header(1, False, True, len(data)) + data)
    assert pdu == PDataTF((PresentationDataValue(1, False, True, data),))
