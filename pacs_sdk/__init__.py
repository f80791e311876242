"""A typed, embeddable PACS: DICOM network, archive, query and retrieve, volumes.

The names of the front door. They are loaded when first used, so that reading a file
does not import a database.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pacs_sdk.core import DicomDataset, ErrorCode, PacsError, PacsException
    from pacs_sdk.encoding import Instance
    from pacs_sdk.integration.config import PacsConfig
    from pacs_sdk.integration.pacs import Pacs

__all__ = [
    "DicomDataset",
    "ErrorCode",
    "Instance",
    "Pacs",
    "PacsConfig",
    "PacsError",
    "PacsException",
]

_HOMES: Final = {
    "DicomDataset": "pacs_sdk.core",
    "ErrorCode": "pacs_sdk.core",
    "Instance": "pacs_sdk.encoding",
    "Pacs": "pacs_sdk.integration.pacs",
    "PacsConfig": "pacs_sdk.integration.config",
    "PacsError": "pacs_sdk.core",
    "PacsException": "pacs_sdk.core",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the package where it lives (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
