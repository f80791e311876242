"""The container of the archive."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dependency_injector import containers, providers

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, EventBus, Logger
from pacs_sdk.core.results import raised
from pacs_sdk.integration.archive_hooks import (
    ArchiveHooks,
    ArchiveToCome,
    HookParts,
    StudyRule,
    archive_rules,
)
from pacs_sdk.integration.config import PacsConfig, StorageConfig
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
from pacs_sdk.storage.capacity import MakeRoom
from pacs_sdk.storage.coercion import AttributeChange

__all__ = ["StorageContainer"]


def _storage_config(config: PacsConfig) -> StorageConfig:
    return config.storage


def _new_index(config: StorageConfig, folder: Path, logger: Logger, clock: Clock) -> IndexDatabase:
    return IndexDatabase(
        config.database_url or index_url(folder / "index.sqlite"),
        logger,
        clock,
        further=FurtherAttributes.of(config.further_attributes),
    )


def _open_archive(  # noqa: PLR0913, PLR0917  # the container gives each by its name
    config: StorageConfig,
    ae_title: str,
    bus: EventBus,
    logger: Logger,
    clock: Clock,
    hooks: ArchiveHooks,
    backend: StorageBackend | None,
    index: IndexDatabase | None,
) -> Archive:
    to_come = ArchiveToCome()
    rules = archive_rules(config, ae_title, hooks, HookParts(to_come, logger, clock))
    if backend is None and index is None:
        opened = raised(
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
        return to_come.has_come(opened)
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
    archive = Archive(
        backend,
        index,
        bus,
        logger,
        duplicates=config.duplicates,
        layout=StorageLayout(config.layout),
        rules=rules,
        clock=clock,
    )
    return to_come.has_come(archive)


def _housekeeping(archive: Archive, logger: Logger) -> Housekeeping:
    chores = (
        Chore("settle studies", archive.settler.step),
        Chore("remove deleted objects", archive.deletion.purge),
    )
    return Housekeeping(chores, logger=logger)


class StorageContainer(containers.DeclarativeContainer):
    """The archive."""

    core = providers.DependenciesContainer()
    backend: providers.Provider[StorageBackend | None] = providers.Object(None)
    """Where the objects are, if not in the configured folder. With a back end or an index of
    one's own, nothing is recovered or locked at the start: that is theirs to do."""
    index: providers.Provider[IndexDatabase | None] = providers.Object(None)
    """The index, if not the configured one."""
    coerce: providers.Provider[Iterable[AttributeChange]] = providers.Object(())
    """What puts attributes of incoming instances right, after what the configuration names."""
    may_delete: providers.Provider[Iterable[StudyRule]] = providers.Object(())
    """Who is asked whether a study may be deleted, besides whom the configuration names: it is if
    all say so."""
    may_settle: providers.Provider[Iterable[StudyRule]] = providers.Object(())
    """Who is asked whether a study that was quiet may settle, likewise."""
    make_room: providers.Provider[MakeRoom | None] = providers.Object(None)
    """Who is asked for room, if not whom the configuration names."""
    archive = providers.Singleton(
        _open_archive,
        config=providers.Callable(_storage_config, core.config),
        ae_title=core.ae_title,
        bus=core.bus,
        logger=core.log,
        clock=core.clock,
        hooks=providers.Factory(
            ArchiveHooks,
            coerce=coerce,
            may_delete=may_delete,
            may_settle=may_settle,
            make_room=make_room,
        ),
        backend=backend,
        index=index,
    )
    housekeeping = providers.Singleton(_housekeeping, archive, logger=core.log)
