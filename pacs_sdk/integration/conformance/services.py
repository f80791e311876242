"""Section 5: what each service does (PS3.2 N.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs

from pacs_sdk.integration.conformance.client_sections import client_services
from pacs_sdk.integration.conformance.document import (
    Block,
    Bullets,
    Paragraph,
    Section,
    Table,
)
from pacs_sdk.integration.conformance.facts import (
    C_FIND,
    C_GET,
    C_MOVE,
    C_STORE,
    ClaimedContext,
    Facts,
    syntax_name,
)
from pacs_sdk.integration.conformance.introduction import character_sets
from pacs_sdk.integration.conformance.keys import key_section
from pacs_sdk.integration.conformance.statuses import status_section
from pacs_sdk.network.contexts import ExtendedAnswer
from pacs_sdk.services import (
    FindNegotiation,
    InformationModel,
    QueryScp,
    RetrieveScp,
    ServiceClass,
    StorageScp,
    VerificationScp,
)

__all__ = ["service_sections"]

_OURS: Final = (VerificationScp, StorageScp, QueryScp, RetrieveScp)


def service_sections(facts: Facts) -> Section:
    """Describe the services, one part for each service class that is performed, then the client."""
    kinds = list(dict.fromkeys(one.service_class for one in facts.claims if one.scp))
    return Section(
        "Service and Interoperability Description",
        (),
        (
            Section(
                "DIMSE Services",
                (),
                (*(_service(facts, kind) for kind in kinds), client_services(facts)),
            ),
            Section("DICOM Web Services", (Paragraph("None."),)),
            Section("Media Services", (Paragraph("None."),)),
            character_sets(facts),
        ),
    )


def _service(facts: Facts, kind: ServiceClass | None) -> Section:
    claims = [one for one in facts.claims if one.service_class is kind and one.scp]
    operations = list(dict.fromkeys(name for one in claims for name in one.operations))
    title = f"{kind.title} Service" if kind else "Private SOP Classes"
    return Section(
        title,
        (Table(("SOP classes", "Operations", "Performed by"), _performers(facts, claims)),),
        tuple(_operation_sections(facts, claims, operations)),
    )


def _performers(facts: Facts, claims: Sequence[ClaimedContext]) -> Iterator[tuple[str, ...]]:
    """Give a row for each performer and its operations, not for each of 200 SOP classes."""
    groups: dict[tuple[str, str], list[ClaimedContext]] = {}
    for claim in claims:
        service = facts.services[claim.sop_class_uid]
        who = (
            facts.product
            if isinstance(service, _OURS)
            else f"{type(service).__name__}, a service of the site"
        )
        operations = ", ".join(claim.operations) or "see the service"
        groups.setdefault((operations, who), []).append(claim)
    for (operations, who), members in groups.items():
        if len(members) <= _FEW:
            names = ", ".join(one.name for one in members)
        else:
            names = f"{len(members)} SOP classes, listed in section 1.1"
        yield names, operations, who


_FEW: Final = 8


_Describe = Callable[[Facts, Sequence[ClaimedContext]], Section]


def _operation_sections(
    facts: Facts, claims: Sequence[ClaimedContext], operations: Sequence[str]
) -> Iterator[Section]:
    for operation in operations:
        performed = [one for one in claims if operation in one.operations]
        services = {id(one): one for one in (facts.services[c.sop_class_uid] for c in performed)}
        ours = [one for one in services.values() if isinstance(one, _OURS)]
        describe = _DESCRIPTIONS.get(operation)
        if ours and describe is not None:
            yield describe(facts, performed)
        if any(facts.contexts[one.sop_class_uid].extended is not None for one in performed):
            yield _negotiation(facts, operation, performed)
        if ours and operation == C_FIND:
            yield key_section(facts.further)
        if ours:
            declared = [status for one in ours for status in getattr(one, "statuses", ())]
            yield status_section(operation, declared)
        if len(services) > len(ours):
            yield Section(
                f"{operation} by Services of the Site",
                (Paragraph("Keys, statuses and behaviour are those of the service itself."),),
            )


# -- what ours do --------------------------------------------------------------------------


def _storing(facts: Facts, _: Sequence[ClaimedContext]) -> Section:
    storage, server = facts.config.storage, facts.config.server
    unknown = (
        "SOP classes that PS3.6 does not have, private ones included, are stored as well"
        if server.unknown_storage_classes
        else "SOP classes that are not listed are refused"
    )
    limits = [
        f"a data set of more than {server.max_dataset_bytes} bytes is refused (A700H)",
        *(
            [f"at most {storage.quota_bytes} bytes are kept; more is refused (A700H)"]
            if storage.quota_bytes is not None
            else []
        ),
        *(
            [f"{storage.minimum_free_bytes} bytes of the disk stay free"]
            if storage.minimum_free_bytes
            else []
        ),
    ]
    return Section(
        "SCP of the Storage SOP Classes",
        (
            Bullets(
                (
                    "Level 2 (full): every element is kept, private ones too (PS3.4 B.4.1)",
                    "an instance is acknowledged when it is on stable storage"
                    if storage.durability.value == "durable"
                    else "an instance is acknowledged before the disk has confirmed it",
                    unknown,
                    f"another object with a UID that is stored: {_duplicates(facts)}",
                    *limits,
                    *_reception(facts),
                )
            ),
        ),
    )


def _reception(facts: Facts) -> Iterator[str]:
    """Say what is looked at before an instance is stored."""
    count = len(facts.config.reception.rules)
    if count:
        yield (
            f"{count} {'rule decides' if count == 1 else 'rules decide'} by sender, SOP class and "
            "attributes what is refused: see reception.rules in section 6"
        )


def _duplicates(facts: Facts) -> str:
    value = facts.config.storage.duplicates.value
    return _DUPLICATES.get(value, f"treated by the policy {value}")


_DUPLICATES: Final = {
    "reject": "refused (0111H); the very same object is acknowledged and changes nothing",
    "replace": "it replaces the first",
    "ignore": "acknowledged, and the first is kept",
    "keep_both": "both are kept; queries find the first",
}


def _finding(facts: Facts, performed: Sequence[ClaimedContext]) -> Section:
    uids = {one.sop_class_uid for one in performed}
    models = [one for one in InformationModel if one.find in uids]
    query = facts.config.query
    return Section(
        "SCP of the Query Models",
        (
            Table(
                ("Information model", "Levels"),
                ((model.title, ", ".join(model.levels)) for model in models),
            ),
            Bullets(
                (
                    "hierarchical queries always; relational ones "
                    + (
                        "too, negotiated or not"
                        if query.always_relational
                        else "where they were negotiated, otherwise A900H"
                    ),
                    "keys that break the rules of their VR are "
                    + ("refused (A900H)" if query.check_values else "read as far as they go"),
                    "person names match without regard to case and accents",
                    (
                        "matches come in no particular order; a C-CANCEL ends them after the one "
                        "under way"
                    ),
                )
            ),
        ),
    )


def _hierarchy(facts: Facts) -> str:
    how = (
        "negotiated or not"
        if facts.config.retrieve.always_relational
        else "where relational retrieval was negotiated, otherwise A900H"
    )
    return f"unique keys of the levels above may be missing, {how}"


def _getting(facts: Facts, performed: Sequence[ClaimedContext]) -> Section:
    return Section(
        "SCP of C-GET",
        (
            Bullets(
                (
                    _hierarchy(facts),
                    (
                        "each instance is sent in the transfer syntax in which it is stored if the "
                        "requestor accepted it, as SCP, for the SOP class; otherwise re-encoded "
                        "where that changes no value, or counted as failed"
                    ),
                    (
                        f"up to {facts.config.server.max_operations_invoked} sub-operations ahead of "
                        "their answers, where the requestor negotiated it"
                    ),
                    (
                        f"a requestor has {facts.config.server.sub_operation_timeout_s:g} s to answer "
                        "a sub-operation"
                    ),
                )
            ),
        ),
    )


_DESTINATION_COLUMNS: Final = (
    "Destination",
    "Calling AE title",
    "TLS",
    "Transfer syntaxes",
    "Associations",
    "Operations window proposed",
)


def _moving(facts: Facts, performed: Sequence[ClaimedContext]) -> Section:
    own = facts.config.server.ae_title
    rows = [
        (
            one.ae_title,
            one.calling_ae_title or own,
            "yes" if one.tls is not None else "no",
            ", ".join(map(syntax_name, one.transfer_syntaxes)) or "as stored, or uncompressed",
            str(one.parallel),
            str(one.window),
        )
        for one in facts.config.destinations
    ]
    blocks: list[Block] = [
        Paragraph(
            "Instances are sent by C-STORE over associations that the system opens to the "
            "destination. A destination that is not configured, and not kept in the index database "
            "either, is refused (A801H)."
        ),
        Bullets((_hierarchy(facts), "Pending responses come every 50 ms at most")),
        Table(_DESTINATION_COLUMNS, rows) if rows else Paragraph("No destination is configured."),
    ]
    return Section("SCP of C-MOVE", tuple(blocks))


_DESCRIPTIONS: Final[dict[str, _Describe]] = {
    C_STORE: _storing,
    C_FIND: _finding,
    C_GET: _getting,
    C_MOVE: _moving,
}


# -- extended negotiation ------------------------------------------------------------------

_FIND_FLAGS: Final = tuple(field.name.replace("_", " ") for field in attrs.fields(FindNegotiation))
_RETRIEVE_FLAGS: Final = ("relational retrieval", "enhanced multi-frame image conversion")


def _negotiation(facts: Facts, operation: str, performed: Sequence[ClaimedContext]) -> Section:
    """Say what is answered to extended negotiation, by asking for everything."""
    names = _FIND_FLAGS if operation == C_FIND else _RETRIEVE_FLAGS
    rows = []
    for claim in performed:
        how = facts.contexts[claim.sop_class_uid].extended
        if how is not None:
            rows.append((claim.name, *_flags(how, len(names))))
    return Section(
        f"Extended Negotiation of {operation}",
        (
            Paragraph(
                "SOP class extended negotiation (PS3.7 D.3.3.5): what is agreed to when a "
                "requestor asks for it."
            ),
            Table(("SOP class", *names), rows),
        ),
    )


def _flags(how: ExtendedAnswer, count: int) -> list[str]:
    answer = how if isinstance(how, bytes) else how(b"\1" * count)
    flags = (answer or b"")[:count].ljust(count, b"\0")
    return ["yes" if flag == 1 else "no" for flag in flags]
