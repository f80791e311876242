"""Sending an instance in another transfer syntax than it is stored in, where the peer needs it.

All senders use this: C-STORE (:mod:`pacs_sdk.services.sending`), C-GET and C-MOVE.
"""

from __future__ import annotations

import enum
import uuid
from collections.abc import Iterable, Sequence
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EncodeOptions,
    Instance,
    transcode,
    transfer_syntax,
)
from pacs_sdk.network import AcceptedContext, ProposedContext

__all__ = [
    "LOSSLESS_SYNTAXES",
    "LOSSY_SYNTAXES",
    "TranscodePolicy",
    "proposed_contexts",
    "reencoded",
    "usable_contexts",
]

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

LOSSY_SYNTAXES: Final = (
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline: 8 bits
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    "1.2.840.10008.1.2.4.51",  # JPEG Extended: 12 bits
    "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-lossless
)
"""Compressions that lose something, the most widely understood first."""

_NATIVE: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)
"""Explicit VR first: a receiver that doesn't know a private element keeps its VR (PS3.5 6.2.2)."""

_COMPRESSED: Final = (
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
)
"""Of the compressions without loss those that peers know."""


class TranscodePolicy(enum.StrEnum):
    """What may be done to an instance whose transfer syntax the peer refuses."""

    AUTO = "auto"
    """Another encoding of the same values: uncompressed, else compressed without loss."""
    NEVER = "never"
    """Nothing: it is not sent."""
    LOSSY = "lossy"
    """As ``AUTO``; where the peer takes none of these, compression with loss, which makes
    another, derived instance of it (PS3.3 C.7.6.1.1.5)."""


def proposed_contexts(
    sop_class_uid: str,
    transfer_syntaxes: Iterable[str],
    policy: TranscodePolicy = TranscodePolicy.AUTO,
    preferred: Sequence[str] = (),
) -> tuple[ProposedContext, ...]:
    """List the contexts to propose for instances of a SOP class.

    Each preferred and each stored transfer syntax has a context of its own, so that a peer
    which takes several cannot choose another one; those that instances may be re-encoded in
    follow.

    Args:
        sop_class_uid: The SOP class.
        transfer_syntaxes: Those that its instances are stored in.
        policy: What else may be proposed.
        preferred: What they are to be sent in, if that can be.
    """
    own = tuple(dict.fromkeys((*preferred, *transfer_syntaxes)))
    wanted: list[tuple[str, ...]] = [(uid,) for uid in own]
    if policy is not TranscodePolicy.NEVER:
        wanted.append(tuple(uid for uid in _NATIVE if uid not in own))
        wanted.append(tuple(uid for uid in _COMPRESSED if uid not in own))
    if policy is TranscodePolicy.LOSSY:
        # One each: which of them can hold an image depends on the image.
        wanted.extend((uid,) for uid in LOSSY_SYNTAXES if uid not in own)
    return tuple(ProposedContext(sop_class_uid, syntaxes) for syntaxes in wanted if syntaxes)


def usable_contexts(
    contexts: Iterable[AcceptedContext],
    sop_class_uid: str,
    transfer_syntax_uid: str,
    policy: TranscodePolicy = TranscodePolicy.AUTO,
    preferred: Sequence[str] = (),
) -> tuple[AcceptedContext, ...]:
    """List the contexts that instances of a kind may be sent in, the best first.

    After the preferred transfer syntaxes that were accepted comes the stored one; then come
    those without loss, and with ``LOSSY`` those with loss. Whether an image can really be
    encoded for one of them shows only when that is tried.

    Args:
        contexts: What was agreed.
        sop_class_uid: The SOP class of the instances.
        transfer_syntax_uid: What they are stored in.
        policy: What may be done to them.
        preferred: What they are to be sent in, if that can be.
    """
    allowed = {
        TranscodePolicy.NEVER: (),
        TranscodePolicy.AUTO: LOSSLESS_SYNTAXES,
        TranscodePolicy.LOSSY: (*LOSSLESS_SYNTAXES, *LOSSY_SYNTAXES),
    }[policy]
    order = dict.fromkeys((*preferred, transfer_syntax_uid, *allowed))
    fitting = {
        context.transfer_syntax: context
        for context in contexts
        if context.abstract_syntax == sop_class_uid and context.as_scu
    }
    return tuple(fitting[uid] for uid in order if uid in fitting)


def checked_preference(names: Iterable[str], policy: TranscodePolicy) -> tuple[str, ...]:
    """Return the UIDs of the transfer syntaxes that instances are to be sent in.

    Args:
        names: UIDs and keywords.
        policy: What may be done to instances.

    Raises:
        PacsException: ``UNSUPPORTED_TRANSFER_SYNTAX`` for what is none, ``INVALID_ARGUMENT`` for
            what the policy doesn't allow.
    """
    chosen = tuple(raised(transfer_syntax(name)) for name in names)
    for syntax in chosen:
        if policy is TranscodePolicy.NEVER:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{syntax.name} is to be sent, and nothing may be re-encoded; allow that",
            )
        if syntax.uid not in LOSSLESS_SYNTAXES and policy is not TranscodePolicy.LOSSY:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{syntax.name} may lose something, which only the policy LOSSY allows",
            )
    return tuple(syntax.uid for syntax in chosen)


def reencoded(
    instance: Instance, transfer_syntax_uid: str, options: EncodeOptions | None = None
) -> Instance:
    """Return an instance in a transfer syntax, itself where it is in it.

    What has lost something is another instance. Its SOP Instance UID is made from that of
    the original, the transfer syntax and the options: sent again it is the same.

    Raises:
        PacsException: What :func:`pacs_sdk.encoding.transcode` gives.
    """
    if instance.transfer_syntax_uid == transfer_syntax_uid:
        return instance
    source = f"{instance.sop_instance_uid} {transfer_syntax_uid} {options or EncodeOptions()}"
    derived_uid = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, source).int}"
    return raised(
        transcode(instance, transfer_syntax_uid, options=options, new_sop_instance_uid=derived_uid)
    )
