"""The configuration of a whole PACS: small frozen parts, from a dict, TOML or environment."""

from pacs_sdk.integration.config.pacs_config import PacsConfig
from pacs_sdk.integration.config.parts import (
    QueryConfig,
    ReceptionConfig,
    RetrieveConfig,
    ServicesConfig,
    StorageConfig,
)
from pacs_sdk.integration.config.values import ENVIRONMENT_PREFIX

__all__ = [
    "ENVIRONMENT_PREFIX",
    "PacsConfig",
    "QueryConfig",
    "ReceptionConfig",
    "RetrieveConfig",
    "ServicesConfig",
    "StorageConfig",
]
