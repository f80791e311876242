"""The composition root: one container a layer, every provider open to replacement.

Nothing below this module knows that containers exist. A test replaces a provider::

    container.core.logger.override(providers.Object(RecordingLogger()))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from dependency_injector import containers, providers

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.events import InProcessEventBus
from pacs_sdk.core.ports import (
    AuditSink,
    Clock,
    EventBus,
    Logger,
    MetricSink,
    NullAuditSink,
    NullLogger,
    NullMetricSink,
    NullTracer,
    SystemClock,
)
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import CharacterSetPolicy
from pacs_sdk.integration.added_services import (
    ServiceParts,
    ServiceSource,
    chosen_services,
)
from pacs_sdk.integration.config import PacsConfig, ServicesConfig, StorageConfig
from pacs_sdk.integration.named_objects import loaded_hook
from pacs_sdk.network import (
    AccessControl,
    BackgroundServer,
    ClientTimeouts,
    DicomServer,
    DicomService,
    Driver,
    ServerConfig,
)
from pacs_sdk.services import (
    AfterStore,
    BeforeStore,
    ConfiguredDestinations,
    DestinationResolver,
    Moves,
    QueryRules,
    QueryScp,
    QueryScu,
    ReceptionRules,
    RetrieveScp,
    RetrieveScu,
    StorageScp,
    StorageScu,
    StoredDestinations,
    TransferSyntaxPolicy,
    ValidationPolicy,
    VerificationScp,
    VerificationScu,
    chosen_sop_classes,
    first_known,
    sub_operation_pool,
)
from pacs_sdk.storage import (
    Archive,
    Chore,
    FileStorage,
    FurtherAttributes,
    Housekeeping,
    IndexDatabase,
    StorageBackend,
    StorageLayout,
    index_url,
    open_archive,
)

__all__ = [
    "CoreContainer",
    "NetworkContainer",
    "PacsContainer",
    "ServicesContainer",
    "StorageContainer",
]


def _new_index(config: StorageConfig, folder: Path, logger: Logger, clock: Clock) -> IndexDatabase:
    return IndexDatabase(
        config.database_url or index_url(folder / "index.sqlite"),
        logger,
        clock,
        further=FurtherAttributes.of(config.further_attributes),
    )


def _further_of(archive: Archive) -> FurtherAttributes:
    return archive.further_attributes


def _open_archive(
    config: StorageConfig,
    ae_title: str,
    bus: EventBus,
    logger: Logger,
    clock: Clock,
    backend: StorageBackend | None,
    index: IndexDatabase | None,
) -> Archive:
    rules = config.rules(ae_title, clock)
    if backend is None and index is None:
        return raised(
            open_archive(
                config.data_dir,
                durability=config.durability,
                duplicates=config.duplicates,
                layout=config.layout,
                database_url=config.database_url,
                further_attributes=config.further_attributes,
                rules=rules,
                bus=bus,
                logger=logger,
                clock=clock,
            )
        )
    folder = Path(config.data_dir)
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # there will be patient data in it
    except OSError as exc:
        raise PacsException(
            ErrorCode.STORAGE_WRITE_FAILED,
            f"the folder {folder} cannot be made: {exc.strerror or exc}",
            path=str(folder),
        ) from exc
    # What is given is asked for by `is`: a back end or an index may have a length, which is 0.
    if backend is None:
        backend = FileStorage(folder / "objects", config.durability)
    if index is None:
        index = _new_index(config, folder, logger, clock)
    return Archive(
        backend,
        index,
        bus,
        logger,
        duplicates=config.duplicates,
        layout=StorageLayout(config.layout),
        rules=rules,
        clock=clock,
    )


def _housekeeping(archive: Archive, logger: Logger) -> Housekeeping:
    chores = (
        Chore("settle studies", archive.settler.step),
        Chore("remove deleted objects", archive.deletion.purge),
    )
    return Housekeeping(chores, logger=logger)


def _server_config(config: PacsConfig) -> ServerConfig:
    return config.server


def _storage_config(config: PacsConfig) -> StorageConfig:
    return config.storage


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


def _storage_sop_classes(config: PacsConfig) -> Sequence[str]:
    return raised(chosen_sop_classes(config.services.storage_sop_classes))


def _transfer_syntaxes(config: PacsConfig) -> TransferSyntaxPolicy:
    return config.reception.transfer_syntaxes()


def _before_store(
    config: PacsConfig, hooks: Sequence[BeforeStore], bus: EventBus, metrics: MetricSink
) -> Sequence[BeforeStore]:
    """Ask the configured rules first, and validation last: it sees what hooks have changed."""
    reception = config.reception
    asked: list[BeforeStore] = [ReceptionRules(reception.rules)] if reception.rules else []
    asked += [loaded_hook(path, "reception.before_store") for path in reception.before_store]
    asked += hooks
    if reception.iod_validation is not ValidationPolicy.OFF:
        from pacs_sdk.services.iod_validation import ValidateOnReception

        asked.append(ValidateOnReception(reception.iod_validation, bus=bus, metrics=metrics))
    return asked


def _after_store(config: PacsConfig, hooks: Sequence[AfterStore]) -> Sequence[AfterStore]:
    named = [loaded_hook(path, "reception.after_store") for path in config.reception.after_store]
    return (*named, *hooks)


def _destinations(config: PacsConfig, archive: Archive) -> DestinationResolver:
    return first_known(ConfiguredDestinations(config.destinations), StoredDestinations(archive))


def _always_relational(config: PacsConfig) -> bool:
    return config.retrieve.always_relational


def _query_rules(config: PacsConfig) -> QueryRules:
    return QueryRules(
        always_relational=config.query.always_relational,
        check_values=config.query.check_values,
        utc_offset=config.query.utc_offset,
        character_sets=CharacterSetPolicy(assume=config.storage.assume_character_set),
    )


def _services_config(config: PacsConfig) -> ServicesConfig:
    return config.services


def _store_of(archive: Archive) -> object:
    return archive.store


def _answered_of(archive: Archive) -> Callable[[], None]:
    return archive.answered


def _receive_of(archive: Archive) -> object:
    return archive.receive


class CoreContainer(containers.DeclarativeContainer):
    """The ports: silent and safe unless replaced."""

    config = providers.Dependency(instance_of=PacsConfig)
    logger = providers.Singleton(NullLogger)
    clock = providers.Singleton(SystemClock)
    metrics = providers.Singleton(NullMetricSink)
    tracer = providers.Singleton(NullTracer)
    """For services of your own; those of the SDK record no spans."""
    audit = providers.Singleton(NullAuditSink)
    bus = providers.Singleton(InProcessEventBus, logger=logger)


class StorageContainer(containers.DeclarativeContainer):
    """The archive."""

    core = providers.DependenciesContainer()
    backend: providers.Provider[StorageBackend | None] = providers.Object(None)
    """Where the objects are, if not in the configured folder. With a back end or an index of
    one's own, nothing is recovered or locked at the start: that is theirs to do."""
    index: providers.Provider[IndexDatabase | None] = providers.Object(None)
    """The index, if not the configured one."""
    archive = providers.Singleton(
        _open_archive,
        config=providers.Callable(_storage_config, core.config),
        ae_title=providers.Callable(_ae_title, core.config),
        bus=core.bus,
        logger=core.logger,
        clock=core.clock,
        backend=backend,
        index=index,
    )
    housekeeping = providers.Singleton(_housekeeping, archive, logger=core.logger)


