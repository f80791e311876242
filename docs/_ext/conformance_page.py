"""The conformance statement of the default configuration, as a page of the reference."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pacs_sdk import Pacs
from pacs_sdk.integration.conformance import conformance_statement

__all__ = ["write_page"]


def write_page(source: Path) -> None:
    """Write ``reference/conformance.md``."""
    path = source / "reference" / "conformance.md"
    with tempfile.TemporaryDirectory() as folder:
        pacs = Pacs.embedded(folder, port=11112)
        statement = conformance_statement(pacs).unwrap()
        pacs.archive.close()
    text = statement.markdown()
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")
