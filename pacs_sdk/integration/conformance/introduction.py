"""Sections 1 to 4: overview, introduction, implementation model (PS3.2 N.1 to N.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pacs_sdk.encoding.charsets import CHARACTER_SETS
from pacs_sdk.integration.conformance.client_sections import client_definition
from pacs_sdk.integration.conformance.document import Bullets, Paragraph, Section, Table
from pacs_sdk.integration.conformance.facts import C_MOVE, C_STORE, ClaimedContext, Facts
from pacs_sdk.services import DICOM_EDITION

__all__ = ["character_sets", "implementation_model", "introduction", "overview"]

YES: Final = "Yes"
NO: Final = "No"


def overview(facts: Facts) -> Section:
    """Say on one page what there is."""
    return Section(
        "Conformance Statement Overview",
        (
            Paragraph(
                f"{facts.product} receives DICOM objects over the network, keeps them, and lets "
                "others find and fetch them, as far as the services below are configured."
            ),
        ),
        (
            Section(
                "Network Services",
                (
                    Table(
                        ("Service class", "SOP class", "SCU", "SCP"),
                        (_overview_row(facts, claim) for claim in facts.claims),
                    ),
                    Paragraph(
                        "SCU means here what the server does by itself: it invokes the "
                        "SOP class on a peer that took the role of SCP for a C-GET"
                        + (
                            ", and on the destination of a C-MOVE."
                            if facts.performed(C_MOVE)
                            else "."
                        )
                        + f" The client is SCU of {_invoked(facts)}: see section 7.5."
                    ),
                ),
            ),
            Section("Media Services", (Paragraph("None."),)),
            Section("Real-Time Video Services", (Paragraph("None."),)),
            Section(
                "Specific Character Sets",
                (Paragraph(f"Read and written: {', '.join(CHARACTER_SETS)}. See section 5.4."),),
            ),
        ),
    )


def _overview_row(facts: Facts, claim: ClaimedContext) -> tuple[str, ...]:
    kind = claim.service_class
    return (
        f"{kind.title} ({kind.section})" if kind else "Private",
        claim.name,
        YES if claim.scu else NO,
        YES if claim.scp else NO,
    )


def introduction(facts: Facts) -> Section:
    """Say whom the statement is for, and what it is made from."""
    return Section(
        "Introduction",
        (),
        (
            Section(
                "Revision History",
                (
                    Table(
                        ("Version", "Date", "Reason"),
                        [(facts.version, facts.issued.isoformat(), "made from the configuration")],
                    ),
                ),
            ),
            Section(
                "Audience",
                (
                    Paragraph(
                        "Those who connect this system with others: administrators, integrators, "
                        "and makers of peers. They are expected to know DICOM."
                    ),
                ),
            ),
            Section(
                "Remarks",
                (
                    Paragraph(
                        "This statement is generated from the configuration that the system runs "
                        "with, and from what its services declare. Another configuration has "
                        "another statement. A statement alone does not make two systems work "
                        "together; compare it with the peer's, and test."
                    ),
                ),
            ),
            Section(
                "Terms and Abbreviations",
                (
                    Bullets(
                        (
                            "AE: application entity, what has an AE title on the network",
                            "SCU, SCP: user and provider of a service class",
                            "SOP class: what is done with which kind of object",
                            "PDU: protocol data unit of the DICOM upper layer (PS3.8)",
                            "T1, T2, …: sets of transfer syntaxes, listed in section 7",
                        )
                    ),
                ),
            ),
            Section(
                "References",
                (
                    Paragraph(
                        "NEMA PS3, Digital Imaging and Communications in Medicine (DICOM). The "
                        f"names of SOP classes are those of the edition {DICOM_EDITION}; the "
                        "structure is that of PS3.2 Annex N."
                    ),
                ),
            ),
        ),
    )


def implementation_model(facts: Facts) -> Section:
    """Say which application entities there are, and what they do."""
    title = facts.config.server.ae_title
    return Section(
        "Implementation Model",
        (),
        (
            Section(
                "Application Data Flow",
                (
                    Paragraph(
                        f"There are two application entities: the server, {title}, and the "
                        "client. Peers open associations to the server, which opens some to the "
                        "destinations of C-MOVE only. The client opens associations to peers. To "
                        "the server it is these that come:"
                    ),
                    Bullets(tuple(_flows(facts))),
                ),
            ),
            Section(
                f"Functional Definition of {title}",
                (
                    Paragraph(
                        "It listens for associations, several at a time, and carries out the "
                        "operations of each in the order in which they come. What is received is "
                        "kept byte for byte in the transfer syntax in which it came, unless Annex "
                        "A says otherwise, and is safe before it is acknowledged"
                        + (
                            " (durability is relaxed in this configuration: a power failure may "
                            "lose the last instances)."
                            if facts.config.storage.durability.value == "relaxed"
                            else "."
                        )
                    ),
                ),
            ),
            client_definition(facts),
        ),
    )


def _invoked(facts: Facts) -> str:
    return ", ".join(dict.fromkeys((*(one.operation for one in facts.client.proposals), C_STORE)))


def _flows(facts: Facts) -> Iterator[str]:
    operations = dict.fromkeys(
        operation for claim in facts.claims if claim.scp for operation in claim.operations
    )
    for operation in operations:
        yield f"{operation}: {_MEANING.get(operation, 'performed by a service of the site')}"


_MEANING: Final = {
    "C-ECHO": "a peer makes sure that the system is there",
    "C-STORE": "a peer sends an instance, which is stored",
    "C-FIND": "a peer asks what there is, and gets matches",
    "C-GET": "a peer asks for instances, and gets them on the same association",
    "C-MOVE": "a peer has instances sent to a destination",
}


def character_sets(facts: Facts) -> Section:
    """Say how text is read and written (PS3.2 N.5.7)."""
    assumed = facts.config.storage.assume_character_set
    return Section(
        "Specific Character Sets",
        (
            Table(
                ("Defined term", "Reading and writing"),
                ((term, YES) for term in CHARACTER_SETS),
            ),
            Paragraph(
                "Several terms are read and written with the code extensions of ISO 2022. Stored "
                "text is sent as it was received. Answers to queries have the character set of "
                "the request where it can hold the text, otherwise the smallest that can."
            ),
            Paragraph(
                f"Where Specific Character Set (0008,0005) is absent, {assumed} is assumed, and "
                "such text is stored as UTF-8."
                if assumed
                else "Where Specific Character Set (0008,0005) is absent, the default repertoire "
                "is assumed; nothing is changed."
            ),
        ),
    )
