"""The parts of a configuration, apart from that of the server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.value_rules import validate_value
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import CharacterSetPolicy
from pacs_sdk.integration.config.values import impossible
from pacs_sdk.services import (
    QueryRules,
    ReceptionRule,
    TransferSyntaxPolicy,
    ValidationPolicy,
    chosen_sop_classes,
)
from pacs_sdk.storage import DuplicatePolicy, Durability, FurtherAttributes, StorageLayout

__all__ = [
    "QueryConfig",
    "ReceptionConfig",
    "RetrieveConfig",
    "ServicesConfig",
    "StorageConfig",
]


def _durability(choice: Durability) -> Durability:
    return Durability(choice)  # it may be text, where no type checker looks


def _duplicates(choice: DuplicatePolicy) -> DuplicatePolicy:
    return DuplicatePolicy(choice)


def _validation(choice: ValidationPolicy) -> ValidationPolicy:
    return ValidationPolicy(choice)


def _check_layout(_: object, __: object, layout: str) -> None:
    StorageLayout(layout)


def _check_character_set(_: object, __: object, term: str) -> None:
    try:
        CharacterSetPolicy(assume=term)
    except ValueError as exc:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"storage.assume_character_set: {exc}",
            setting="storage.assume_character_set",
        ) from exc


def _check_further(_: object, __: object, further: tuple[str, ...]) -> None:
    FurtherAttributes.of(further)


_LONGEST_SETTLING_S: Final = 1e9
"""Thirty years: what is longer may not be a time of a calendar any more."""


def _check_settling(_: object, __: object, seconds: float) -> None:
    if not 0 < seconds <= _LONGEST_SETTLING_S:
        raise impossible(
            "storage.settle_after_s", seconds, f"above 0 and at most {_LONGEST_SETTLING_S:.0f} s"
        )


def _check_bytes(_: object, attribute: attrs.Attribute[Any], count: int | None) -> None:
    if count is not None and count < 0:
        raise impossible(f"storage.{attribute.name}", count, "0 or more")


def _check_issuer(_: object, __: object, issuer: str) -> None:
    faults = validate_value(VR.LO, issuer)
    if faults or "\\" in issuer:
        why = faults[0].reason if faults else "it has a backslash"
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"storage.issuer_of_patient_ids cannot be an Issuer of Patient ID: {why}",
            setting="storage.issuer_of_patient_ids",
        )


def _tuple(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts)


def _without_password(database_url: str | None) -> str:
    """Write a URL as it may be logged."""
    if database_url is None:
        return "None"
    secret, at, where = database_url.rpartition("@")
    scheme, is_url, who = secret.partition("://")
    user, colon, _ = who.partition(":")
    hidden = database_url
    if at:
        hidden = f"{scheme}://{user}{colon and ':***'}@{where}" if is_url else f"***@{where}"
    return repr(re.sub(r"(password=)[^&]*", r"\1***", hidden, flags=re.IGNORECASE))


@attrs.frozen
class StorageConfig:
    """Where instances are kept, and how."""

    data_dir: Path = Path("pacs-data")
    """The folder of the archive: objects and index."""
    durability: Durability = attrs.field(default=Durability.DURABLE, converter=_durability)
    """Whether an instance is flushed to the disk before it is acknowledged."""
    duplicates: DuplicatePolicy = attrs.field(default=DuplicatePolicy.REJECT, converter=_duplicates)
    """What happens to another instance with a UID that is stored."""
    layout: str = attrs.field(default="uid", validator=_check_layout)
    """Where new objects go below the folder: `uid`, `date`, `flat`, or a template such as
    `{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}.dcm`."""
    database_url: str | None = attrs.field(default=None, repr=_without_password)
    """Where the index is: `postgresql://user:password@host/database`, or `sqlite:///` and a
    path; without it, in `data_dir`."""
    further_attributes: tuple[str, ...] = attrs.field(default=(), validator=_check_further)
    """What the index keeps besides its own attributes: keywords, or tags such as `00180050`.
    After a change `pacs reindex` fills in what was stored before."""
    quota_bytes: int | None = attrs.field(default=None, validator=_check_bytes)
    """What all objects together may take; no limit by default."""
    minimum_free_bytes: int = attrs.field(default=0, validator=_check_bytes)
    """What has to stay free on the disk of `data_dir`."""
    settle_after_s: float = attrs.field(default=60.0, validator=_check_settling)
    """A study has settled when nothing happened to it for so long."""
    issuer_of_patient_ids: str = attrs.field(default="", validator=_check_issuer)
    """The Issuer of Patient ID that instances get which have a Patient ID and no issuer."""
    assume_character_set: str = attrs.field(default="", validator=_check_character_set)
    """How text is read where Specific Character Set is absent, such as `ISO_IR 100`; it is
    then stored as UTF-8."""

    coerce: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Functions of your own that put attributes of incoming instances right, each as
    `package.module:name`. These and the three that follow are imported: whoever may write these
    settings may run programs."""
    may_delete: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Functions of your own that are asked whether a study may be deleted, likewise; it is if
    all of them say so."""
    may_settle: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Functions of your own that are asked whether a study that was quiet may settle, likewise."""
    make_room: str = ""
    """A function of your own that is asked to delete or move something before an instance is
    refused for want of room, likewise."""


