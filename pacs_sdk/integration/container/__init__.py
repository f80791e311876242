"""The composition root: one container a layer, every provider open to replacement.

Nothing below this module knows that containers exist. A test replaces a provider::

    container.core.logger.override(providers.Object(RecordingLogger()))
"""

from pacs_sdk.integration.container.pacs_container import (
    CoreContainer,
    NetworkContainer,
    PacsContainer,
)
from pacs_sdk.integration.container.services import ServicesContainer
from pacs_sdk.integration.container.storage import StorageContainer

__all__ = [
    "CoreContainer",
    "NetworkContainer",
    "PacsContainer",
    "ServicesContainer",
    "StorageContainer",
]
