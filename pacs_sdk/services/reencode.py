"""Changing an instance's encoding where that changes no value."""

from __future__ import annotations

from typing import Final

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    encode_dataset,
    transfer_syntax,
)

__all__ = ["NATIVE_SYNTAXES", "encoded_as"]

NATIVE_SYNTAXES: Final = frozenset(
    (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid, EXPLICIT_VR_BIG_ENDIAN.uid)
)
"""The uncompressed transfer syntaxes, between which any data set can be re-encoded."""


def encoded_as(instance: Instance, transfer_syntax_uid: str) -> ByteSource:
    """Return an instance's data set in a transfer syntax.

    The stored bytes themselves where they are in it already; otherwise re-encoded,
    between uncompressed transfer syntaxes only.

    Raises:
        PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX`` where pixel data would have to be
            decompressed or compressed, or a decoding error.
    """
    if instance.transfer_syntax_uid == transfer_syntax_uid:
        return instance.encoded
    if not {instance.transfer_syntax_uid, transfer_syntax_uid} <= NATIVE_SYNTAXES:
        raise PacsException(
            ErrorCode.UNSUPPORTED_TRANSFER_SYNTAX,
            f"the instance is stored in {instance.transfer_syntax_uid} and the peer takes only "
            f"{transfer_syntax_uid}; only uncompressed instances are re-encoded",
        )
    target = raised(transfer_syntax(transfer_syntax_uid))
    return MemoryBytes(raised(encode_dataset(raised(instance.dataset()), target)))
