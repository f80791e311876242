"""Sections 7 and 8, and the annexes: associations, contexts, security (PS3.2 N.7, N.8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacs_sdk.core.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacs_sdk.integration.conformance.client_sections import (
    client_associations,
    client_security,
)
from pacs_sdk.integration.conformance.document import Bullets, Paragraph, Section, Table
from pacs_sdk.integration.conformance.facts import C_MOVE, Facts, syntax_name
from pacs_sdk.network.pdu import APPLICATION_CONTEXT_NAME
from pacs_sdk.services import find_sop_class

__all__ = ["CONTEXT_COLUMNS", "annexes", "communication", "security"]

CONTEXT_COLUMNS: Final = ("SOP class", "UID", "as SCP", "as SCU")
"""The table of presentation contexts."""


def communication(facts: Facts) -> Section:
    """Describe associations, and list what is negotiated."""
    return Section(
        "Network and Media Communication Details",
        (),
        (
            Section("Associations", (Table(("Parameter", "Value"), _parameters(facts)),)),
            Section("Acceptance of Associations", (Bullets(tuple(_acceptance(facts))),)),
            Section("Initiation of Associations", (Paragraph(_initiation(facts)),)),
            _contexts(facts),
            client_associations(facts),
        ),
    )


def _parameters(facts: Facts) -> Iterator[tuple[str, str]]:
    server = facts.config.server
    yield "Application Context Name", APPLICATION_CONTEXT_NAME
    yield "Implementation Class UID", IMPLEMENTATION_CLASS_UID
    yield "Implementation Version Name", IMPLEMENTATION_VERSION_NAME
    yield "AE title", server.ae_title
    yield "Port", str(server.port) if server.port else "chosen at the start"
    yield "Maximum PDU length that is received", f"{server.maximum_length} bytes"
    yield "Associations accepted at a time", str(server.max_associations)
    yield "The same from one peer", str(server.max_associations_per_peer or "no limit of its own")
    yield (
        "Asynchronous operations window, performed",
        f"up to {server.max_operations_performed} if the requestor proposes it, otherwise 1",
    )
    yield (
        "Asynchronous operations window, invoked",
        f"up to {server.max_operations_invoked} if the requestor proposes it, otherwise 1",
    )
    yield "Time for an association request (ARTIM)", f"{server.artim_timeout_s:g} s"
    yield "Time an association may be idle", f"{server.idle_timeout_s:g} s"
    yield "Time a peer may take no data", f"{server.send_timeout_s:g} s"
    yield "Time for a whole message", f"{server.message_timeout_s:g} s"


def _acceptance(facts: Facts) -> Iterator[str]:
    server = facts.config.server
    titles = ", ".join((server.ae_title, *sorted(server.called_ae_titles)))
    if server.require_called_ae_title:
        yield f"The called AE title must be one of: {titles}."
    else:
        yield "Any called AE title is accepted."
    if server.calling_ae_titles:
        yield f"The calling AE title must be one of: {', '.join(sorted(server.calling_ae_titles))}."
    if server.peers:
        yield f"These may call from these networks only: {', '.join(server.peers)}."
    if not (server.calling_ae_titles or server.peers):
        yield "Any calling AE title is accepted."
    preferred = dict.fromkeys(one.preferred for one in facts.contexts.values() if one.preferred)
    if preferred:
        for order in preferred:
            names = ", ".join(map(syntax_name, order))
            yield (
                "Of the transfer syntaxes of a proposed context of what is stored here, the first "
                f"of these is accepted, if one is there: {names}."
            )
    yield (
        f"Of the {'other ' if preferred else ''}transfer syntaxes of a proposed context, the first "
        "that is supported is accepted: the requestor's order counts."
    )
    yield "The same SOP class may be proposed in several contexts; each is answered by itself."
    if server.unknown_storage_classes:
        yield (
            "SOP classes that PS3.6 does not have are accepted with every transfer syntax that "
            "all storage SOP classes here have, unless the requestor describes them as something "
            "else (common extended negotiation, PS3.7 D.3.3.6)."
        )
    yield (
        "An association over the limit is rejected as transient, local limit exceeded; others "
        "with the reason of PS3.8 9.3.4."
    )


def _initiation(facts: Facts) -> str:
    if not facts.performed(C_MOVE):
        return "The server opens none to a peer; for the client see section 7.5."
    return (
        "For a C-MOVE the server opens an association to its destination. It proposes the storage SOP "
        "classes of the instances that are to be sent, each in the transfer syntax in which it "
        "is stored and in others that lose nothing, or in those that are configured for the "
        "destination; more than 128 contexts go over several associations. For the client see "
        "section 7.5."
    )


def _contexts(facts: Facts) -> Section:
    groups = facts.syntax_groups()
    return Section(
        "Presentation Contexts",
        (
            Paragraph(
                "A context is accepted if its SOP class is listed, with a transfer syntax of the "
                "set that stands in the column of the proposed role; in both roles at once only "
                "with one of both sets. Nothing else is accepted"
                + (
                    ", except unknown SOP classes as described above."
                    if facts.config.server.unknown_storage_classes
                    else "."
                )
            ),
            Table(
                CONTEXT_COLUMNS,
                (
                    (
                        one.name,
                        one.sop_class_uid,
                        groups.get(one.scp, "–"),
                        groups.get(one.scu, "–"),
                    )
                    for one in facts.claims
                ),
            ),
        ),
        tuple(
            Section(
                f"Transfer Syntaxes {name}",
                (
                    Table(
                        ("Transfer syntax", "UID"),
                        ((syntax_name(uid), uid) for uid in sorted(syntaxes, key=_numbers)),
                    ),
                ),
            )
            for syntaxes, name in groups.items()
        ),
    )


def _numbers(uid: str) -> list[int]:
    return [int(part) for part in uid.split(".")]


def security(facts: Facts) -> Section:
    """Describe TLS, identity and audit (PS3.2 N.8)."""
    server = facts.config.server
    identity = (
        "User identities (PS3.7 D.3.3.7) are verified"
        + ("; a request without one is rejected." if server.identity_required else ".")
        if facts.verifies_identity
        else (
            "A request must have a user identity that is verified, and nothing verifies any: all "
            "are rejected."
            if server.identity_required
            else "User identities (PS3.7 D.3.3.7) are neither demanded nor verified."
        )
    )
    return Section(
        "Security",
        (),
        (
            Section("Secure Transport Connection", tuple(_transport(facts))),
            client_security(),
            Section("User Identity", (Paragraph(identity),)),
            Section(
                "Access by AE Title and Address",
                (
                    Paragraph(
                        "The rules are those of section 7.2. AE titles are names and not proofs; "
                        "only TLS with certificates of both sides keeps impostors out."
                    ),
                ),
            ),
            Section(
                "Audit Trail",
                (
                    Paragraph(
                        "Accepted and rejected associations are recorded."
                        if facts.keeps_audit
                        else "No audit trail is kept in this configuration. The log has "
                        "associations and failures; it has no values of attributes."
                    ),
                ),
            ),
        ),
    )


def _transport(facts: Facts) -> Iterator[Paragraph | Table]:
    tls = facts.config.server.tls
    if tls is None:
        yield Paragraph("Associations are accepted in the clear: TLS is not configured.")
        return
    profile = tls.profile
    yield Paragraph("Associations are accepted over TLS only (PS3.15 Annex B).")
    yield Table(
        ("Parameter", "Value"),
        (
            ("Profile", profile.value),
            ("Versions", profile.versions_in_words),
            (
                "Cipher suites of TLS 1.2",
                ", ".join(profile.cipher_suites) or "none: TLS 1.3 alone",
            ),
            (
                "Client certificate",
                "demanded" if tls.client_ca is not None else "not asked for",
            ),
        ),
    )


def annexes(facts: Facts) -> tuple[Section, ...]:
    """Describe what is changed in objects, and which SOP classes are of another standard."""
    storage = facts.config.storage
    changes = [
        *(
            [
                (
                    "Issuer of Patient ID (0010,0021) is set to "
                    f"{storage.issuer_of_patient_ids} where Patient ID has a value and it has none"
                )
            ]
            if storage.issuer_of_patient_ids
            else []
        ),
        *(
            [
                (
                    "text without Specific Character Set (0008,0005) is taken for "
                    f"{storage.assume_character_set} and stored as UTF-8"
                )
            ]
            if storage.assume_character_set
            else []
        ),
    ]
    foreign = [
        (one.name, one.sop_class_uid, known.domain)
        for one in facts.claims
        if (known := find_sop_class(one.sop_class_uid)) is not None and known.domain
    ]
    retired = [
        (one.name, one.sop_class_uid)
        for one in facts.claims
        if (known := find_sop_class(one.sop_class_uid)) is not None and known.is_retired
    ]
    return (
        Section(
            "Changes to Received Objects",
            (
                Paragraph(
                    "These attributes are changed when an object is received; the original values "
                    "are recorded in Original Attributes Sequence (0400,0561)."
                    if changes
                    else "None: objects are kept byte for byte as they are received."
                ),
                *([Bullets(tuple(changes))] if changes else []),
            ),
        ),
        Section(
            "Retired and Foreign SOP Classes",
            (
                Paragraph(
                    "These are supported for the sake of old objects, or belong to other uses of "
                    "DICOM."
                ),
                Table(("Retired SOP class", "UID"), retired or [("None", "")]),
                Table(
                    ("SOP class of another standard", "UID", "Standard"),
                    foreign or [("None", "", "")],
                ),
            ),
        ),
    )
