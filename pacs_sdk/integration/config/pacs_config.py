"""The configuration of a whole PACS: small frozen parts, from a dict, TOML or environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from pacs_sdk.core.results import edge
from pacs_sdk.integration.config.parts import (
    QueryConfig,
    ReceptionConfig,
    RetrieveConfig,
    ServicesConfig,
    StorageConfig,
)
from pacs_sdk.integration.config.values import (
    built,
    environment_values,
    merged,
    toml_values,
)
from pacs_sdk.network import ServerConfig
from pacs_sdk.services import ConfiguredDestinations, Destination

__all__ = ["PacsConfig"]


def _tuple_of_destinations(destinations: Iterable[Destination]) -> tuple[Destination, ...]:
    return tuple(destinations)


def _check_destinations(_: object, __: object, destinations: tuple[Destination, ...]) -> None:
    ConfiguredDestinations(destinations)


@attrs.frozen
class PacsConfig:
    """Everything that can be configured."""

    server: ServerConfig = attrs.field(factory=ServerConfig)
    """How the DICOM server listens and what it allows."""
    storage: StorageConfig = attrs.field(factory=StorageConfig)
    """Where instances are kept."""
    services: ServicesConfig = attrs.field(factory=ServicesConfig)
    """Which services the server has."""
    destinations: tuple[Destination, ...] = attrs.field(
        default=(), converter=_tuple_of_destinations, validator=_check_destinations
    )
    """Whom a C-MOVE may send to: in TOML, a table `[[destinations]]` each."""
    query: QueryConfig = attrs.field(factory=QueryConfig)
    """What clients may ask."""
    retrieve: RetrieveConfig = attrs.field(factory=RetrieveConfig)
    """What clients may fetch."""
    reception: ReceptionConfig = attrs.field(factory=ReceptionConfig)
    """What is taken from senders."""

    @classmethod
    @edge()
    def from_dict(cls, values: Mapping[str, Any]) -> PacsConfig:
        """Build a configuration from nested mappings, one a part.

        Args:
            values: ``{"server": {"port": 104}, "storage": {"data_dir": "/srv/pacs"}}``.
                Text is converted to the field's type. What is left out has its default.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_CONFIGURATION`` naming the part
            and field that is unknown or has an impossible value.
        """
        return built(cls, values)

    @classmethod
    @edge()
    def from_toml(cls, path: Path | str) -> PacsConfig:
        """Read a TOML file with a table for each part; failures as :meth:`from_dict`."""
        return built(cls, toml_values(path))

    @classmethod
    @edge()
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> PacsConfig:
        """Read ``PACS_<PART>__<FIELD>`` variables; failures as :meth:`from_dict`.

        Args:
            environment: The variables; the process's own by default. Others than those
                with the prefix and a double underscore are ignored.
        """
        return built(cls, environment_values(cls, environment))

    @classmethod
    @edge()
    def layered(
        cls,
        *,
        toml: Path | str | None = None,
        environment: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> PacsConfig:
        """Combine all sources, setting by setting; later ones win.

        Args:
            toml: First over the defaults: a TOML file, or none.
            environment: Then the environment variables; the process's own by default.
            overrides: Last what a program was told, as for :meth:`from_dict`.

        Returns:
            As :meth:`from_dict`.
        """
        values: dict[str, Any] = {} if toml is None else toml_values(toml)
        for layer in (environment_values(cls, environment), overrides or {}):
            values = merged(values, layer)
        return built(cls, values)
