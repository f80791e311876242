"""Changing an instance's encoding where that changes no value."""

from __future__ import annotations

from typing import Final

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    transcode,
)

__all__ = ["NATIVE_SYNTAXES", "encoded_as"]

NATIVE_SYNTAXES: Final = frozenset(
    (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid, EXPLICIT_VR_BIG_ENDIAN.uid)
)
"""The uncompressed transfer syntaxes, one of which is chosen where the peer refused another."""


def encoded_as(instance: Instance, transfer_syntax_uid: str) -> ByteSource:
    """Return an instance's data set in a transfer syntax, the stored bytes where it is in it.

    Raises:
        PacsException: What :func:`pacs_sdk.encoding.transcoding.transcode` gives.
    """
    return raised(transcode(instance, transfer_syntax_uid, new_sop_instance_uid=False)).encoded