class ServicesContainer(containers.DeclarativeContainer):
    """The service class providers and users."""

    core = providers.DependenciesContainer()
    storage = providers.DependenciesContainer()
    verification_scp = providers.Singleton(VerificationScp)
    before_store: providers.Provider[Sequence[BeforeStore]] = providers.Object(())
    """Hooks that look at each instance before it is stored, after those of the configuration."""
    after_store: providers.Provider[Sequence[AfterStore]] = providers.Object(())
    """Hooks that are called when an instance is safe."""
    storage_scp = providers.Singleton(
        StorageScp,
        providers.Callable(_store_of, storage.archive),
        receive=providers.Callable(_receive_of, storage.archive),
        answered=providers.Callable(_answered_of, storage.archive),
        sop_classes=providers.Callable(_storage_sop_classes, core.config),
        metrics=core.metrics,
        transfer_syntaxes=providers.Callable(_transfer_syntaxes, core.config),
        before_store=providers.Callable(
            _before_store, core.config, before_store, core.bus, core.metrics
        ),
        after_store=providers.Callable(_after_store, core.config, after_store),
    )
    query_scp = providers.Singleton(
        QueryScp,
        storage.archive,
        providers.Callable(_ae_title, core.config),
        providers.Callable(_query_rules, core.config),
        further=providers.Callable(_further_of, storage.archive),
    )
    destinations = providers.Callable(_destinations, core.config, storage.archive)
    sub_operation_pool = providers.Singleton(
        sub_operation_pool, logger=core.logger, clock=core.clock, metrics=core.metrics
    )
    moves = providers.Singleton(
        Moves, destinations, providers.Callable(_ae_title, core.config), sub_operation_pool
    )
    retrieve_scp = providers.Singleton(
        RetrieveScp,
        storage.archive,
        moves,
        always_relational=providers.Callable(_always_relational, core.config),
        clock=core.clock,
    )
    ours = providers.Dict(
        verification=verification_scp.provider,
        storage=storage_scp.provider,
        query=query_scp.provider,
        retrieve=retrieve_scp.provider,
    )
    """The SDK's services by the names that ``services.enabled`` has for them."""
    added: providers.Provider[Sequence[ServiceSource]] = providers.Object(())
    """Services of the program; what they perform, ours do not any more."""
    parts = providers.Factory(
        ServiceParts,
        archive=storage.archive,
        ae_title=providers.Callable(_ae_title, core.config),
        bus=core.bus,
        logger=core.logger,
        clock=core.clock,
        metrics=core.metrics,
    )
    scps = providers.Callable(
        chosen_services,
        providers.Callable(_services_config, core.config),
        ours,
        added,
        parts.provider,
    )

    timeouts = providers.Singleton(ClientTimeouts)
    scu_ae_title = providers.Callable(_ae_title, core.config)
    verification_scu = providers.Factory(
        VerificationScu, scu_ae_title, timeouts, core.logger, core.clock
    )
    storage_scu = providers.Factory(StorageScu, scu_ae_title, timeouts, core.logger, core.clock)
    query_scu = providers.Factory(QueryScu, scu_ae_title, timeouts, core.logger, core.clock)
    retrieve_scu = providers.Factory(RetrieveScu, scu_ae_title, timeouts, core.logger, core.clock)


class NetworkContainer(containers.DeclarativeContainer):
    """The DICOM server over the services."""

    core = providers.DependenciesContainer()
    services = providers.DependenciesContainer()
    access = providers.Singleton(AccessControl)
    server = providers.Singleton(
        _server,
        providers.Callable(_server_config, core.config),
        services.scps,
        logger=core.logger,
        clock=core.clock,
        metrics=core.metrics,
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
