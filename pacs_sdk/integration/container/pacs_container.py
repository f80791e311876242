"""The container of everything, and those of the ports and the server."""

from __future__ import annotations

from collections.abc import Sequence

from dependency_injector import containers, providers

from pacs_sdk.core.events import InProcessEventBus
from pacs_sdk.core.guarded_logger import guarded
from pacs_sdk.core.guarded_metrics import guarded_metrics
from pacs_sdk.core.ports import (
    AuditSink,
    Clock,
    Logger,
    MetricSink,
    NullAuditSink,
    NullLogger,
    NullMetricSink,
    NullTracer,
    SystemClock,
)
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.container.services import ServicesContainer
from pacs_sdk.integration.container.storage import StorageContainer
from pacs_sdk.network import (
    AccessControl,
    BackgroundServer,
    DicomServer,
    DicomService,
    Driver,
    ServerConfig,
)

__all__ = ["CoreContainer", "NetworkContainer", "PacsContainer"]


def _server_config(config: PacsConfig) -> ServerConfig:
    return config.server


def _server(
    config: ServerConfig,
    services: Sequence[DicomService],
    *,
    logger: Logger,
    clock: Clock,
    metrics: MetricSink,
    audit: AuditSink,
    access: AccessControl,
) -> DicomServer | BackgroundServer:
    kind = BackgroundServer if config.driver is Driver.ASYNCIO else DicomServer
    return kind(
        config, services, logger=logger, clock=clock, metrics=metrics, audit=audit, access=access
    )


def _ae_title(config: PacsConfig) -> str:
    return config.server.ae_title


class CoreContainer(containers.DeclarativeContainer):
    """The ports: silent and safe unless replaced."""

    config = providers.Dependency(instance_of=PacsConfig)
    ae_title = providers.Callable(_ae_title, config)
    logger = providers.Singleton(NullLogger)
    log = providers.Callable(guarded, logger)
    """The logger, as everything gets it: if it raises, that is not their failure."""
    clock = providers.Singleton(SystemClock)
    metrics = providers.Singleton(NullMetricSink)
    meters = providers.Callable(guarded_metrics, metrics)
    """The metrics, as everything gets them: if they raise, that is not their failure."""
    tracer = providers.Singleton(NullTracer)
    """For services of your own; those of the SDK record no spans."""
    audit = providers.Singleton(NullAuditSink)
    bus = providers.Singleton(InProcessEventBus, logger=log)


class NetworkContainer(containers.DeclarativeContainer):
    """The DICOM server over the services."""

    core = providers.DependenciesContainer()
    services = providers.DependenciesContainer()
    access = providers.Singleton(AccessControl)
    server = providers.Singleton(
        _server,
        providers.Callable(_server_config, core.config),
        services.scps,
        logger=core.log,
        clock=core.clock,
        metrics=core.meters,
        audit=core.audit,
        access=access,
    )


class PacsContainer(containers.DeclarativeContainer):
    """Everything, wired. Give ``config``; the rest has defaults.

    ``PacsContainer(config=providers.Object(PacsConfig(...)))`` or, shorter,
    :meth:`~pacs_sdk.integration.pacs.Pacs.embedded`.
    """

    config = providers.Singleton(PacsConfig)
    core = providers.Container(CoreContainer, config=config)
    storage = providers.Container(StorageContainer, core=core)
    services = providers.Container(ServicesContainer, core=core, storage=storage)
    network = providers.Container(NetworkContainer, core=core, services=services)
