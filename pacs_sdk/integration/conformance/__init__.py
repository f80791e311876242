"""The DICOM conformance statement of a running configuration (PS3.2 Annex N)."""

from pacs_sdk.integration.conformance.document import (
    Block,
    Bullets,
    Contents,
    Document,
    Paragraph,
    Section,
    Table,
)
from pacs_sdk.integration.conformance.facts import ClaimedContext
from pacs_sdk.integration.conformance.statement import (
    ConformanceStatement,
    conformance_statement,
)

__all__ = [
    "Block",
    "Bullets",
    "ClaimedContext",
    "ConformanceStatement",
    "Contents",
    "Document",
    "Paragraph",
    "Section",
    "Table",
    "conformance_statement",
]
