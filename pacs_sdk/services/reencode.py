"""Changing an instance's encoding where that changes no value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    transcode,
)
from pacs_sdk.network import AcceptedContext

__all__ = ["LOSSLESS_SYNTAXES", "NATIVE_SYNTAXES", "chosen_context", "encoded_as"]

NATIVE_SYNTAXES: Final = frozenset(
    (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid, EXPLICIT_VR_BIG_ENDIAN.uid)
)
"""The uncompressed transfer syntaxes, one of which is chosen where the peer refused another."""

LOSSLESS_SYNTAXES: Final = (
    EXPLICIT_VR_LITTLE_ENDIAN.uid,
    IMPLICIT_VR_LITTLE_ENDIAN.uid,
    EXPLICIT_VR_BIG_ENDIAN.uid,
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.57",  # JPEG Lossless, any prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
    "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless, RPCL
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.5",  # RLE Lossless
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.uid,
)
"""What every value survives, and what is written here, in the order of preference: what costs
least first."""


def chosen_context(
    contexts: Iterable[AcceptedContext],
    instance: Instance,
    *,
    transcoding: bool = True,
    preferred: Sequence[str] = LOSSLESS_SYNTAXES,
) -> AcceptedContext | None:
    """Choose the presentation context that an instance is sent in.

    That with the stored encoding, where there is one: the bytes go out as they are. Otherwise
    one whose encoding keeps every value.

    Args:
        contexts: What was accepted.
        instance: What is to be sent.
        transcoding: Whether it may be re-encoded.
        preferred: To what, the best first; only what loses nothing is taken.

    Returns:
        The context; ``None`` where there is none for it.
    """
    fitting = {
        context.transfer_syntax: context
        for context in contexts
        if context.abstract_syntax == instance.sop_class_uid
    }
    own = fitting.get(instance.transfer_syntax_uid)
    if own is not None or not transcoding:
        return own
    return next(
        (fitting[uid] for uid in preferred if uid in fitting and uid in LOSSLESS_SYNTAXES), None
    )


def encoded_as(instance: Instance, transfer_syntax_uid: str) -> ByteSource:
    """Return an instance's data set in a transfer syntax, the stored bytes where it is in it.

    Raises:
        PacsException: What :func:`pacs_sdk.encoding.transcoding.transcode` gives.
    """
    return raised(transcode(instance, transfer_syntax_uid, new_sop_instance_uid=False)).encoded
