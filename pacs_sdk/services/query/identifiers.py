"""The identifier of a request: read, within a limit."""

from __future__ import annotations

from typing import Final

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    decode_dataset,
    transfer_syntax,
)
from pacs_sdk.network import Exchange

__all__ = ["IDENTIFIER_SYNTAXES", "MAX_ANSWER_BYTES", "MAX_IDENTIFIER_BYTES", "read_identifier"]

IDENTIFIER_SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)
"""The transfer syntaxes of identifiers, preferred first."""

MAX_IDENTIFIER_BYTES: Final = 1 << 20
"""The longest identifier that is decoded: thousands of UIDs in a list still fit."""

MAX_ANSWER_BYTES: Final = 16 << 20
"""The longest identifier of a response that is decoded: a hundred thousand UIDs that failed."""

_MOST_ELEMENTS: Final = 1 << 12
"""The most keys of an identifier. PS3.6 has some 5,000 attributes, and who asks for all that may be
returned names some hundreds; each answer has every one of them."""

_MOST_VALUES: Final = 1 << 15
"""The most values in all keys of an identifier together: three lists of as many UIDs as may be
listed. Each is looked at, and a megabyte of empty ones would take half a minute."""


def read_identifier(exchange: Exchange, code: ErrorCode) -> DicomDataset:
    """Decode the identifier of a C-FIND, C-GET or C-MOVE request.

    Raises:
        PacsException: ``code`` when there is none, it is too long or has too many elements or
            values; or a decoding error.
    """
    data = exchange.data
    if data is None:
        raise PacsException(code, "the request announced no identifier")
    if data.size > MAX_IDENTIFIER_BYTES:
        raise PacsException(code, f"an identifier of {data.size} bytes is too long")
    encoded = bytes(data.view())
    values = encoded.count(b"\\")
    if values > _MOST_VALUES:
        raise PacsException(
            code, f"the keys of an identifier have {values} values; {_MOST_VALUES} are the most"
        )
    syntax = raised(transfer_syntax(exchange.context.transfer_syntax))
    identifier = raised(decode_dataset(encoded, syntax))
    if len(identifier) > _MOST_ELEMENTS:
        raise PacsException(
            code, f"an identifier has {len(identifier)} elements; {_MOST_ELEMENTS} are the most"
        )
    return identifier
