"""Services that a program or a configuration adds to those of the SDK."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, EventBus, Logger, MetricSink
from pacs_sdk.integration.config.parts import ServicesConfig
from pacs_sdk.integration.named_objects import loaded_object, wants_an_argument
from pacs_sdk.network import DicomService
from pacs_sdk.storage import Archive

__all__ = ["ServiceParts", "ServiceSource", "chosen_services", "made_service"]


@attrs.frozen
class ServiceParts:
    """What a service of a PACS may be made of."""

    archive: Archive
    """The archive."""
    ae_title: str
    """The server's AE title."""
    bus: EventBus
    """Where events are published."""
    logger: Logger
    """Where events are recorded."""
    clock: Clock
    """The time."""
    metrics: MetricSink
    """Where counts go."""


ServiceSource: TypeAlias = (
    DicomService | Callable[[ServiceParts], DicomService] | Callable[[], DicomService]
)
"""A service, or a class or function that makes one, of :class:`ServiceParts` or of nothing."""


def chosen_services(
    config: ServicesConfig,
    ours: Mapping[str, Callable[[], DicomService]],
    added: Iterable[ServiceSource],
    parts: Callable[[], ServiceParts],
) -> list[DicomService]:
    """List the services: ours that are enabled, then those that are added, which go before.

    Args:
        config: Which of ours there are, and what is added by name.
        ours: What makes each of ours; called for those that are enabled.
        added: What the program adds.
        parts: Gives what services may be made of.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a name that no service of ours has, and for
            what cannot be loaded or is no service.
    """
    names = [name.lower() for name in config.enabled]
    unknown = [name for name in names if name not in ours and name != "all"]
    if unknown:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"services.enabled: there is no service {unknown[0]!r}; known are all, "
            f"{', '.join(ours)}",
            setting="services.enabled",
        )
    sources = [*map(_loaded, config.added), *added]
    enabled = [name for name in ours if name in names or "all" in names]
    if not enabled and not sources:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            "services.enabled is empty and no service is added: nothing would be served",
            setting="services.enabled",
        )
    return [
        *(ours[name]() for name in enabled),
        *(made_service(source, parts) for source in sources),
    ]


def made_service(source: ServiceSource, parts: Callable[[], ServiceParts]) -> DicomService:
    """Return a service, making it if need be.

    Args:
        source: The service, or what makes it.
        parts: Gives what it may be made of; asked only if it wants something.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for something else.
    """
    if isinstance(source, DicomService) and not inspect.isclass(source):
        return source
    if not callable(source):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{source!r} is neither a service nor something that makes one",
        )
    make: Callable[..., Any] = source
    made = make(parts()) if wants_an_argument(make) else make()
    if not isinstance(made, DicomService) or inspect.isclass(made):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{_name_of(make)} made {type(made).__name__}, which is no service: it needs the "
            "methods supported_contexts and handle",
        )
    return made


def _name_of(make: object) -> str:
    return getattr(make, "__qualname__", repr(make))


def _loaded(path: str) -> ServiceSource:
    source: ServiceSource = loaded_object(path, "services.added", "service")
    return source