def _check_sop_classes(_: object, __: object, choice: tuple[str, ...]) -> None:
    try:
        raised(chosen_sop_classes(choice))
    except PacsException as exc:
        setting = "services.storage_sop_classes"
        raise PacsException(
            exc.error.code, f"{setting}: {exc.error.message}", setting=setting
        ) from exc


@attrs.frozen
class ServicesConfig:
    """Which services the server has, and what they accept."""

    enabled: tuple[str, ...] = attrs.field(default=("all",), converter=_tuple)
    """The services of the SDK that it has: `all`, or some of `verification`, `storage`, `query`
    and `retrieve`."""
    added: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Services of your own, each as `package.module:name`: a service, or what makes one. What
    one of them performs, ours do not any more. They are imported: whoever may write this
    setting may run programs."""
    storage_sop_classes: tuple[str, ...] = attrs.field(
        default=("all",), converter=_tuple, validator=_check_sop_classes
    )
    """What is stored: sets such as `CT`, `all images` or `SR`, keywords, and UIDs; what begins
    with `!` is taken out again: `all,!retired`."""


def _tuple_of_rules(rules: Iterable[ReceptionRule]) -> tuple[ReceptionRule, ...]:
    return tuple(rules)


@attrs.frozen
class ReceptionConfig:
    """In which transfer syntaxes instances are taken, and which are refused."""

    preferred_transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Of several that a sender proposes for a presentation context, the first of these is
    taken; as sent without. Keywords such as `JPEGLosslessSV1`, and UIDs."""
    only_transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """No others are taken; all by default."""
    refused_transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """These are not taken."""
    rules: tuple[ReceptionRule, ...] = attrs.field(default=(), converter=_tuple_of_rules)
    """The first that is about an instance decides: in TOML, a table `[[reception.rules]]`
    each, with `action` (`refuse` or `accept`), `calling_ae_titles`, `sop_classes`,
    `attributes` (`["Modality=CT|MR"]`), `status` and `comment`."""
    before_store: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Hooks of your own that are asked about each instance after the rules, each as
    `package.module:name`. They are imported: whoever may write this setting may run programs."""
    after_store: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    """Hooks of your own that are called when an instance is safe, likewise."""
    iod_validation: ValidationPolicy = attrs.field(
        default=ValidationPolicy.OFF, converter=_validation
    )
    """What becomes of instances that don't conform to the IOD of their SOP class: `off` (nothing
    is validated), `report` (stored; logged, counted and published), `warn` (the sender is told
    B007H, too), `refuse` (A900H). The extra `validation` is needed."""

    def __attrs_post_init__(self) -> None:
        self.transfer_syntaxes()

    def transfer_syntaxes(self) -> TransferSyntaxPolicy:
        """Return what these settings mean to a Storage SCP.

        Raises:
            PacsException: ``INVALID_CONFIGURATION``.
        """
        return TransferSyntaxPolicy(
            self.preferred_transfer_syntaxes,
            self.only_transfer_syntaxes,
            self.refused_transfer_syntaxes,
        )


def _check_offset(_: object, __: object, text: str) -> None:
    QueryRules(utc_offset=text)


@attrs.frozen
class RetrieveConfig:
    """How strictly C-GET and C-MOVE take their clients."""

    always_relational: bool = True
    """Whether a retrieval of a series or image may leave out the study although the client has
    not negotiated relational retrieval; the standard would refuse that."""


@attrs.frozen
class QueryConfig:
    """How strictly C-FIND takes its clients."""

    always_relational: bool = True
    """Whether a query of a series or image may leave out the study although the client has
    not negotiated relational queries; the standard would refuse that."""
    check_values: bool = True
    """Whether keys that break the rules of their value representation are refused."""
    utc_offset: str = attrs.field(default="", validator=_check_offset)
    """The timezone of stored dates and times that don't say theirs, such as `+0100`; where it is
    set, clients may negotiate that queries are adjusted to another one."""
