"""Command sets made by hand, element by element, and what becomes of them."""

from __future__ import annotations

import struct

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.network.dimse import Message, decode_command, encode_command

__all__ = ["element", "read_or_refuse", "refusal", "split", "us", "writer_refusal"]


def element(number: int, value: bytes, group: int = 0) -> bytes:
    """Lay out one element."""
    return struct.pack("<HHL", group, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    """Lay out an element of one US value."""
    return element(number, value.to_bytes(2, "little"))


def split(data: bytes) -> list[bytes]:
    """Cut a command set into its elements."""
    elements, offset = [], 0
    while offset < len(data):
        (length,) = struct.unpack_from("<L", data, offset + 4)
        elements.append(data[offset : offset + 8 + length])
        offset += 8 + length
    return elements


def refusal(data: bytes) -> str:
    """Decode what must not be decoded; return the reason given."""
    with pytest.raises(PacsException) as raised:
        decode_command(data)
    assert raised.value.error.code is ErrorCode.INVALID_DIMSE_MESSAGE
    return raised.value.error.message


def writer_refusal(message: Message) -> str:
    """Encode what must not be encoded; return the reason given."""
    with pytest.raises(PacsException) as raised:
        encode_command(message, has_dataset=False)
    assert raised.value.error.code is ErrorCode.INVALID_DIMSE_MESSAGE
    return raised.value.error.message


def read_or_refuse(data: bytes) -> Message | None:
    """Decode, and return nothing for the documented error; any other is a failure."""
    try:
        return decode_command(data).message
    except PacsException as exc:
        if exc.error.code is not ErrorCode.INVALID_DIMSE_MESSAGE:
            raise
        return None
