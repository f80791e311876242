"""The conformance statement of a PACS, made from what it is (PS3.2 Annex N)."""

from __future__ import annotations

import attrs

from pacs_sdk.core.results import edge
from pacs_sdk.integration.conformance.configuration import configuration
from pacs_sdk.integration.conformance.document import (
    Contents,
    Document,
    Paragraph,
    Section,
    Table,
)
from pacs_sdk.integration.conformance.facts import ClaimedContext, Facts, facts_of
from pacs_sdk.integration.conformance.introduction import (
    implementation_model,
    introduction,
    overview,
)
from pacs_sdk.integration.conformance.network import annexes, communication, security
from pacs_sdk.integration.conformance.services import service_sections
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.services import Proposal

__all__ = ["ConformanceStatement", "conformance_statement"]


@attrs.frozen
class ConformanceStatement:
    """What a PACS claims, as a document and as values."""

    document: Document
    """The document."""
    claims: tuple[ClaimedContext, ...]
    """The presentation contexts that the server accepts, as it claims."""
    proposals: tuple[Proposal, ...]
    """What the client proposes besides the storage contexts of what it sends, as it claims."""

    def markdown(self) -> str:
        """Write it as Markdown."""
        return self.document.markdown()

    def html(self) -> str:
        """Write it as one HTML page that needs nothing else."""
        return self.document.html()


@edge()
def conformance_statement(
    pacs: Pacs, *, product: str = "pacs_sdk", manufacturer: str = ""
) -> ConformanceStatement:
    """Write the DICOM conformance statement of a PACS (PS3.2 Annex N).

    Everything in it comes from the configuration, and from the services that the server has:
    what they say they support, and the tables that they work by. Services of one's own and
    what a configuration changes are in it without further ado. What the service class users
    of the container propose, as the commands do, is there as a second application entity.

    Args:
        pacs: The PACS; it need not run, but its archive is opened if it does not.
        product: What the statement calls the system.
        manufacturer: Who answers for it; left out if empty.

    Returns:
        ``Success``, or ``Failure`` with what keeps the archive or the server from being made.
    """
    facts = facts_of(pacs, product, manufacturer)
    return ConformanceStatement(_document(facts), facts.claims, facts.client.proposals)


def _document(facts: Facts) -> Document:
    return Document(
        f"DICOM Conformance Statement: {facts.product}",
        (
            Table(
                ("Cover", ""),
                [
                    ("Product", facts.product),
                    *([("Manufacturer", facts.manufacturer)] if facts.manufacturer else []),
                    ("Version", facts.version),
                    ("AE title", facts.config.server.ae_title),
                    ("Date", facts.issued.isoformat()),
                ],
            ),
            Paragraph("Generated from the configuration; see section 3.3."),
        ),
        (
            overview(facts),
            Section("Table of Contents", (Contents(),)),
            introduction(facts),
            implementation_model(facts),
            service_sections(facts),
            configuration(facts),
            communication(facts),
            security(facts),
        ),
        annexes(facts),
    )
