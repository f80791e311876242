"""What storage contexts a C-GET proposes (docs/explanation/decisions/0006)."""

from __future__ import annotations

from typing import Final

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import Success
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.network import Peer, ProposedContext
from pacs_sdk.services.query import QueryScu
from pacs_sdk.services.retrieve.proposals import offered_syntaxes
from pacs_sdk.services.sop_classes import InformationModel, sop_classes_by_use

__all__ = ["storage_contexts"]

_MAX_STORAGE_CONTEXTS: Final = 127
"""128 contexts less the one for the C-GET itself."""


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
        kinds = {sop_class.uid: set() for sop_class in sop_classes_by_use()}
    contexts = [
        ProposedContext(sop_class, syntaxes, as_scu=False, as_scp=True)
        for sop_class, own in kinds.items()
        for syntaxes in offered_syntaxes(sorted(own))
    ]
    return contexts[:_MAX_STORAGE_CONTEXTS]


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
