"""Functions of a program that an archive asks: those a configuration names, and those it is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, Logger
from pacs_sdk.encoding import CharacterSetPolicy
from pacs_sdk.integration.config.parts import StorageConfig
from pacs_sdk.integration.named_objects import loaded_hook
from pacs_sdk.storage import Archive, ArchiveRules, CapacityLimits, Coercion, IssuerOfPatientIds
from pacs_sdk.storage.capacity import MakeRoom
from pacs_sdk.storage.coercion import AttributeChange

__all__ = ["ArchiveHooks", "ArchiveToCome", "HookParts", "StudyRule", "archive_rules"]

StudyRule: TypeAlias = Callable[[str], bool]
"""Is given a Study Instance UID, and tells whether something may happen to that study."""


@attrs.frozen
class HookParts:
    """What a class is given that a hook of an archive is made of."""

    archive: Callable[[], Archive]
    """Gives the archive: when the hook is called it is open, when the hook is made not yet."""
    logger: Logger
    """Where events are recorded."""
    clock: Clock
    """The time."""


@attrs.frozen
class ArchiveHooks:
    """Hooks of an archive that a program gives, beside those that its configuration names."""

    coerce: Iterable[AttributeChange] = ()
    """Put attributes right, after those of the configuration."""
    may_delete: Iterable[StudyRule] = ()
    """A study is deleted only if each of them, and of those of the configuration, says so."""
    may_settle: Iterable[StudyRule] = ()
    """A study settles only if each of them, and of those of the configuration, says so."""
    make_room: MakeRoom | None = None
    """Makes room, in place of what the configuration names."""


class ArchiveToCome:
    """The archive, for hooks that are made before it is."""

    def __init__(self) -> None:
        self._archive: Archive | None = None

    def has_come(self, archive: Archive) -> Archive:
        """Take the archive that was opened, and return it."""
        self._archive = archive
        return archive

    def __call__(self) -> Archive:
        """Give the archive.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` before it is open.
        """
        if self._archive is None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "the archive is not open yet")
        return self._archive


def archive_rules(
    config: StorageConfig, ae_title: str, hooks: ArchiveHooks, parts: HookParts
) -> ArchiveRules:
    """Return what settings and hooks mean to an archive.

    Args:
        config: The settings.
        ae_title: Who puts attributes right, for the record.
        hooks: What the program gives.
        parts: What the hooks that the settings name may be made of.

    Raises:
        PacsException: ``INVALID_CONFIGURATION``, also for a hook that cannot be loaded.
    """

    def named(setting: str, paths: Iterable[str]) -> list[Callable[..., Any]]:
        return [loaded_hook(path, f"storage.{setting}", parts) for path in paths]

    issuer = config.issuer_of_patient_ids
    changes: list[AttributeChange] = [IssuerOfPatientIds(issuer)] if issuer else []
    changes += [*named("coerce", config.coerce), *hooks.coerce]
    make_room = hooks.make_room
    if make_room is None and config.make_room:
        make_room = loaded_hook(config.make_room, "storage.make_room", parts)
    is_coerced = bool(changes or config.assume_character_set)
    text = CharacterSetPolicy(assume=config.assume_character_set)
    return ArchiveRules(
        coercion=Coercion(changes, text, ae_title, clock=parts.clock) if is_coerced else None,
        limits=CapacityLimits(config.quota_bytes, config.minimum_free_bytes),
        make_room=make_room,
        may_delete=_each_of([*named("may_delete", config.may_delete), *hooks.may_delete]),
        settle_after=timedelta(seconds=config.settle_after_s),
        may_settle=_each_of([*named("may_settle", config.may_settle), *hooks.may_settle]),
    )


def _each_of(rules: Iterable[Callable[[str], object]]) -> StudyRule:
    asked = tuple(rules)
    return lambda study_instance_uid: all(rule(study_instance_uid) for rule in asked)
