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


def read_identifier(exchange: Exchange, code: ErrorCode) -> DicomDataset:
    """Decode the identifier of a C-FIND, C-GET or C-MOVE request.

    Raises:
        PacsException: ``code`` when there is none or it is too long, or a decoding error.
    """
    data = exchange.data
    if data is None:
        raise PacsException(code, "the request announced no identifier")
    if data.size > MAX_IDENTIFIER_BYTES:
        raise PacsException(code, f"an identifier of {data.size} bytes is too long")
    syntax = raised(transfer_syntax(exchange.context.transfer_syntax))
    return raised(decode_dataset(data.view(), syntax))
