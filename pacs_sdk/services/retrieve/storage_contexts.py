"""What storage contexts a C-GET proposes (docs/explanation/decisions/0006)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import Success
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.network import Peer, ProposedContext
from pacs_sdk.services.query import QueryScu
from pacs_sdk.services.reencode import proposed_contexts
from pacs_sdk.services.sop_classes import InformationModel, sop_classes_by_use

__all__ = ["storage_contexts", "taken_as_scp", "usual_contexts"]

_MAX_STORAGE_CONTEXTS: Final = 127
"""128 contexts less the one for the C-GET itself."""

_UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)


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
    kinds = _kinds(scu, peer, identifier, model)
    if not kinds:
        return usual_contexts()
    wanted = [
        context for sop_class, own in kinds.items() for context in taken_as_scp(sop_class, own)
    ]
    return wanted[:_MAX_STORAGE_CONTEXTS]


def usual_contexts() -> list[ProposedContext]:
    """List what is proposed to a peer that does not say what it has."""
    wanted = [ProposedContext(one.uid, _UNCOMPRESSED) for one in sop_classes_by_use()]
    return _as_scp(wanted[:_MAX_STORAGE_CONTEXTS])


def taken_as_scp(sop_class_uid: str, transfer_syntaxes: Iterable[str]) -> list[ProposedContext]:
    """List what is proposed for instances of a SOP class that are known to be stored so."""
    return _as_scp(proposed_contexts(sop_class_uid, sorted(transfer_syntaxes)))


def _as_scp(contexts: Iterable[ProposedContext]) -> list[ProposedContext]:
    return [attrs.evolve(context, as_scu=False, as_scp=True) for context in contexts]


def _kinds(
    scu: QueryScu, peer: Peer, identifier: DicomDataset, model: InformationModel
) -> dict[str, set[str]]:
    """Ask which transfer syntaxes the wanted instances have, by SOP class.

    Nothing where the peer does not answer such a query; the retrieval then goes on without
    the knowledge.
    """
    question = DicomDataset(
        QueryRetrieveLevel="IMAGE",
        SOPClassUID="",
        SOPInstanceUID="",
        AvailableTransferSyntaxUID="",
    )
    for tag in identifier:
        if tag.keyword != "QueryRetrieveLevel":
            question[tag] = identifier[tag]
    kinds: dict[str, set[str]] = {}
    match scu.find(peer, question, model):
        case Success(matches):
            for found in matches:
                if found.get("SOPClassUID"):
                    sop_class = checked_uid(str(found.get("SOPClassUID")), "SOP Class UID")
                    syntaxes = found.get_strings("AvailableTransferSyntaxUID").value_or(())
                    kinds.setdefault(sop_class, set()).update(filter(None, syntaxes))
    return kinds
