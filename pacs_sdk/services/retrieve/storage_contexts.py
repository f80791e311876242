"""What storage contexts a C-GET proposes (docs/explanation/decisions/0006)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    transfer_syntax,
)
from pacs_sdk.network import Peer, ProposedContext
from pacs_sdk.services.query import QueryScu
from pacs_sdk.services.reencode import proposed_contexts
from pacs_sdk.services.retrieve.kinds import KindSearch
from pacs_sdk.services.sop_classes import InformationModel, sop_classes_by_use

__all__ = ["storage_contexts", "taken_as_scp", "usual_contexts"]

_MAX_STORAGE_CONTEXTS: Final = 127
"""128 contexts less the one for the C-GET itself."""

_UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)

_AS_STORED: Final = tuple(
    raised(transfer_syntax(keyword)).uid
    for keyword in (
        "JPEGLosslessSV1",
        "JPEG2000Lossless",
        "JPEGBaseline8Bit",
        "JPEG2000",
        "RLELossless",
        "JPEGLSLossless",
        "JPEGExtended12Bit",
        "JPEGLossless",
        "JPEGLSNearLossless",
        "HTJ2KLossless",
        "HTJ2KLosslessRPCL",
        "HTJ2K",
        "MPEG4HP41",
        "MPEG2MPML",
        "MPEG2MPHL",
        "MPEG4HP41BD",
        "HEVCMP51",
        "DeflatedExplicitVRLittleEndian",
        "ExplicitVRBigEndian",
    )
)
"""What else instances may be stored in, the most common first."""


def storage_contexts(
    scu: QueryScu, peer: Peer, identifier: DicomDataset, model: InformationModel
) -> list[ProposedContext]:
    """Ask a peer what it has, and make the contexts that take it as it is stored.

    Args:
        scu: What asks.
        peer: Whom.
        identifier: What is wanted.
        model: The information model.
    """
    search = KindSearch(scu, peer, model)
    search.run(identifier)
    kinds = search.kinds
    untold = sum(not own for own in kinds.values())
    room = _MAX_STORAGE_CONTEXTS // untold if untold else 0
    wanted = []
    for sop_class, own in kinds.items():
        wanted += taken_as_scp(sop_class, own) if own else _taken_as_whatever(sop_class)[:room]
    if not search.is_all:
        wanted += [one for one in usual_contexts() if one.abstract_syntax not in kinds]
    return wanted[:_MAX_STORAGE_CONTEXTS]


def usual_contexts() -> list[ProposedContext]:
    """List what is proposed to a peer that does not say what it has."""
    wanted = [ProposedContext(one.uid, _UNCOMPRESSED) for one in sop_classes_by_use()]
    return _as_scp(wanted[:_MAX_STORAGE_CONTEXTS])


def taken_as_scp(sop_class_uid: str, transfer_syntaxes: Iterable[str]) -> list[ProposedContext]:
    """List what is proposed for instances of a SOP class that are known to be stored so."""
    return _as_scp(proposed_contexts(sop_class_uid, sorted(transfer_syntaxes)))


def _taken_as_whatever(sop_class_uid: str) -> list[ProposedContext]:
    """List what is proposed for instances of a SOP class that are stored in whatever way.

    What is uncompressed comes first, for peers that look for no other context; each compression
    has one of its own, as a peer that cannot re-encode needs just that of its file.
    """
    syntaxes = [_UNCOMPRESSED, *((uid,) for uid in _AS_STORED)]
    return _as_scp(ProposedContext(sop_class_uid, one) for one in syntaxes)


def _as_scp(contexts: Iterable[ProposedContext]) -> list[ProposedContext]:
    return [attrs.evolve(context, as_scu=False, as_scp=True) for context in contexts]
