"""The container of the services."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dependency_injector import containers, providers

from pacs_sdk.core.ports import EventBus, MetricSink
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import CharacterSetPolicy
from pacs_sdk.integration.added_services import ServiceParts, ServiceSource, chosen_services
from pacs_sdk.integration.config import PacsConfig, ServicesConfig
from pacs_sdk.integration.named_objects import loaded_hook
from pacs_sdk.network import ClientTimeouts
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
from pacs_sdk.storage import Archive, FurtherAttributes

__all__ = ["ServicesContainer"]


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


def _further_of(archive: Archive) -> FurtherAttributes:
    return archive.further_attributes


def _store_of(archive: Archive) -> object:
    return archive.store


def _answered_of(archive: Archive) -> Callable[[], None]:
    return archive.answered


def _receive_of(archive: Archive) -> object:
    return archive.receive


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
        metrics=core.meters,
        transfer_syntaxes=providers.Callable(_transfer_syntaxes, core.config),
        before_store=providers.Callable(
            _before_store, core.config, before_store, core.bus, core.meters
        ),
        after_store=providers.Callable(_after_store, core.config, after_store),
    )
    query_scp = providers.Singleton(
        QueryScp,
        storage.archive,
        core.ae_title,
        providers.Callable(_query_rules, core.config),
        further=providers.Callable(_further_of, storage.archive),
    )
    destinations = providers.Callable(_destinations, core.config, storage.archive)
    sub_operation_pool = providers.Singleton(
        sub_operation_pool, logger=core.log, clock=core.clock, metrics=core.meters
    )
    moves = providers.Singleton(Moves, destinations, core.ae_title, sub_operation_pool)
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
        ae_title=core.ae_title,
        bus=core.bus,
        logger=core.log,
        clock=core.clock,
        metrics=core.meters,
    )
    scps = providers.Callable(
        chosen_services,
        providers.Callable(_services_config, core.config),
        ours,
        added,
        parts.provider,
    )

    timeouts = providers.Singleton(ClientTimeouts)
    retrieve_timeouts = providers.Singleton(RetrieveScu.usual_timeouts)
    scu_ae_title = core.ae_title
    verification_scu = providers.Factory(
        VerificationScu, scu_ae_title, timeouts, core.log, core.clock
    )
    storage_scu = providers.Factory(StorageScu, scu_ae_title, timeouts, core.log, core.clock)
    query_scu = providers.Factory(QueryScu, scu_ae_title, timeouts, core.log, core.clock)
    retrieve_scu = providers.Factory(
        RetrieveScu, scu_ae_title, retrieve_timeouts, core.log, core.clock
    )
